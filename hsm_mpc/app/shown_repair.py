"""A repair of a share, as people are shown it before they sign or consent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hsm_mpc.app.moments import moment
from hsm_mpc.app.shown_order import PlannedAdministrators, planned_administrators
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.roster import Roster
from hsm_mpc.succession.order_plan import RepairPlan


@dataclass(frozen=True, slots=True)
class PlannedRepair:
    """A holder that has lost its share gets it again from others, who learn nothing."""

    scheme: str
    epoch: int
    lost: str
    identity_key: str
    """Of that holder, in hex."""
    known_key: str
    """The one that it has in this wallet now; another one: it has lost its HSM, too."""
    helpers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownRepair:
    """A repair in full, for administrators. `plan` is what it is called by."""

    wallet: str
    repair: PlannedRepair
    threshold: int
    administrators: PlannedAdministrators | None
    """Who signs it, besides the operators of those that take part; None: nobody."""
    deadline: datetime
    plan: str


def planned_repair(order: RepairOrder, body: EpochBody, roster: Roster) -> PlannedRepair:
    """A repair in the epoch of `body`, with the names in `roster`."""
    return PlannedRepair(
        scheme=body.terms.scheme.name.lower(),
        epoch=body.epoch,
        lost=roster.member(order.lost).name,
        identity_key=order.identity_key.encoded.hex(),
        known_key=order.known_key.encoded.hex(),
        helpers=tuple(roster.member(helper).name for helper in order.helpers),
    )


def shown_repair(plan: RepairPlan) -> ShownRepair:
    """What is in a file of `wallet repair --plan`."""
    return ShownRepair(
        wallet=plan.body.terms.name,
        repair=planned_repair(plan.order, plan.body, plan.roster),
        threshold=plan.body.terms.sizes.t,
        administrators=planned_administrators(plan.administrators),
        deadline=moment(plan.order.deadline),
        plan=plan.plan.digest.hex(),
    )
