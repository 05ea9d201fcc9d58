"""Whether this holder takes part in a resharing at all (steps 6.8.1 and 1.6.7)."""

from __future__ import annotations

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.consents import Consents, beside_resharing
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.resharing import ReshareOrder
from hsm_mpc.errors import BadInput, Refused
from hsm_mpc.roster import Roster, refuse_lab_mark_outside
from hsm_mpc.succession.lineage import Lineage


def require_possible(
    holder: ActingHolder, order: ReshareOrder, body: EpochBody, lineage: Lineage
) -> None:
    """Every check of a resharing against the own configuration and what is known of the wallet.

    Raises:
        Refused: `other-epoch`, `deadline`, `other-roster`, `roster-not-pinned`, `lab-mark` or
            `quorum-size`.
    """
    if (order.wallet_id, order.epoch_hash) != (body.terms.wallet_id, body.hash):
        raise Refused("other-epoch", "that resharing is of another epoch or wallet")
    if order.deadline < holder.clock():
        raise Refused("deadline", "the time of that plan is over")
    resharing, in_force = order.resharing, lineage.newest.roster
    try:
        resharing.sizes.check_policy(body.terms.scheme)
        resharing.roster.check_succeeds(in_force)
    except BadInput as wrong:
        raise Refused("quorum-size", str(wrong)) from wrong
    except Refused as other:
        raise Refused("other-roster", f"the wallet has another roster by now: {other}") from other
    refuse_lab_mark_outside(resharing.roster.lab, in_lab=holder.lab, what="the new roster")
    _require_known(resharing.roster, in_force, holder, lineage)


def require_consent(
    holder: ActingHolder,
    consents: Consents,
    order: ReshareOrder,
    body: EpochBody,
    in_force: Roster,
) -> None:
    """A holder of a lab-marked roster consents by itself (step 1.6.7). Raises: Refused."""
    if holder.asks_operator or not holder.roster.lab:
        consents.require(Plan.of(order), beside_resharing(body, in_force))


def require_no_lost_key(holder: ActingHolder, roster: Roster) -> None:
    """Since the resharing to these was agreed, nobody has another HSM or key.

    Raises:
        Refused: `other-roster`.
    """
    lost = holder.lost_keys()
    for member in roster.members:
        if member.key in lost:
            raise Refused("other-roster", f"holder {member.name} has another identity key by now")


def _require_known(new: Roster, in_force: Roster, holder: ActingHolder, lineage: Lineage) -> None:
    """Nobody gets a share whom this holder's operator has not pinned: each new holder stands in the
    roster in force, or in the pinned one, maybe with a key that has replaced the one there. No key
    that another one has replaced since gets one, of whichever wallet that is known.
    """
    pinned = [lineage.now(each) for each in holder.keys.pinned.members]
    lost = lineage.lost_keys | holder.lost_keys()
    for member in new.members:
        if member in in_force.members and member.key not in lost:
            continue
        known = [each for each in in_force.members if each.name == member.name]
        if known and member not in known:
            raise Refused("other-roster", f"holder {member.name} has another identity key")
        if member.key in lost:
            raise Refused(
                "roster-not-pinned", f"holder {member.name} has another identity key by now"
            )
        if member not in pinned:
            raise Refused(
                "roster-not-pinned",
                f"holder {member.name} is not in the roster that is pinned here",
            )
