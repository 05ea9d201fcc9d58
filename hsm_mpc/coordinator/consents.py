"""What holders do together only with every operator's consent, at the relay (step 1.6.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from hsm_mpc.certificates.destruction import Destroy
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.resharing import ReshareOrder
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.encoding import u8
from hsm_mpc.errors import BadInput, NotReady

PLAN_SECONDS: Final = 24 * 3600
"""How long the holders' operators have to consent to a plan."""
TAKES_PART: Final = u8(1)
"""What a holder answers CONSIDER without asking its operator."""
_LONGEST_CEREMONY: Final = 180
"""Seconds before its deadline after which a plan is not begun any more."""

Kept = Proposal | ReshareOrder | Destroy | Order | RepairOrder
"""What a coordinator keeps of plans: each of them it has made itself."""

_Asked = TypeVar("_Asked", Proposal, Destroy, RepairOrder)


class WaitingPlans:
    """The plans of one coordinator that operators are asked about, each until its deadline."""

    def __init__(self, registry: Registry, clock: Callable[[], int]) -> None:
        self._registry = registry
        self._clock = clock

    def of(self, wallet: str) -> list[Kept]:
        """All about the wallet of this name that may still be begun."""
        now, found = self._clock(), list[Kept]()
        for kept in self._registry.plans(wallet):
            try:
                asked = Plan.from_bytes(kept).asked
            except BadInput:
                continue  # of another version: it goes with its deadline
            if isinstance(asked, Rotate):
                continue  # the holder that has the new key keeps that plan itself
            if now + _LONGEST_CEREMONY < asked.deadline <= now + PLAN_SECONDS:
                found.append(asked)
        return found

    def like(self, wallet: str, wished: Callable[[bytes, int], _Asked]) -> _Asked | None:
        """The plan about a wallet that is the same as what is `wished`, given nonce and deadline:
        people are consenting to it.
        """
        for asked in self.of(wallet):
            if isinstance(asked, ReshareOrder):
                continue
            same = wished(asked.nonce, asked.deadline)
            if asked == same:
                return same
        return None

    def resharing(self, wallet: str, wished: Callable[[int], ReshareOrder]) -> ReshareOrder | None:
        """The one about a wallet that is the same as what is `wished`, given the deadline."""
        for asked in self.of(wallet):
            if asked == wished(asked.deadline):
                return wished(asked.deadline)
        return None

    def keep(self, wallet: str, asked: Kept) -> None:
        """Operators were asked: ask about the same plan again.

        Raises:
            Refused: `too-many-plans`.
            BackendError: the registry cannot be written.
        """
        plan = Plan.of(asked).to_bytes()
        self._registry.keep_plan(wallet, plan, asked.deadline, self._clock())

    def drop(self, asked: Kept) -> None:
        """It is carried out, or will never be. Raises: BackendError."""
        self._registry.drop_plan(Plan.of(asked).to_bytes())


def require_consented(links: HolderLinks, plan: Plan, answers: Mapping[int, bytes]) -> None:
    """Every holder would take part now, as it answers CONSIDER.

    Raises:
        NotReady: the operators of some have not consented yet; it names these holders.
    """
    asked = [links.name(index) for index, answer in answers.items() if answer != TAKES_PART]
    if asked:
        raise NotReady(
            f"{', '.join(asked)}: the operator has not consented yet: "
            f"hsm-mpc holder admit {plan.digest.hex()}",
            asked,
        )
