"""Where a process dies: before or after the n-th step that it does from now on."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Literal

import pytest

from hsm_mpc import steps
from tests.named_steps import HSM_QUESTIONS, is_without_effect

Moment = Literal["before", "after"]
MOMENTS: tuple[Moment, ...] = ("before", "after")

WHICH_STEPS = pytest.mark.parametrize(
    "questions",
    [
        pytest.param(False, id="changes"),
        pytest.param(True, id="changes-and-questions", marks=pytest.mark.long),
    ],
)
"""Which steps: those that change disk or token; or every call of the HSM, too."""


@dataclass
class Countdown:
    """Says at which call of an observer the step of that number, from 0, has come."""

    moment: Moment
    number: int
    questions: bool = False
    """Whether calls of the HSM that change nothing count, too."""
    effects: bool = False
    """Whether only steps count after which the next start finds something else."""
    seen: int = 0

    def strikes(self, moment: str, name: str) -> bool:
        if moment != self.moment or (name in HSM_QUESTIONS and not self.questions):
            return False
        if self.effects and is_without_effect(name):
            return False
        self.seen += 1
        return self.seen == self.number + 1


def killing_at(moment: Moment, number: int, questions: bool = False) -> steps.Observer:
    """SIGKILL to this process."""
    countdown = Countdown(moment, number, questions)

    def observer(when: str, name: str) -> None:
        if countdown.strikes(when, name):
            os.kill(os.getpid(), signal.SIGKILL)

    return observer


class DeathError(BaseException):
    """The process would be gone here. Nothing catches it, and nothing after it has any effect."""


@dataclass
class Death:
    """A death without a process: the step raises, and so does every later one.

    Whoever is asked `has_come` after a body that ended well has lived through it.
    """

    countdown: Countdown
    has_come: bool = False

    @classmethod
    def at(cls, moment: Moment, number: int, questions: bool = False) -> Death:
        return cls(Countdown(moment, number, questions))

    @classmethod
    def before_effect(cls, number: int) -> Death:
        """Of all places of a death that leave the same behind, one."""
        return cls(Countdown("before", number, effects=True))

    def observer(self, when: str, name: str) -> None:
        """For `steps.observe`."""
        self.has_come = self.has_come or self.countdown.strikes(when, name)
        if self.has_come:
            raise DeathError(f"{when} {name}")
