"""AMENDMENT → the wallet's roster: another holder was repaired onto another HSM (step 6.7.2)."""

from __future__ import annotations

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.repair.orders import policy_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import BadInput, InvalidSignature, ProtocolAbort, Refused
from hsm_mpc.succession.amendment import Amendment
from hsm_mpc.succession.lineage import Lineage


def amend(holder: ActingHolder, body: EpochBody, source: bytes) -> None:
    """Take it in; a repeat changes nothing. It proves itself, whoever carried it.

    Args:
        body: of the newest epoch here.

    Raises:
        Refused: `other-roster`: it amends another roster than the one in force; `administrators`.
        ProtocolAbort: it does not hold. No holder is to blame.
    """
    known, wallet_id = holder.lineage(body.terms), body.terms.wallet_id
    try:
        amendment = Amendment.from_bytes(source)
        begun = known.book(amendment.order.roster_hash)
        joined = known.joined(Lineage.of([source], body.terms, begun))
    except (BadInput, InvalidSignature) as broken:
        raise ProtocolAbort(f"an amendment that does not hold: {broken}") from broken
    if joined is known:
        return
    if amendment.order.roster_hash != known.hashes[-1]:
        raise Refused("other-roster", "the roster in force here is another one")
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
            "roster_hash": joined.hashes[-1].hex(),
        },
    )
    holder.keep_lineage(wallet_id, joined)
