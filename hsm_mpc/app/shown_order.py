"""An order of administrators, as people are shown it before they sign or consent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hsm_mpc.app.moments import moment
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.policy.rules import Administrators
from hsm_mpc.roster import Roster
from hsm_mpc.succession.order_plan import OrderPlan


@dataclass(frozen=True, slots=True)
class PlannedAdministrators:
    """Any `threshold` of these keys, in hex."""

    threshold: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """An order in full. `plan` is what it is called by."""

    wallet: str
    scheme: str
    epoch: int
    """The one that goes."""
    epoch_hash: str
    """In hex."""
    successor: str
    """Hash of the epoch that takes its place, in hex."""
    counted: tuple[str, ...]
    """Who has confirmed that one, and is vouched for."""
    suspects: tuple[str, ...]
    reason: str
    threshold: int
    survives: int
    """How many of those that are counted may still lose their HSM."""
    administrators: PlannedAdministrators | None
    """Who signs it; None: those that are counted, each with its operator's consent."""
    deadline: datetime
    plan: str


def shown_order(
    order: Order, body: EpochBody, roster: Roster, administrators: Administrators | None
) -> ShownOrder:
    """An order about the epoch of `body`, with the names in `roster`."""
    return ShownOrder(
        wallet=body.terms.name,
        scheme=body.terms.scheme.name.lower(),
        epoch=body.epoch,
        epoch_hash=body.hash.hex(),
        successor=order.successor.hex(),
        counted=tuple(roster.member(index).name for index in order.counted),
        suspects=tuple(roster.member(index).name for index in order.suspects),
        reason=order.reason,
        threshold=body.terms.sizes.t,
        survives=order.margin(body.terms.sizes.t),
        administrators=planned_administrators(administrators),
        deadline=moment(order.deadline),
        plan=Plan.of(order).digest.hex(),
    )


def shown_plan(plan: OrderPlan) -> ShownOrder:
    """What is in a file of `wallet order --plan`."""
    return shown_order(plan.order, plan.body, plan.roster, plan.administrators)


def planned_administrators(administrators: Administrators | None) -> PlannedAdministrators | None:
    """Whose signatures overrule, as people are shown it."""
    if administrators is None:
        return None
    keys = tuple(key.encoded.hex() for key in administrators.keys)
    return PlannedAdministrators(administrators.threshold, keys)
