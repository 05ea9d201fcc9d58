"""What the relay does with whole messages of which there is one of each holder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hsm_mpc.wire.envelope import parse_envelope
from tests.malice.bench import DEALER, RELAY, Bench, Tamper
from tests.malice.ceremony import Ceremony
from tests.malice.envelopes import by_its_sender, signed_again
from tests.malice.fields import Change, Field

Rearranged = Callable[[Sequence[bytes]], list[bytes]]

_LISTS: Final[Mapping[tuple[str, str], Rearranged]] = {
    ("that of h2 is missing", "dropped"): lambda all_: [all_[0], all_[2]],
    ("that of h2 is there twice", "doubled"): lambda all_: [*all_, all_[1]],
    ("that of h2 in place of h3's", "doubled"): lambda all_: [all_[0], all_[1], all_[1]],
    ("those of h2 and h3 exchanged", "swapped"): lambda all_: [all_[0], all_[2], all_[1]],
    ("none at all", "dropped"): lambda _: [],
}


def carried(bench: Bench, other: Ceremony, another: str) -> None:
    """`another` is a kind of message that is not this one; `other` is another session."""
    stage, world = bench.stage, bench.world
    for (what, how), rearranged in _LISTS.items():
        bench.run(what, how, RELAY, _listed(rearranged))
    bench.run("that of another session", "replayed", RELAY, _taken_from(other, stage))
    bench.run(
        f"{another} in its place", "sent in another round", RELAY, _taken_from(other, another)
    )
    theirs = other.message(stage)
    payload = Field("", lambda _: parse_envelope(theirs).payload)
    bench.run(
        "payload of another session", "replayed", DEALER, _said(by_its_sender(world, payload))
    )
    signed = parse_envelope(theirs).signed_part
    bench.run(
        "that of another session, sent in this wallet",
        "replayed",
        DEALER,
        _said(lambda source: signed_again(world, source, signed[:7] + source[7:23] + signed[23:])),
    )


def exchanged(ceremony: Ceremony) -> None:
    """Those of h2 and h3 stand in each other's place."""
    _listed(_LISTS["those of h2 and h3 exchanged", "swapped"])(ceremony)


def _listed(rearranged: Rearranged) -> Tamper:
    def tamper(ceremony: Ceremony) -> None:
        lists = ceremony.sent[ceremony.reached]
        ceremony.sent[ceremony.reached] = {
            index: rearranged(messages) for index, messages in lists.items()
        }

    return tamper


def _taken_from(other: Ceremony, stage: str) -> Tamper:
    message = other.message(stage)
    return lambda ceremony: ceremony.change(ceremony.reached, lambda _: message)


def _said(change: Change) -> Tamper:
    """By the liar, to the others."""
    return lambda ceremony: ceremony.change(ceremony.reached, change, [1, 3])
