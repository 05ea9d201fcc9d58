"""What is explored: one row is one model, in full, and one counter-example a rule less than 6.5 has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Quorum:
    """t of n holders; `join` is J, `adopt` is W (6.1.3)."""

    threshold: int
    holders: int
    join: int
    adopt: int

    def __str__(self) -> str:
        return f"{self.threshold}-of-{self.holders}, {self.join}, {self.adopt}"


TWO_OF_THREE: Final = Quorum(2, 3, 2, 3)
THREE_OF_THREE: Final = Quorum(3, 3, 3, 3)
TWO_OF_FOUR: Final = Quorum(2, 4, 3, 3)
THREE_OF_FOUR: Final = Quorum(3, 4, 3, 4)
TWO_OF_FIVE: Final = Quorum(2, 5, 4, 3)
THREE_OF_FIVE: Final = Quorum(3, 5, 3, 5)
FOUR_OF_FIVE: Final = Quorum(4, 5, 4, 5)


@dataclass(frozen=True)
class Model:
    """`attempts` of each succession; at most so many of what may befall; words that main.c knows."""

    quorum: Quorum
    attempts: tuple[int, ...]
    traitors: int = 0
    losses: int = 0
    restores: int = 0
    repairs: int = 0
    words: str = ""

    def arguments(self) -> Iterator[str]:
        """For the program of main.c."""
        quorum = self.quorum
        yield from (f"n={quorum.holders}", f"t={quorum.threshold}")
        yield from (f"j={quorum.join}", f"w={quorum.adopt}")
        yield from (f"{name}={count}" for name, count in zip("ab", self.attempts, strict=False))
        yield from (f"x={self.traitors}", f"l={self.losses}")
        yield from (f"d={self.restores}", f"r={self.repairs}")
        yield from self.words.split()


@dataclass(frozen=True)
class Row:
    """Nothing is broken in it. `long`: not in the gate."""

    model: Model
    long: bool = False


@dataclass(frozen=True)
class CounterExample:
    """The rule that is weaker here, and the invariant that falls first."""

    name: str
    words: str
    model: Model
    broken: str
    long: bool = False


def _rows(long: bool, *models: Model) -> tuple[Row, ...]:
    return tuple(Row(model, long) for model in models)


def _both(quorum: Quorum, attempts: int, *befalls: int, words: str = "") -> tuple[Model, Model]:
    """Without ORDER and with it."""
    plain = Model(quorum, (attempts,), *befalls, words=words)
    ordered = Model(quorum, (attempts,), *befalls, words=f"order {words}".strip())
    return plain, ordered


MENDED: Final = "deliveries announced carried"
"""v is followed, with both mended rules of this page."""

PARTS: Final[Mapping[str, tuple[Row, ...]]] = {
    "As in 6.9.1": (
        *_rows(
            False,
            *_both(THREE_OF_THREE, 3),
            *_both(TWO_OF_THREE, 3, 1),
            *_both(TWO_OF_THREE, 3, 1, words="equal"),
            Model(TWO_OF_THREE, (2,), 0, 0, 1, words="order progress"),
            *_both(TWO_OF_FOUR, 2, 1),
            Model(THREE_OF_FOUR, (2,), 1, words="order"),
            Model(FOUR_OF_FIVE, (2,), 1, words="order"),
            Model(THREE_OF_FIVE, (1,), 0, 2, 1, 1),
        ),
        *_rows(
            True,
            *_both(TWO_OF_THREE, 3, 1, 0, 1),
            Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="order progress"),
            *_both(TWO_OF_THREE, 2, 0, 1, 1, 1, words="progress"),
            Model(THREE_OF_FIVE, (1,), 0, 2, 1, 1, words="order"),
            *_both(THREE_OF_FIVE, 2, 1),
            *_both(THREE_OF_FIVE, 3, 2),
            *_both(THREE_OF_FIVE, 3, 2, words="equal"),
            Model(THREE_OF_FIVE, (2,), words="progress"),
            Model(THREE_OF_FIVE, (2,), 1, 1, 0, 1),
            *_both(TWO_OF_FIVE, 2, 1),
            *_both(TWO_OF_THREE, 3, words="progress"),
            Model(TWO_OF_FOUR, (2,), 0, 1, 0, 1),
            Model(THREE_OF_FOUR, (2,), 0, 1, 0, 1, words="order"),
            *_both(THREE_OF_FOUR, 2, 0, 1, 1, 1),
            Model(TWO_OF_THREE, (3,), 0, 0, 1),
            Model(THREE_OF_FIVE, (2,), 0, 1),
            Model(THREE_OF_FIVE, (2,), 0, 0, 1),
        ),
    ),
    "Each write and each call a step": (
        *_rows(
            False,
            Model(TWO_OF_THREE, (1,), 0, 1, 1, 1, words="fine"),
            Model(TWO_OF_THREE, (2,), 1, words="order fine"),
            Model(TWO_OF_FOUR, (1,), words="fine progress"),
        ),
        *_rows(
            True,
            Model(TWO_OF_THREE, (2,), words="fine progress"),
            Model(TWO_OF_THREE, (2,), 1, 0, 1, words="order fine"),
            Model(THREE_OF_FIVE, (2,), 2, words="fine"),
        ),
    ),
    "Two successions in a row": (
        *_rows(
            False,
            Model(TWO_OF_THREE, (1, 1), 0, 1, 0, 1, words="progress"),
            Model(TWO_OF_THREE, (1, 1), words="order fine progress"),
            Model(TWO_OF_THREE, (2, 1), words="progress"),
            Model(TWO_OF_THREE, (2, 2), 1),
            Model(TWO_OF_THREE, (1, 1), words=f"order progress {MENDED}"),
        ),
        *_rows(
            True,
            Model(TWO_OF_THREE, (1, 1), 0, 1, 0, 1, words="order progress"),
            Model(TWO_OF_THREE, (1, 1), 0, 1, 0, 1, words=f"order {MENDED}"),
            Model(TWO_OF_THREE, (1, 1), 0, 0, 1, words=f"order progress {MENDED}"),
            Model(TWO_OF_THREE, (1, 2), words="progress"),
            Model(TWO_OF_THREE, (1, 2), words=f"order progress {MENDED}"),
            Model(TWO_OF_FOUR, (1, 1), 0, 2, words=MENDED),
            Model(TWO_OF_FOUR, (1, 1), words=f"progress {MENDED}"),
        ),
    ),
    "Staged shares dropped (6.5.10)": (
        *_rows(
            False,
            Model(TWO_OF_THREE, (2,), words="order progress drops"),
            Model(TWO_OF_THREE, (2,), 0, 0, 1, words="progress drops"),
            Model(TWO_OF_FOUR, (2,), 1, words="drops"),
        ),
        *_rows(
            True,
            Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="progress drops"),
            Model(TWO_OF_THREE, (3,), 1, 0, 1, words="drops"),
            Model(TWO_OF_THREE, (3,), words="progress drops"),
            Model(THREE_OF_FIVE, (2,), 2, words="drops"),
        ),
    ),
    "Traitors and losses under ORDER, in the bound of 6.1.3": (
        *_rows(False, Model(THREE_OF_FIVE, (1,), 1, 1, 0, 1, words="order bounded")),
        *_rows(True, Model(THREE_OF_FIVE, (2,), 1, 1, words="order bounded")),
    ),
    "Weaker rules that broke nothing by themselves": _rows(
        True,
        Model(TWO_OF_THREE, (2,), words="order ack_below_promise"),
        Model(TWO_OF_THREE, (2,), words="order uncertified"),
        Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="order two_orders"),
        Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="order forgets"),
        Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="order adopter_helps"),
    ),
}

COUNTER_EXAMPLES: Final = (
    CounterExample(
        "W = t",
        "destroy after the DONEs of t holders: the traitor's is one of them",
        Model(Quorum(2, 3, 2, 2), (1,), 1),
        "I2",
    ),
    CounterExample(
        "W = t, 3-of-5",
        "the same with two traitors",
        Model(Quorum(3, 5, 3, 3), (1,), 2),
        "I2",
    ),
    CounterExample(
        "no_report",
        "6.5.2: JOIN reports no adoption, so every PROPOSE is NEW",
        Model(TWO_OF_THREE, (2,), 0, words="order no_report"),
        "I1",
    ),
    CounterExample(
        "J + W = n + 1",
        "6.1.3: a replaced holder has lost its vote, although it takes over the registers of others",
        Model(Quorum(2, 3, 2, 2), (2,), 0, 1, 0, 1),
        "I1",
        long=True,
    ),
    CounterExample(
        "register_on_disk, W = 2 of 3",
        "6.2: the register is rolled back with the disk, one restore",
        Model(Quorum(2, 3, 2, 2), (2,), 0, 0, 1, words="register_on_disk"),
        "I1",
        long=True,
    ),
    CounterExample(
        "register_on_disk, W = 3 of 3",
        "the same with two restores",
        Model(TWO_OF_THREE, (2,), 0, 0, 2, words="register_on_disk"),
        "I1",
        long=True,
    ),
    CounterExample(
        "replaced_counts",
        "6.5.9: the DONE of a holder that was replaced since counts for an ORDER",
        Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="order replaced_counts"),
        "I1",
        long=True,
    ),
    CounterExample(
        "ORDER on t DONEs, 3-of-5",
        "6.1.3: with one traitor one counted holder is lost, and no bound is kept",
        Model(THREE_OF_FIVE, (1,), 1, 1, 0, 1, words="order"),
        "I2",
    ),
    CounterExample(
        "ORDER on t DONEs, 2-of-4",
        "the same",
        Model(TWO_OF_FOUR, (1,), 1, 1, words="order"),
        "I2",
    ),
    CounterExample(
        "promise_disobeys",
        "6.5.9: who promised a higher attempt and adopted nothing does not obey the ORDER",
        Model(TWO_OF_THREE, (3,), words="order promise_disobeys progress"),
        "progress",
        long=True,
    ),
    CounterExample(
        "liar_counts",
        "6.5.9: a traitor's DONE counts for an ORDER",
        Model(TWO_OF_THREE, (1,), 1, words="order liar_counts"),
        "I2",
    ),
    CounterExample(
        "vote_below_promise",
        "6.5.1: DONE in an attempt below the promise",
        Model(TWO_OF_THREE, (2,), 1, words="vote_below_promise"),
        "I1",
    ),
    CounterExample(
        "unopened_retires",
        "6.5.7: e is retired although the own share of h' does not open",
        Model(TWO_OF_THREE, (1,), 0, 1, words="order unopened_retires"),
        "I2",
    ),
    CounterExample(
        "either_register",
        "6.2.1: a start that finds two register objects keeps either of them",
        Model(TWO_OF_THREE, (2,), 1, words="order fine either_register"),
        "I1",
    ),
    CounterExample(
        "any_epoch",
        "6.3: the JOIN of another succession counts",
        Model(TWO_OF_THREE, (1, 2), 1, words="any_epoch"),
        "I1",
    ),
    CounterExample(
        "unproven",
        "6.1.4: the next succession is joined before the retirement of e is proven",
        Model(TWO_OF_THREE, (1, 1), words="unproven"),
        "I5",
    ),
    CounterExample(
        "transcripts_go",
        "6.5.7: with the old blob the transcript goes that led to it",
        Model(TWO_OF_THREE, (1, 1), 0, 1, 0, 1, words="order transcripts_go"),
        "I2",
    ),
    CounterExample(
        "repair_keeps",
        "6.7.5: who is repaired onto a later epoch keeps the keys of earlier ones",
        Model(TWO_OF_THREE, (1, 1), 0, 0, 0, 1, words=f"order fine {MENDED} repair_keeps"),
        "I5",
    ),
    CounterExample(
        "as written: V' is published by DONE only",
        "6.5.5, 6.4.1: a holder that retired e without a DONE has no V that others know",
        Model(TWO_OF_THREE, (1, 1), words="order fine deliveries progress"),
        "progress",
    ),
    CounterExample(
        "as written: v goes with KEK_e",
        "6.5.7, 6.4.1: PROPOSE of the next succession names the V of e of a holder that was away",
        Model(TWO_OF_FOUR, (1, 1), 0, 2, words="deliveries announced"),
        "I2",
    ),
    CounterExample(
        "as written: a repaired holder has a new v",
        "6.7.2: what was dealt to its old V it never reads; a second repair mends it",
        Model(TWO_OF_THREE, (2,), 0, 1, 0, 1, words="order deliveries progress"),
        "progress",
        long=True,
    ),
    CounterExample(
        "as written: X + L ≤ n − t, 2-of-4",
        "6.1.3: a traitor deals falsely to the absent holder, one that adopted is lost",
        Model(TWO_OF_FOUR, (1,), 1, 1),
        "I2",
    ),
    CounterExample(
        "as written: J = W = 4, 3-of-5",
        "6.1.3 allows these sizes: two traitors deal falsely to the absent holder, nobody is lost",
        Model(Quorum(3, 5, 4, 4), (1,), 2),
        "I2",
    ),
)
