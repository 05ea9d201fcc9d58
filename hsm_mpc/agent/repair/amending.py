"""AMENDMENT → the wallet's roster: another holder was repaired onto another HSM (step 6.7.2)."""

from __future__ import annotations

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.repair.orders import policy_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import BadInput, InvalidSignature, ProtocolAbort, Refused
from hsm_mpc.succession.amendment import Amendment
from hsm_mpc.succession.lineage import Lineage, changes_in


def amend(holder: ActingHolder, body: EpochBody, source: bytes) -> None:
    """Take it in; a repeat changes nothing. It proves itself, whoever carried it.

    Args:
        body: of the newest epoch here.

    Raises:
        Refused: `other-roster`: another key has taken the place of that one; `administrators`.
        ProtocolAbort: it does not hold. No holder is to blame.
    """
    known, wallet_id = holder.lineage(body.terms), body.terms.wallet_id
    try:
        amendment = Amendment.from_bytes(source)
        _require_first(known, body, amendment)
        joined = known.with_pending(source)
    except (BadInput, InvalidSignature) as broken:
        raise ProtocolAbort(f"an amendment that does not hold: {broken}") from broken
    if joined is known:
        return
    if policy_of(holder, body).administrators is not None:
        raise Refused("administrators", "they amend no roster in this version")
    order = amendment.order
    holder.audit(
        "roster-amended",
        {
            "wallet_id": wallet_id.hex(),
            "name": body.terms.name,
            "holder": order.lost,
            "identity_key": order.identity_key.encoded.hex(),
            "roster_hash": joined.newest.roster.hash.hex(),
        },
    )
    holder.keep_lineage(wallet_id, joined)


def _require_first(known: Lineage, body: EpochBody, amendment: Amendment) -> None:
    """Of two that replace one key the first counts. Raises: Refused: `other-roster`."""
    lost, before, after = amendment.change
    for other, replaced, by in changes_in(known.to_carry(body.terms.roster_hash)):
        if (other, replaced) == (lost, before) and by != after:
            raise Refused("other-roster", "another key has taken the place of that one here")
