"""An order as a client asks for it: that what is shown to be signed is what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.encoding import u8
from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.order_plan import OrderPlan, RepairPlan, SignablePlan
from hsm_mpc.wire.wallet_calls import indices_to_bytes


@dataclass(frozen=True, slots=True)
class AskedOrder:
    """That a successor replaces an epoch although not enough holders have adopted it (6.5.9)."""

    successor: EpochHash
    suspects: tuple[int, ...]
    """Who is lost, does not answer, or is not believed, ascending."""
    reason: str
    margin_accepted: bool
    """That the key survives no further loss of an HSM."""

    def to_parts(self) -> tuple[bytes, ...]:
        """h', suspects, reason, u8(margin accepted)."""
        accepted = u8(self.margin_accepted)
        return self.successor, indices_to_bytes(self.suspects), self.reason.encode(), accepted

    def plan_in(self, parts: tuple[bytes, ...], terms: WalletTerms) -> OrderPlan:
        """The order in an answer, if it is this one for the wallet of `terms`.

        Raises:
            Tampered: it is not.
        """
        try:
            plan = OrderPlan.from_parts(parts)
        except BadInput as broken:
            raise Tampered(f"the coordinator shows no order: {broken}") from broken
        order = plan.order
        shown = AskedOrder(order.successor, order.suspects, order.reason, order.margin_accepted)
        if shown != self:
            raise Tampered("the coordinator shows another order than what was asked for")
        _require_same_wallet(plan, terms)
        return plan


def repair_plan_in(parts: tuple[bytes, ...], lost: str, terms: WalletTerms) -> RepairPlan:
    """The order in an answer, if it is one of a repair of the share of the holder called `lost` in
    the wallet of `terms`.

    Raises:
        Tampered: it is not.
    """
    try:
        plan = RepairPlan.from_parts(parts)
    except BadInput as broken:
        raise Tampered(f"the coordinator shows no order of a repair: {broken}") from broken
    if plan.roster.member(plan.order.lost).name != lost:
        raise Tampered("the coordinator shows the repair of another holder's share")
    _require_same_wallet(plan, terms)
    return plan


def _require_same_wallet(plan: SignablePlan, terms: WalletTerms) -> None:
    certified = plan.body.terms
    named = (certified.wallet_id, certified.policy_hash, certified.sizes)
    if named != (terms.wallet_id, terms.policy_hash, terms.sizes):
        raise Tampered("the coordinator shows an order for another wallet or policy")
