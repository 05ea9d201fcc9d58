"""The keys of a holder: there, once, as they must be, and none that nobody names."""

from __future__ import annotations

from typing import Final

from hsm_mpc.app import inventory
from hsm_mpc.app.doctor.findings import Finding, fail, failed, ok, warn
from hsm_mpc.app.holder import OpenHolder
from hsm_mpc.errors import BackendError, BadConfig, Tampered
from hsm_mpc.hsm import keys as token_keys
from hsm_mpc.hsm.capabilities import KEY_CLASSES
from hsm_mpc.hsm.token import Token

_INIT: Final = "hsm-mpc holder init"
_INVENTORY: Final = "see them all: hsm-mpc inventory"


def identity(token: Token) -> list[Finding]:
    """The identity key; while another one takes its place, both (step 6.7.9)."""
    names = token_keys.IDENTITIES
    try:
        found = [name for name in names if token_keys.find_identity_key(token, name) is not None]
    except (BadConfig, Tampered) as wrong:  # twice, or a half of it
        return [failed("key", wrong, _INVENTORY)]
    return [_made(name, True) for name in found] or [_made(token_keys.IDENTITY, False)]


def canary(token: Token) -> list[Finding]:
    """The canary key, and whether it decrypts."""
    try:
        made = [token_keys.find_canary_key(token, kind) is not None for kind in KEY_CLASSES]
    except BadConfig as twice:
        return [failed("key", twice, _INVENTORY)]
    if not any(made):
        return [_made(token_keys.CANARY, False)]
    if token.canary is None or not token.canary.is_decrypted_by(token):
        code = BackendError.exit_code
        return [fail("key", f"{token_keys.CANARY}: does not decrypt", _INIT, code)]
    return [ok("key", f"{token_keys.CANARY}: found, once, and decrypts")]


def _made(name: str, made: bool) -> Finding:
    if not made:
        return fail("key", f"{name}: not made yet", _INIT)
    return ok("key", f"{name}: found, once")


def in_token(holder: OpenHolder) -> list[Finding]:
    """All keys of the token: their attributes, and whether records and keys name each other."""
    taken = inventory.of(holder)
    return [*_attributes(taken), *_named(taken)]


def _attributes(taken: inventory.Inventory) -> list[Finding]:
    return [
        fail("attributes", f"{key.label}: {', '.join(key.differences)}", "replace this key")
        for key in taken.keys
        if key.verdict == inventory.DIFFERENT
    ] or [ok("attributes", "of all keys as they must be")]


def _named(taken: inventory.Inventory) -> list[Finding]:
    """Identity and canary are missing in lines of their own."""
    made_by_init = (token_keys.IDENTITY, token_keys.CANARY)
    missing = [each for each in taken.missing if not each.startswith(made_by_init)]
    twice = [key for key in taken.keys if key.verdict == inventory.DUPLICATE]
    nobodys = [key for key in taken.keys if key.verdict in (inventory.UNKNOWN, inventory.ORPHANED)]
    if missing:
        message = f"{len(missing)} missing: {missing[0]}"
        mend = (
            "put the token back whose keys these are; else hsm-mpc wallet repair, or hsm-mpc share "
            "discard for a wallet that was never certified"
        )
        return [fail("inventory", message, mend)]
    if twice:
        message = f"{len(twice)} keys share a name: {twice[0].label}, id {twice[0].id}"
        return [fail("inventory", message, f"destroy those that are not ours; {_INVENTORY}")]
    if nobodys:
        named = ", ".join(f"{key.label!r} ({key.verdict})" for key in nobodys[:3])
        return [warn("inventory", f"{len(nobodys)} keys that no record names: {named}", _INVENTORY)]
    return [ok("inventory", f"{len(taken.keys)} keys, each named by the store or made by init")]
