"""An order as whoever signs it, or consents to it, is shown it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsm_mpc.cli.strangers import parts

if TYPE_CHECKING:
    from hsm_mpc.app.order_files import Shown, Written
    from hsm_mpc.app.shown_order import PlannedAdministrators, ShownOrder
    from hsm_mpc.app.shown_repair import PlannedRepair


def text_of(order: Shown) -> str:
    """The whole order, with its end and its name. What strangers may have written at length comes
    first, and what it means last.
    """
    from hsm_mpc.app.shown_order import ShownOrder

    if isinstance(order, ShownOrder):
        lines = overruling(order)
    else:
        lines = [*overruled(order.administrators), *repaired(order.wallet, order.repair)]
    until = f"until        {order.deadline:%Y-%m-%d %H:%M} UTC"
    return "\n".join([*lines, until, f"plan         {order.plan}"])


def question_of(order: Shown) -> str:
    """What is asked before it is signed, or carried out."""
    from hsm_mpc.app.shown_order import ShownOrder

    if isinstance(order, ShownOrder):
        suspects = ", ".join(order.suspects) or "the others"
        return f"Shall wallet {order.wallet} go on without {suspects}? {_survival(order)}."
    return f"Shall {order.repair.lost} get its share of wallet {order.wallet} again?"


def written_text(written: Written) -> str:
    """An order that waits in a file."""
    return f"{text_of(written.order)}\n\n{written.file}: for `hsm-mpc admin sign`"


def overruling(order: ShownOrder) -> list[str]:
    """That an epoch ends although a confirmation is missing."""
    after = order.epoch + 1
    return [
        *(f"reason       {part}" for part in parts(order.reason)),
        *overruled(order.administrators),
        f"suspected    {', '.join(order.suspects) or 'nobody'}",
        f"counted      {', '.join(order.counted)}: each has confirmed epoch {after}",
        f"margin       {_margin(order)}",
        f"ends         epoch {order.epoch}, {order.epoch_hash}",
        f"goes on in   epoch {after}, {order.successor}",
        f"order        wallet {order.wallet}: {order.scheme}, any {order.threshold} sign; the keys "
        f"of epoch {order.epoch} go without {', '.join(order.suspects) or 'the others'}",
        "             sign no second order for that epoch, and count nobody you do not vouch for",
    ]


def repaired(name: str, repair: PlannedRepair) -> list[str]:
    """That a holder gets its lost share again."""
    return [
        *_other_key(repair),
        f"holder       {repair.lost}  {repair.identity_key}",
        f"repair       the share of {repair.lost} in wallet {name}: {repair.scheme}, in epoch "
        f"{repair.epoch}; helped by {', '.join(repair.helpers)}",
    ]


def overruled(administrators: PlannedAdministrators | None) -> list[str]:
    """By whom an order is signed."""
    if administrators is None:
        return []
    quorum = f"{administrators.threshold} of {len(administrators.keys)}"
    return [f"overruled    by {quorum}: {key}" for key in administrators.keys]


def _survival(order: ShownOrder) -> str:
    """How much may still be lost."""
    return f"the key survives {order.survives} further lost HSMs of {', '.join(order.counted)}"


def _margin(order: ShownOrder) -> str:
    if order.survives:
        return _survival(order)
    return f"NONE: if one of {', '.join(order.counted)} loses its HSM, the key may be lost for ever"


def _other_key(repair: PlannedRepair) -> list[str]:
    """Who helps a stranger gives it the share: it cannot be taken back."""
    if repair.identity_key == repair.known_key:
        return []
    return [
        f"another HSM  {repair.lost} has this identity key in the wallet now:",
        f"             {repair.known_key}",
        "             and shall have the next one. Whoever owns that one gets the share: ask",
        f"             the operator of {repair.lost}, by another way, whether it is his. His",
        "             `hsm-mpc holder init` and `hsm-mpc doctor` say it.",
    ]
