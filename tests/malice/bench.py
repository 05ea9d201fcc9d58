"""Runs attacks on key generations, one after another, on as few of them as will do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from hsm_mpc.ids import Scheme
from tests.agent.simulate import World
from tests.malice.ceremony import END, STAGES, Ceremony
from tests.malice.envelopes import (
    HEADER,
    by_its_sender,
    header_by_its_sender,
    on_the_way,
    seals,
)
from tests.malice.fields import Change, Field
from tests.malice.verdicts import LIAR, Attack, Verdict

ON_THE_WAY = "changed on the way"
BY_SENDER = "signed so by its sender"
RELAY = "relay"
COORDINATOR = "coordinator"
DEALER = "dealer h2"

_OF_ITS_FORM = (
    *(f"header: {name}" for name in ("magic", "version", "protocol", "round", "length")),
    "envelope: key",
)
"""Without these there is no message at all."""

Tamper = Callable[[Ceremony], None]


def recorded(
    message: str, what: str, how: str, liar: str, verdicts: Sequence[Verdict], harmless: str = ""
) -> Attack:
    """It was refused, or needs not be."""
    where = f"{message}: {what} ({how}, {liar})"
    assert bool(verdicts) != bool(harmless), f"{where}: {verdicts or 'taken by everybody'}"
    return Attack(message, what, how, liar, tuple(verdicts), harmless)


@dataclass
class Bench:
    """`attacks` on one message at a time: `at` goes on to the next one."""

    world: World
    scheme: Scheme
    stage: str = ""
    attacks: list[Attack] = field(default_factory=list)
    _ceremony: Ceremony | None = None

    @property
    def ceremony(self) -> Ceremony:
        """An honest one, as far as this message; it is taken by nobody yet."""
        if self._ceremony is None or not self._ceremony.intact:
            if self._ceremony is not None:
                self._ceremony.end()
            self._ceremony = Ceremony.of(self.world, self.scheme).to(self.stage)
        return self._ceremony

    def at(self, stage: str) -> None:
        """What was refused so far cost nothing: the key generation goes on to its end."""
        if self._ceremony is not None:
            honest = self.ceremony
            assert honest.play() == []
            assert honest.reached == END
            self._ceremony = None
        self.stage = stage

    def finished(self) -> list[Attack]:
        """All of them; the last key generation went on, too."""
        self.at(STAGES[0])
        return self.attacks

    def run(
        self,
        what: str,
        how: str,
        liar: str,
        tamper: Tamper,
        harmless: str = "",
        message: str = "",
    ) -> None:
        """One attack. A dealer that lies is holder 2."""
        liars = (LIAR,) if liar == DEALER else ()
        verdicts = self.ceremony.attacked(tamper, *liars)
        about = message or self.stage
        self.attacks.append(recorded(about, what, how, liar, verdicts, harmless))

    def envelope(self, liar: str, harmless: str = "") -> None:
        """Every field of the header, key and signature; each also as its sender may sign it."""
        message = self.ceremony.message(self.stage)
        for each in (*HEADER, *seals(message)):
            self._envelope(each, ON_THE_WAY, RELAY, each.change, harmless)
        for each in HEADER:
            self._envelope(each, BY_SENDER, liar, header_by_its_sender(self.world, each), harmless)

    def _envelope(self, each: Field, how: str, liar: str, change: Change, harmless: str) -> None:
        parses = each.name not in _OF_ITS_FORM
        tamper = self._changing(change, self._receivers(liar))
        self.run(each.name, how, liar, tamper, harmless if parses else "")

    def payload_on_the_way(self, fields: Iterable[Field]) -> None:
        for each in fields:
            self.run(each.name, ON_THE_WAY, RELAY, self._changing(on_the_way(each), ()))

    def payload(self, liar: str, each: Field, harmless: str = "") -> None:
        change = by_its_sender(self.world, each)
        tamper = self._changing(change, self._receivers(liar))
        self.run(each.name, BY_SENDER, liar, tamper, harmless)

    def _receivers(self, liar: str) -> Sequence[int]:
        """A dealer keeps its own message as it was."""
        everybody = tuple(self.world.parties)
        return tuple(index for index in everybody if liar != DEALER or index != LIAR)

    def _changing(self, change: Callable[[bytes], bytes], receivers: Sequence[int]) -> Tamper:
        return lambda ceremony: ceremony.change(ceremony.reached, change, receivers)
