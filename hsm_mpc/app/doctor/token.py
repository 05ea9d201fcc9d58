"""What a token does, keeps and gives away, for whoever is logged in: found by trying."""

from __future__ import annotations

from typing import Final

from hsm_mpc.app.doctor.findings import Finding, fail, ok, warn
from hsm_mpc.errors import BackendError
from hsm_mpc.hsm.giveaways import giveaways as found_giveaways
from hsm_mpc.hsm.register_objects import Form
from hsm_mpc.hsm.room import OBJECTS_OF_A_WALLET, VALUE_BYTES, try_room
from hsm_mpc.hsm.selftest import Finding as Capability
from hsm_mpc.hsm.selftest import self_test
from hsm_mpc.hsm.token import Token

_ANOTHER: Final = "use another token"
_LEAST_FREE_BYTES: Final = 64 << 10
"""What some ten wallets need."""


def capabilities(token: Token) -> list[Finding]:
    """Each thing that a holder needs done; and the form of its registers (step 6.2.1a)."""
    tried = self_test(token)
    return [*(_capability(each) for each in tried.findings), _registers(tried.register_form)]


def _capability(tried: Capability) -> Finding:
    if tried.failure:
        return fail("capability", f"{tried.capability}: {tried.failure}", _ANOTHER)
    message = f"{tried.capability}: tried, works"
    if not tried.instead_of:
        return ok("capability", message)
    return warn("capability", f"{message}; instead of {'; '.join(tried.instead_of)}")


def _registers(form: Form | None) -> Finding:
    if form is None:
        return fail("registers", "none: the line of this capability says why", _ANOTHER)
    return ok("registers", form.words)


def room(token: Token) -> list[Finding]:
    """For the next wallet, by taking it; and how much there is, where the token tells."""
    try:
        try_room(token)
    except BackendError as failure:
        mend = "make room: hsm-mpc inventory names keys that nobody needs"
        return [fail("room", f"not for one more wallet: {failure}", mend, BackendError.exit_code)]
    tried = f"{OBJECTS_OF_A_WALLET} objects, as one more wallet needs, were made and destroyed"
    free = token.info().free_private_bytes
    if free is None or free < OBJECTS_OF_A_WALLET * VALUE_BYTES:  # NSS: less than it just gave
        return [ok("room", f"{tried}; the token does not tell how much is free")]
    told = f"{tried}; {free // 1024} KiB free, says the token"
    if free < _LEAST_FREE_BYTES:
        return [warn("room", told, "make room before it is full")]
    return [ok("room", told)]


def giveaways(token: Token) -> list[Finding]:
    """What it gives away of keys that it says it keeps."""
    mend = "use another token, or accept it: hsm.accept_findings in holder.yaml"
    return [
        warn("giveaway", f"{found.name}, accepted: {found.meaning}", _ANOTHER)
        if found.name in token.accepted_findings
        else fail("giveaway", f"{found.name}: {found.meaning}", mend)
        for found in found_giveaways(token)
    ] or [ok("giveaway", "none: wrapping out a key that must stay was tried")]
