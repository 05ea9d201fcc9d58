"""An order as whoever signs it, or consents to it, is shown it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsm_mpc.cli.strangers import parts

if TYPE_CHECKING:
    from hsm_mpc.app.shown_order import PlannedAdministrators, ShownOrder


def lines_of(order: ShownOrder) -> list[str]:
    """What strangers may have written at length comes first, and what it means last."""
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


def text_of(order: ShownOrder) -> str:
    """The whole order, with its end and its name."""
    until = f"until        {order.deadline:%Y-%m-%d %H:%M} UTC"
    return "\n".join([*lines_of(order), until, f"plan         {order.plan}"])


def survival(order: ShownOrder) -> str:
    """How much may still be lost."""
    return f"the key survives {order.survives} further lost HSMs of {', '.join(order.counted)}"


def overruled(administrators: PlannedAdministrators | None) -> list[str]:
    """By whom an order is signed."""
    if administrators is None:
        return []
    quorum = f"{administrators.threshold} of {len(administrators.keys)}"
    return [f"overruled    by {quorum}: {key}" for key in administrators.keys]


def _margin(order: ShownOrder) -> str:
    if order.survives:
        return survival(order)
    return f"NONE: if one of {', '.join(order.counted)} loses its HSM, the key may be lost for ever"
