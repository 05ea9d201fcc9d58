"""The history of a wallet as a picture: a row per holder, a column per epoch, a mark per key."""

from __future__ import annotations

from enum import Enum
from typing import Final
from xml.sax.saxutils import escape

from hsm_mpc.app.history import ToldEpoch, ToldHistory, ToldOrder

_MOST_COLUMNS: Final = 20
"""In a terminal: what fits into a line, the newest."""


class Mark(Enum):
    """What a holder has of an epoch: a character, a colour, and what both mean."""

    SEALED = ("●", "#2f855a", "has a share, sealed under a key in its HSM")
    DESTROYED = ("×", "#cbd5e0", "its key is destroyed: every copy of the share is noise")
    LOST = ("?", "#d69e2e", "its HSM was lost, which may have the key of its share still")
    NOTHING = ("·", "#ffffff", "has not confirmed a share")
    NO_HOLDER = (" ", "#edf2f7", "is no holder of that epoch")

    def __init__(self, character: str, colour: str, meaning: str) -> None:
        self.character: Final = character
        self.colour: Final = colour
        self.meaning: Final = meaning

    @classmethod
    def of(cls, epoch: ToldEpoch, holder: str) -> Mark:
        """Of one holder in one epoch."""
        if holder in epoch.lost:
            return cls.LOST
        if any(each.holder == holder for each in epoch.destroyed):
            return cls.DESTROYED
        if holder not in epoch.members:
            return cls.NO_HOLDER
        return cls.SEALED if holder in epoch.holders else cls.NOTHING


def verdict(told: ToldHistory) -> str:
    """In one line: whoever got a `ToldHistory` has verified it."""
    newest = told.epochs[-1].epoch
    return f"{told.name}: epochs 0 to {newest} verify, link by link, under the pinned roster"


def text(told: ToldHistory) -> str:
    """For a terminal: the picture, then a sentence for what happened in each epoch."""
    lines = [
        f"{told.name}  ({told.scheme}, any {told.threshold} of {', '.join(told.holders)})",
        "every body, message and signature below was verified under the pinned roster",
        "",
        *picture(told),
        "",
        *(
            line
            for epoch in _newest(told)
            for line in _sentences(epoch, newest=epoch is told.epochs[-1])
        ),
    ]
    if len(_newest(told)) < len(told.epochs):
        lines.append(f"these are the last {_MOST_COLUMNS}; --json and --svg have all")
    return "\n".join(lines)


def picture(told: ToldHistory) -> list[str]:
    """Lines of characters, and what they mean."""
    shown = _newest(told)
    everybody = _ever(told)
    width = max(len(name) for name in ("epoch", *everybody)) + 2
    numbers = [str(epoch.epoch) for epoch in shown]
    lines = [f"{'epoch':<{width}}{' '.join(numbers)}"]
    for holder in everybody:
        marks = (Mark.of(epoch, holder).character for epoch in shown)
        padded = (f"{mark:>{len(number)}}" for mark, number in zip(marks, numbers, strict=True))
        lines.append(f"{holder:<{width}}{' '.join(padded)}")
    return [*lines, "", *(f"{mark.character}  {mark.meaning}" for mark in _marks_in(told))]


def svg(told: ToldHistory) -> str:
    """The same picture as a scalable drawing, with nothing outside of it."""
    cell, label, top = 44, 120, 70
    marks = _marks_in(told)
    across = label + cell * len(told.epochs) + 20
    everybody = _ever(told)
    down = top + cell * len(everybody)
    drawn = [
        _text(10, 24, f"{told.name}: any {told.threshold} of {len(told.holders)}", size=16),
        _text(10, top - 12, "epoch"),
    ]
    for column, epoch in enumerate(told.epochs):
        left = label + cell * column
        drawn.append(_text(left + cell // 2, top - 12, str(epoch.epoch), anchor="middle"))
        for row, holder in enumerate(everybody):
            drawn += _cell(left, top + cell * row, cell, Mark.of(epoch, holder))
    for row, holder in enumerate(everybody):
        drawn.append(_text(10, top + cell * row + cell // 2 + 5, holder))
    for place, mark in enumerate(marks):
        at = down + 16 + 28 * place
        drawn += [*_cell(10, at, 24, mark), _text(44, at + 17, mark.meaning)]
    width, height = max(across, 480), down + 28 * len(marks) + 24
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="14">'
    )
    return "\n".join([head, *drawn, "</svg>", ""])


def _newest(told: ToldHistory) -> tuple[ToldEpoch, ...]:
    return told.epochs[-_MOST_COLUMNS:]


def _ever(told: ToldHistory) -> list[str]:
    """Everybody who has had a share, in the order in which they came."""
    return list(dict.fromkeys(name for epoch in told.epochs for name in epoch.members))


def _marks_in(told: ToldHistory) -> list[Mark]:
    there = {Mark.of(epoch, holder) for epoch in told.epochs for holder in _ever(told)}
    return [mark for mark in Mark if mark in there and mark is not Mark.NO_HOLDER]


def _sentences(epoch: ToldEpoch, *, newest: bool) -> list[str]:
    everybody = set(epoch.members)
    made = f"epoch {epoch.epoch}: {'made' if epoch.epoch == 0 else 'new shares'} by "
    if epoch.shared_anew:
        made = f"epoch {epoch.epoch}: shared anew by "
    lines = [made + ", ".join(epoch.made_by)]
    if epoch.shared_anew:
        lines.append(f"  from then on any {epoch.threshold} of {', '.join(epoch.members)} sign")
    lines += [
        f"  {name} has another HSM since, with another identity key" for name in epoch.replaced
    ]
    lines += [f"  {name} has another identity key since, in the same HSM" for name in epoch.rotated]
    without = sorted(everybody - set(epoch.holders))
    if without:
        lines.append(f"  not confirmed by {', '.join(without)}")
        if newest:  # what `wallet order` calls it
            lines.append(f"  its hash is {epoch.epoch_hash.hex()}")
    lines += [
        f"  key of {each.holder} destroyed at {each.at:%Y-%m-%dT%H:%M:%SZ}"
        for each in epoch.destroyed
    ]
    lines += [f"  the lost HSM of {name} may have its key still" for name in epoch.lost]
    if epoch.order is not None:
        lines += _order_sentences(epoch.order)
    left = sorted(everybody - {each.holder for each in epoch.destroyed})
    if epoch.retired and left:
        lines.append(f"  retired; not destroyed yet by {', '.join(left)}")
    return lines


def _order_sentences(order: ToldOrder) -> list[str]:
    return [
        f"  ended by an ORDER that counts {', '.join(order.counted)}",
        f"  and suspects {', '.join(order.suspects) or 'nobody'}, because: {order.reason}",
    ]


def _cell(left: int, top: int, size: int, mark: Mark) -> list[str]:
    inner = size - 4
    box = (
        f'<rect x="{left + 2}" y="{top + 2}" width="{inner}" height="{inner}" rx="5" '
        f'fill="{mark.colour}" stroke="#a0aec0"/>'
    )
    if mark is not Mark.DESTROYED:
        return [box]
    near, far = size // 4, size - size // 4
    cross = (
        f'<path d="M{left + near} {top + near}L{left + far} {top + far}'
        f'M{left + far} {top + near}L{left + near} {top + far}" stroke="#4a5568" stroke-width="2"/>'
    )
    return [box, cross]


def _text(x: int, y: int, content: str, *, size: int = 14, anchor: str = "start") -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}">{escape(content)}</text>'
    )
