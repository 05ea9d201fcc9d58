"""`inventory`: the keys in the HSM against what the store names."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.app.admin import asked
from hsm_mpc.app.holder import OpenHolder, opened
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.wrapping_keys import wrapping_key_id
from hsm_mpc.config import load_holder
from hsm_mpc.errors import Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.cryptoki import ObjectClass
from hsm_mpc.hsm.listing import KeyListing, listing
from hsm_mpc.hsm.uri import KeyUri

OK = "ok"
UNKNOWN = "unknown"
ORPHANED = "orphaned"
DIFFERENT = "different"


_IDENTITY = ((ObjectClass.PRIVATE_KEY, keys.IDENTITY), (ObjectClass.PUBLIC_KEY, keys.IDENTITY))
_CANARIES = ((ObjectClass.SECRET_KEY, keys.CANARY), (ObjectClass.PRIVATE_KEY, keys.CANARY))
_MADE_BY_INIT = (*_IDENTITY, *_CANARIES)
"""Of the canaries one: an AES key, or the private half of an RSA pair."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """One key in the token.

    `verdict`: "ok"; "unknown" (bears no name of ours); "orphaned" (a wrapping key that no record
    and no key generation under way names); "different" (its attributes are not what they must be,
    see `differences`).
    """

    verdict: str
    purpose: str
    label: str
    id: str
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """`exit_code` is 6 where a key is missing or different, else 0."""

    keys: tuple[ListedKey, ...]
    missing: tuple[str, ...]
    exit_code: int


def take(config_path: Path, prompt: bool) -> Inventory:
    """List all keys of the token, and the wrapping keys that records name and the token lacks.

    The running signer is asked; without one, the store is opened.
    """
    running = asked(load_holder(config_path), AdminMethod.INVENTORY, Inventory)
    if running is not None:
        return running
    with opened(config_path, prompt=prompt) as holder:
        return of(holder)


def of(holder: OpenHolder) -> Inventory:
    """The inventory of an opened holder."""
    found = listing(holder.token)
    named = _named_wrapping_keys(holder)
    expected = named.keys() | _keys_being_made(holder)
    listed = tuple(_judged(key, expected) for key in found)
    present = {_named(key) for key in found}
    missing = tuple(
        f"wrapping key of wallet {wallet}, id {key_id.hex()}"
        for key_id, (wallet, object_class) in sorted(named.items())
        if (object_class, key_id, f"{keys.WRAPPING_LABEL_PREFIX}{wallet}") not in present
    )
    missing += tuple(
        f"{name} ({object_class.name.lower().replace('_', ' ')})"
        for object_class, name in _IDENTITY
        if (object_class, name.encode(), name) not in present
    )
    if not any((kind, name.encode(), name) in present for kind, name in _CANARIES):
        missing += (keys.CANARY,)
    damaged = bool(missing) or any(key.verdict == DIFFERENT for key in listed)
    return Inventory(listed, missing, Tampered.exit_code if damaged else 0)


def _named(key: KeyListing) -> tuple[ObjectClass, bytes, str]:
    """What names a key of ours (steps 6.2.2 and 6.2.3)."""
    return key.object_class, key.key_id, key.label


def _named_wrapping_keys(holder: OpenHolder) -> dict[bytes, tuple[str, ObjectClass]]:
    """CKA_ID to wallet id in hex and class, for every wrapping key that an epoch record names."""
    wallet_ids = holder.store.wallet_ids()
    if not wallet_ids:
        return {}
    index, identity = holder.index(), holder.identity()
    named: dict[bytes, tuple[str, ObjectClass]] = {}
    for wallet_id in wallet_ids:
        epochs = holder.store.wallet(wallet_id, index, identity.sign, identity.key.verify)
        for record in epochs.records():
            for uri in (record.kek_uri, *record.extra_uris):
                key = KeyUri.parse(uri)
                named[key.key_id] = (wallet_id.hex(), key.object_class)
    return named


def _keys_being_made(holder: OpenHolder) -> set[bytes]:
    """CKA_IDs of the wrapping keys of key generations that are under way (step 2.6.2)."""
    proposals = holder.store.proposals
    being_made = set()
    for ph in proposals.hashes():
        try:
            wallet_id = Proposal.from_bytes(proposals.load(ph)).terms.wallet_id
        except Tampered:
            if ph in proposals.hashes():
                raise
            continue  # it ended while we looked
        being_made.add(wrapping_key_id(wallet_id, holder.index(), ph, Attempt.NONE, 0))
    return being_made


def _judged(key: KeyListing, expected: Container[bytes]) -> ListedKey:
    wrapping = key.label.startswith(keys.WRAPPING_LABEL_PREFIX)
    of_init = (key.object_class, key.label) in _MADE_BY_INIT and key.key_id == key.label.encode()
    if not key.is_ours or not (wrapping or of_init):
        verdict = UNKNOWN
    elif key.differences:
        verdict = DIFFERENT
    elif wrapping and key.key_id not in expected:
        verdict = ORPHANED
    else:
        verdict = OK
    purpose = key.label.removeprefix("hsm-mpc/").partition("/")[0] if key.is_ours else "foreign"
    shown_id = key.label if of_init else key.key_id.hex()
    return ListedKey(verdict, purpose, key.label, shown_id, key.differences)
