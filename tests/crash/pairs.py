"""Two deaths in one refresh of a 2-of-3 wallet: of one holder twice, or of two of them.

Holders 1 and 2 make the successor, holder 3 was away and catches up. The relay repeats whatever
was not answered, and begins a new attempt where that is refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hsm_mpc import steps
from hsm_mpc.agent.succession.joining import JOINS_WITHIN
from hsm_mpc.errors import InvalidSignature, Refused
from tests.agent.making import Making
from tests.crash.deaths import Death, DeathError
from tests.crash.phoenix import Phoenix
from tests.crash.saying import Sayings
from tests.crash.successors import (
    require_closed_copies,
    require_keys_of_records,
    require_whole,
)
from tests.crash.trials import Line
from tests.crash.view import View
from tests.named_steps import nothing_happens

if TYPE_CHECKING:
    from tests.agent.simulate import World

Answer = TypeVar("Answer")

MEMBERS = (1, 2)
HOLDERS = (1, 2, 3)
_LONGEST_LINE = 12
"""Epochs of one wallet: each is looked at whenever a holder starts."""


@dataclass
class Pairs:
    """One refresh after the other, each through some deaths."""

    world: World
    copies: Path
    phoenixes: dict[int, Phoenix] = field(init=False)
    line: Line = field(init=False)
    view: View = field(init=False)
    sayings: Sayings = field(init=False)
    _watches: dict[int, Iterator[steps.Observer]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.phoenixes = {index: Phoenix(self.world, index) for index in HOLDERS}
        self._begin()

    def refresh(self, deaths: Mapping[int, Sequence[Death]]) -> None:
        """To its end, each holder dying at its own steps; then nothing is left of the old epoch."""
        if len(self.line.epochs) > _LONGEST_LINE:
            self._begin()
        replaced = self.line.newest
        self.world.later[0] += JOINS_WITHIN + 1
        for index, phoenix in self.phoenixes.items():
            copy = self.copies / str(index)
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(phoenix.folder, copy)
            watches = [death.observer for death in deaths.get(index, ())]
            self._watches[index] = chain(watches, repeat(nothing_happens))
            phoenix.watch = next(self._watches[index])
        self._succeed()
        after = self.line.follow()
        assert after is not None
        assert after.body.group_key == replaced.body.group_key
        self.world.now[0] += len(replaced.trials)  # their counters would run ahead of it
        for index, phoenix in self.phoenixes.items():
            phoenix.restart()
            require_whole(phoenix.party, after.body)
            require_closed_copies(phoenix.party, after.body, self.copies / str(index))

    def _begin(self) -> None:
        """A new wallet, and nothing ever happened before."""
        for phoenix in self.phoenixes.values():
            phoenix.renew()
        making = Making.of(self.world)
        making.active()
        self.line, self.sayings = Line(self.world, making), Sayings()
        self.view = View(self.line, self.phoenixes)

    def _succeed(self) -> None:
        trial = self.line.begin(MEMBERS)
        while not trial.epoch.is_over():
            for index in HOLDERS:
                stage = trial.wants(index)
                question = None if stage is None else trial.question(stage, index)
                if stage is None or question is None:
                    continue
                first = self.sayings.is_first(trial, stage, index)
                try:
                    answer = self._asked(index, question)
                except (Refused, InvalidSignature):
                    trial = self.line.begin(MEMBERS)
                    break
                register = self.view.register(index)
                self.sayings.said(trial, stage, index, answer, first, register)
                trial.take(stage, index, answer, self._channel(index))
            if not trial.is_proposed and len(trial.joining) == len(MEMBERS):
                trial.propose()

    def _asked(self, index: int, question: Callable[[], Answer]) -> Answer:
        """Whoever dies starts again, and is asked again."""
        while True:
            try:
                return question()
            except DeathError:
                self._rise(index)

    def _rise(self, index: int) -> None:
        while True:
            try:
                self.phoenixes[index].restart(next(self._watches[index]))
            except DeathError:
                continue
            break
        assert self.view.opens_live(index)
        require_keys_of_records(self.phoenixes[index].party, self.line.wallet_id)

    def _channel(self, index: int) -> bytes:
        return self.phoenixes[index].party.acting.channel_announcement()
