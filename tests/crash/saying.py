"""What holders have said in attempts to replace an epoch: no promise is broken, no vote changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hsm_mpc.certificates.done import Done
from hsm_mpc.hsm.register import Register
from hsm_mpc.succession.ack import Ack
from hsm_mpc.wire.envelope import parse_envelope
from tests.crash.trials import Stage, Trial

_PROMISING = ("join", "stage", "adopt")
"""What is said with an eye on the register."""


@dataclass
class Sayings:
    """Of all holders, by what was asked first and what came first."""

    questions: set[tuple[int, bytes, bytes, Stage]] = field(default_factory=set)
    """Holder, epoch, attempt and stage of whatever was ever asked."""
    promised: dict[tuple[int, bytes], bytes] = field(default_factory=dict)
    """By holder and epoch, the highest attempt in which it has said anything."""
    votes: dict[tuple[int, bytes, bytes, Stage], bytes] = field(default_factory=dict)
    """As `questions`, for which successor."""
    registers: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """By holder, the number of the epoch and the promise that its register had."""

    def is_first(self, trial: Trial, stage: Stage, index: int) -> bool:
        """Whether it is asked for the first time: what it says then, it has not said before."""
        question = (index, bytes(trial.epoch.body.hash), _alpha(trial), stage)
        is_first = question not in self.questions
        self.questions.add(question)
        return is_first

    def said(
        self, trial: Trial, stage: Stage, index: int, answer: Any, first: bool, register: Register
    ) -> None:
        """This answer, and the register after it: what it rests on was durable before."""
        if stage not in _PROMISING:
            return
        h, alpha = bytes(trial.epoch.body.hash), _alpha(trial)
        before = self.promised.get((index, h), b"")
        assert not first or alpha >= before, f"{stage} below the promise"
        self.promised[index, h] = max(before, alpha)
        is_live = register.epoch_hash == h
        assert not is_live or register.promised >= alpha, f"{stage} before its promise was durable"
        if stage == "join":
            return
        successor, vote = self._vote(trial, stage, index, answer), register.acked
        if stage == "adopt":
            vote = register.adopted
        if is_live:
            assert vote is not None, f"{stage} before its vote was durable"
            assert vote.attempt >= alpha, f"{stage} before its vote was durable"
            assert vote.attempt > alpha or vote.epoch_hash == successor, "another vote in the HSM"

    def goes_on(self, index: int, epoch: int, register: Register) -> None:
        """A register never names an earlier epoch, nor a lower promise in one."""
        now = (epoch, bytes(register.promised))
        assert self.registers.get(index, now) <= now, "a register went back"
        self.registers[index] = now

    def forget(self, index: int) -> None:
        """Its HSM is lost: it has forgotten what it promised."""
        self.questions = {each for each in self.questions if each[0] != index}
        self.promised = {each: alpha for each, alpha in self.promised.items() if each[0] != index}
        self.votes = {each: h for each, h in self.votes.items() if each[0] != index}
        self.registers.pop(index, None)

    def _vote(self, trial: Trial, stage: Stage, index: int, answer: bytes) -> bytes:
        h, payload = bytes(trial.epoch.body.hash), parse_envelope(answer).payload
        if stage == "stage":
            successor = Ack.from_bytes(payload).epoch_hash
        else:
            successor = Done.from_bytes(payload, trial.epoch.body.terms.group).epoch_hash
        voted = self.votes.setdefault((index, h, _alpha(trial), stage), bytes(successor))
        assert voted == successor, f"two {stage} votes in one attempt"
        return voted


def _alpha(trial: Trial) -> bytes:
    return trial.relay.attempt.to_bytes()
