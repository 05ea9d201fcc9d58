"""An order that is to be signed, with all that tells people what it is about.

Whoever signs it needs nothing else, and believes nobody: the order names the epoch by its hash, and
the epoch's body names roster and policy by theirs. An order that a successor takes an epoch's place
has its certificate beside it, and the DONEs that it counts.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final, TypeVar

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.errors import BadInput, InvalidSignature, Tampered
from hsm_mpc.policy.rules import Administrators
from hsm_mpc.roster import Roster
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.ordering import administrators_in, check_terms, replaced_in
from hsm_mpc.succession.repairing import check_offer
from hsm_mpc.succession.retirement import check_adopted
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle, unbundled

_REPAIR_PARTS: Final = 4
_ORDER_PARTS: Final = 7

_Ordered = TypeVar("_Ordered", Order, RepairOrder)
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

    order: Order | RepairOrder
    body: EpochBody
    """Of the epoch that goes, or whose share is repaired."""
    roster: Roster
    policy_file: bytes

    def __post_init__(self) -> None:
        if self.roster.hash != self.body.terms.roster_hash:
            raise BadInput("order: the roster is not the certified one")
        administrators_in(self.policy_file, self.body)
        self._check()

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

    @abstractmethod
    def to_parts(self) -> tuple[bytes, ...]:
        """As a coordinator answers it."""

    @classmethod
    @abstractmethod
    def from_parts(cls: type[_Signable], parts: tuple[bytes, ...]) -> _Signable:
        """Inverse of `to_parts`; `BadInput` for anything else."""

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

    order: Order
    certificate: bytes
    """Payload of CERT of the successor."""
    amendments: tuple[bytes, ...]
    """All of the roster, also those that it has not carried."""
    dones: tuple[bytes, ...]
    """DONE messages of those that are counted."""

    def _check(self) -> None:
        try:
            lineage = Lineage.of((), self.amendments, self.body.terms, KeyBook(self.roster, {}))
            lost = replaced_in(lineage, self.body.hash)
            check_terms(self.order, self.body, lost)
            if lost.intersection(self.order.counted):
                raise BadInput("order: it counts a holder that has another HSM since")
            certificate = SuccessorCertificate.from_bytes(self.certificate)
            if certificate.body.hash != self.order.successor:
                raise BadInput("order: the certificate is of another successor")
            certificate.verify(self.body, lineage.stages[0].book)
            keys = lineage.voters(self.body.terms.roster_hash, certificate)
            check_adopted(self.order, self.dones, self.body, keys)
        except (InvalidSignature, Tampered) as broken:
            raise BadInput(f"order: it rests on nothing: {broken}") from broken

    def to_parts(self) -> tuple[bytes, ...]:
        """PLAN, body, roster, policy file, CERT, all amendments and all DONEs bundled."""
        proof = self.certificate, bundle(self.amendments), bundle(self.dones)
        return (*_parts(self), *proof)

    @classmethod
    def from_parts(cls, parts: tuple[bytes, ...]) -> OrderPlan:
        """Inverse of `to_parts`; `BadInput` for anything else."""
        order, body, roster = _read(parts, Order, _ORDER_PARTS)
        proof = parts[4], unbundled(parts[5]), unbundled(parts[6])
        return cls(order, body, roster, parts[3], *proof)


@dataclass(frozen=True, slots=True)
class RepairPlan(SignablePlan):
    """That a holder gets its lost share again (step 6.7.2)."""

    tag = Tag.REPAIR_ORDER

    order: RepairOrder

    def _check(self) -> None:
        check_offer(self.order, self.body)

    def to_parts(self) -> tuple[bytes, ...]:
        """PLAN, body, roster, policy file."""
        return _parts(self)

    @classmethod
    def from_parts(cls, parts: tuple[bytes, ...]) -> RepairPlan:
        """Inverse of `to_parts`; `BadInput` for anything else."""
        return cls(*_read(parts, RepairOrder, _REPAIR_PARTS), parts[3])


def _parts(plan: SignablePlan) -> tuple[bytes, bytes, bytes, bytes]:
    """PLAN, body, roster, policy file."""
    return plan.plan.to_bytes(), plan.body.to_bytes(), plan.roster.to_bytes(), plan.policy_file


def _read(
    parts: tuple[bytes, ...], kind: type[_Ordered], count: int
) -> tuple[_Ordered, EpochBody, Roster]:
    """The first three of so many. Raises: BadInput: they are none."""
    if len(parts) != count:
        raise BadInput(f"an order in {len(parts)} parts")
    order = Plan.from_bytes(parts[0]).asked
    if not isinstance(order, kind):
        raise BadInput("order: a plan for something else")
    return order, EpochBody.from_bytes(parts[1]), Roster.from_bytes(parts[2])


def signable_in(source: bytes) -> OrderPlan | RepairPlan:
    """Whichever is in a file. Raises: BadInput: none is."""
    parts = unbundled(source)
    repairs = bool(parts) and isinstance(Plan.from_bytes(parts[0]).asked, RepairOrder)
    return RepairPlan.from_parts(parts) if repairs else OrderPlan.from_parts(parts)
