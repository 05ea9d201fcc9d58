"""An order that is to be signed, with all that tells people what it is about.

Whoever signs it needs nothing else, and believes nobody: the order names the epoch by its hash, and
the epoch's body names roster and policy by theirs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.errors import BadInput
from hsm_mpc.policy.rules import Administrators
from hsm_mpc.roster import Roster
from hsm_mpc.succession.ordering import administrators_in, check_terms
from hsm_mpc.succession.repairing import check_offer
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import bundle, unbundled

PARTS: Final = 4

_Signable = TypeVar("_Signable", bound="SignablePlan")


@dataclass(frozen=True, slots=True)
class SignablePlan(ABC):
    """What administrators sign: an order without signatures.

    Raises:
        BadInput: from the constructor: body, roster or policy are not those that it names; or no
            such order can be.
    """

    tag: ClassVar[Tag]
    """With which `order.terms` is signed."""
    _ordered: ClassVar[type[Order | RepairOrder]]

    order: Order | RepairOrder
    body: EpochBody
    """Of the epoch that goes, or whose share is repaired."""
    roster: Roster
    policy_file: bytes

    def __post_init__(self) -> None:
        self._check()
        if self.roster.hash != self.body.terms.roster_hash:
            raise BadInput("order: the roster is not the certified one")
        administrators_in(self.policy_file, self.body)

    @abstractmethod
    def _check(self) -> None:
        """Such an order about this epoch can be. Raises: BadInput."""

    @property
    def administrators(self) -> Administrators | None:
        """Who signs it; None: holders only."""
        return administrators_in(self.policy_file, self.body)

    @property
    def plan(self) -> Plan:
        """What is consented to, and what people call it by."""
        return Plan.of(self.order)

    def to_parts(self) -> tuple[bytes, ...]:
        """PLAN, body, roster, policy file."""
        return self.plan.to_bytes(), self.body.to_bytes(), self.roster.to_bytes(), self.policy_file

    @classmethod
    def from_parts(cls: type[_Signable], parts: tuple[bytes, ...]) -> _Signable:
        """Inverse of `to_parts`; `BadInput` for anything else."""
        if len(parts) != PARTS:
            raise BadInput(f"an order in {len(parts)} parts")
        order = Plan.from_bytes(parts[0]).asked
        if not isinstance(order, cls._ordered):
            raise BadInput("order: a plan for something else")
        return cls(order, EpochBody.from_bytes(parts[1]), Roster.from_bytes(parts[2]), parts[3])

    def to_bytes(self) -> bytes:
        """The parts in a file."""
        return bundle(self.to_parts())

    @classmethod
    def from_bytes(cls: type[_Signable], source: bytes) -> _Signable:
        """Inverse of `to_bytes`; `BadInput` for anything else."""
        return cls.from_parts(unbundled(source))


@dataclass(frozen=True, slots=True)
class OrderPlan(SignablePlan):
    """That a successor replaces an epoch although a confirmation is missing (step 6.5.9)."""

    tag = Tag.ORDER
    _ordered = Order

    order: Order

    def _check(self) -> None:
        check_terms(self.order, self.body, ())


@dataclass(frozen=True, slots=True)
class RepairPlan(SignablePlan):
    """That a holder gets its lost share again (step 6.7.2)."""

    tag = Tag.REPAIR_ORDER
    _ordered = RepairOrder

    order: RepairOrder

    def _check(self) -> None:
        check_offer(self.order, self.body)


def signable_in(source: bytes) -> OrderPlan | RepairPlan:
    """Whichever is in a file. Raises: BadInput: none is."""
    parts = unbundled(source)
    repairs = bool(parts) and isinstance(Plan.from_bytes(parts[0]).asked, RepairOrder)
    return RepairPlan.from_parts(parts) if repairs else OrderPlan.from_parts(parts)
