"""An order that is to be signed, with all that tells people what it is about.

Whoever signs it needs nothing else, and believes nobody: the order names the epoch by its hash, and
the epoch's body names roster and policy by theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Plan, PlanKind
from hsm_mpc.errors import BadInput
from hsm_mpc.policy.rules import Administrators
from hsm_mpc.roster import Roster
from hsm_mpc.succession.ordering import administrators_in, check_terms
from hsm_mpc.wire.envelope import bundle, unbundled

PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """An order without signatures.

    Raises:
        BadInput: from the constructor: body, roster or policy are not those that it names; or no
            such order can be.
    """

    order: Order
    body: EpochBody
    """Of the epoch that goes."""
    roster: Roster
    policy_file: bytes

    def __post_init__(self) -> None:
        check_terms(self.order, self.body, ())
        if self.roster.hash != self.body.terms.roster_hash:
            raise BadInput("order: the roster is not the certified one")
        administrators_in(self.policy_file, self.body)

    @property
    def administrators(self) -> Administrators | None:
        """Who signs it; None: the holders that it counts."""
        return administrators_in(self.policy_file, self.body)

    @property
    def plan(self) -> Plan:
        """What is consented to, and what people call it by."""
        return Plan.of(self.order)

    def to_parts(self) -> tuple[bytes, ...]:
        """PLAN, body, roster, policy file."""
        return self.plan.to_bytes(), self.body.to_bytes(), self.roster.to_bytes(), self.policy_file

    @classmethod
    def from_parts(cls, parts: tuple[bytes, ...]) -> OrderPlan:
        """Inverse of `to_parts`; `BadInput` for anything else."""
        if len(parts) != PARTS:
            raise BadInput(f"an order in {len(parts)} parts")
        plan = Plan.from_bytes(parts[0])
        if plan.kind is not PlanKind.ORDER:
            raise BadInput("order: a plan for something else")
        order, body = Order.from_terms(plan.content), EpochBody.from_bytes(parts[1])
        return cls(order, body, Roster.from_bytes(parts[2]), parts[3])

    def to_bytes(self) -> bytes:
        """The parts in a file."""
        return bundle(self.to_parts())

    @classmethod
    def from_bytes(cls, source: bytes) -> OrderPlan:
        """Inverse of `to_bytes`; `BadInput` for anything else."""
        return cls.from_parts(unbundled(source))
