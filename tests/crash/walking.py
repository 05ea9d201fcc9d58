"""A random walk: three holders, a network that loses, repeats, reorders, and faults of all kinds.

The relay keeps all that it ever received, and may send any of it at any time: so messages are late,
repeated and out of order as the rules come; answers are lost, too. Beside a call one fault may
happen: the holder dies at some step, or its disk is full or its HSM away from some step on. In the
end all is well again, and what must be there is there.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

import coincurve
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from hsm_mpc import steps
from hsm_mpc.agent.reservations import ROUND_SECONDS
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.errors import BackendError, NameTaken, NotReady, Refused
from tests.agent.making import Making
from tests.agent.rounds import Round
from tests.crash.deaths import MOMENTS, Death, DeathError, Moment
from tests.crash.invariants import NonceBook
from tests.crash.phoenix import Phoenix, clear
from tests.named_steps import HSM, nothing_happens

if TYPE_CHECKING:
    from tests.agent.simulate import World

Answer = TypeVar("Answer")

HOLDERS = (1, 2, 3)
QUORUMS = ((1, 2), (1, 3), (2, 3))


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one holder in one rule, from its `number`th step there on."""

    kind: Literal["none", "death", "full disk", "HSM away"]
    moment: Moment = "before"
    number: int = 0

    def observer(self) -> steps.Observer:
        if self.kind == "none":
            return nothing_happens
        if self.kind == "death":
            return Death.at(self.moment, self.number, questions=True).observer
        count = 0

        def failing(when: str, name: str) -> None:
            nonlocal count
            count += when == "before"
            if when == "after" or count <= self.number:
                return
            if self.kind == "HSM away" and name in HSM:
                raise BackendError(f"no {name}")
            if self.kind == "full disk" and name not in HSM:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        return failing


FAULTS = st.sampled_from(("none", "none", "none", "death", "full disk", "HSM away")).flatmap(
    lambda kind: st.builds(
        Fault,
        st.just(kind),
        st.sampled_from(MOMENTS) if kind == "death" else st.just("before"),
        st.just(0) if kind == "none" else st.integers(0, 12) | st.integers(0, 60),
    )
)
ROUNDS = ("greet", "deal", "confirm", "certify")
"""What a holder is asked for one after the other; then it is told that all are done."""


@dataclass
class Attempt:
    """One proposal of the relay, and all that was ever answered to it."""

    making: Making
    answers: dict[str, dict[int, bytes]] = field(default_factory=lambda: {r: {} for r in ROUNDS})
    """Of each round, by holder."""
    channels: dict[int, bytes] = field(default_factory=dict)
    """As they were when the dealings were made: whoever starts again has another one."""
    sealed: set[int] = field(default_factory=set)
    """Holders that have answered with a share on their disk."""
    given_up: bool = False
    """Somebody's operator discarded it."""

    stuck: bool = False
    """The last time, nobody had an answer."""

    @property
    def wallet_id(self) -> bytes:
        return bytes(self.making.wallet_id)

    def is_certain(self) -> bool:
        """Whether a certificate can be made, which nothing takes back any more."""
        return self._all_of("confirm") is not None and not self.given_up

    def question(self, name: str, index: int) -> Callable[[], bytes] | None:
        """How to ask this holder for this round; None as long as a message before it is missing."""
        making = self.making
        if name == "greet":
            return lambda: making.greet(index)
        before = self._all_of(ROUNDS[ROUNDS.index(name) - 1])
        if before is None or (name == "certify" and self.given_up):
            return None
        if name == "deal":
            return lambda: making.deal(index, before)
        if name == "confirm":
            making.channels = [self.channels[each] for each in HOLDERS]
            return lambda: making.confirm(index, before)
        self._complete()
        return lambda: making.certify(index)

    def tell(self, index: int) -> None:
        """All DONEs, which must be there, to this holder."""
        self.making.dones = self._all_of("certify") or []
        self.making.activate(index)

    def is_done(self) -> bool:
        return self._all_of("certify") is not None

    def count(self) -> int:
        """How many answers there are."""
        return sum(map(len, self.answers.values()))

    def certificate(self) -> Certificate:
        self._complete()
        return self.making.certificate()

    def _complete(self) -> None:
        making = self.making
        for messages, name in (
            (making.hellos, "greet"),
            (making.dealings, "deal"),
            (making.confirmations, "confirm"),
        ):
            messages[:] = self._all_of(name) or []

    def _all_of(self, name: str) -> list[bytes] | None:
        """One message of each holder, ascending; None as long as one is missing."""
        answers = self.answers[name]
        return [answers[index] for index in HOLDERS] if len(answers) == len(HOLDERS) else None


NAMES = st.sampled_from(("savings", "treasury"))
INDICES = st.sampled_from(HOLDERS)
ORDERS = st.permutations(HOLDERS)
LOST = st.sampled_from((False, False, False, True))


class Walk(RuleBasedStateMachine):
    """To be derived from, with a `world` of three holders."""

    world: ClassVar[World]
    calls: ClassVar[Counter[str]] = Counter()
    """Of all walks: rules by the fault in them, and what came about."""

    attempts = Bundle("attempts")
    rounds = Bundle("rounds")

    def __init__(self) -> None:
        super().__init__()
        self.phoenixes = {index: Phoenix(self.world, index) for index in HOLDERS}
        self.book = NonceBook()
        self.all_attempts: list[Attempt] = []
        self.channel_of: dict[bytes, bytes] = {}
        """The channel of a COMMIT's holder, as it was then."""

    # --- the relay ---

    @initialize(target=attempts)
    def begin(self) -> Attempt:
        """One wallet is there from the start."""
        attempt = self._proposed("first")
        self._advance(attempt, HOLDERS * (len(ROUNDS) + 1), lost=False)
        return attempt

    @rule(target=attempts, name=NAMES)
    def propose(self, name: str) -> Attempt:
        """Beside what is under way."""
        return self._proposed(name)

    @rule(
        target=attempts,
        name=NAMES,
        order=ORDERS,
        times=st.integers(1, 5),
        fault=FAULTS,
        lost=LOST,
    )
    def advance(
        self, name: str, order: tuple[int, ...], times: int, fault: Fault, lost: bool
    ) -> Attempt:
        """Next rounds of the newest attempt, or of a new one where that is done or stuck."""
        attempt = self.all_attempts[-1]
        if attempt.is_done() or attempt.stuck:
            attempt = self._proposed(name)
        self.wrong(order[0], fault)
        before = attempt.count()
        self._advance(attempt, order * times, lost)
        self.right()
        attempt.stuck = attempt.count() == before
        return attempt

    @rule(attempt=attempts, name=st.sampled_from(ROUNDS), index=INDICES, fault=FAULTS)
    def repeat(self, attempt: Attempt, name: str, index: int, fault: Fault) -> None:
        """Any round, once more or too early or far too late."""
        self.wrong(index, fault)
        self.play(attempt, name, index, lost=False)
        self.right()

    @rule(target=rounds, attempt=attempts)
    def request(self, attempt: Attempt) -> Round | None:
        return Round(self.world, attempt.certificate()) if attempt.is_certain() else None

    @rule(round_=rounds, order=ORDERS, fault=FAULTS, lost=LOST)
    def sign(self, round_: Round | None, order: tuple[int, ...], fault: Fault, lost: bool) -> None:
        """Two holders, the first of them with a fault; its COMMIT may be one of long ago."""
        if round_ is None:
            return
        one, other, _ = order
        self.wrong(one, fault)
        if not lost or one not in round_.commits:
            self.commit(round_, one)
        self.commit(round_, other)
        if {one, other} <= round_.commits.keys():
            self.partials(round_, (one, other))
        self.right()

    # --- what else happens ---

    @rule(index=INDICES, fault=FAULTS)
    def restart(self, index: int, fault: Fault) -> None:
        """Somebody kills it; and it may be killed again while it starts."""
        self.rise(index, fault.observer())

    @rule(order=ORDERS, fault=FAULTS)
    def pass_time(self, order: tuple[int, ...], fault: Fault) -> None:
        self.wrong(order[0], fault)
        self.world.later[0] += ROUND_SECONDS + 1
        for index in order:
            self.ask(index, self.world.parties[index].ceremonies.expire)
        self.right()

    @rule(attempt=attempts, index=INDICES, fault=FAULTS)
    def discard(self, attempt: Attempt, index: int, fault: Fault) -> None:
        """An operator's decision, when the relay has no certificate yet."""
        if not attempt.is_certain():
            attempt.given_up = True
            attempt.sealed.discard(index)
            self.wrong(index, fault)
            self.ask(index, lambda: self._discard(index, attempt))
            self.right()

    @invariant()
    def no_half_wallet(self) -> None:
        """Where one holder may sign, all have the certificate on disk."""
        for attempt in self.all_attempts:
            states = [self.state(index, attempt) for index in HOLDERS]
            if "active" in states:
                assert set(states) <= {"certified", "active"}, states

    def teardown(self) -> None:
        """All is well again: what must be there is there, and can sign; nothing else is."""
        for index in HOLDERS:
            self.rise(index, nothing_happens)
        finished = {attempt.wallet_id for attempt in self.all_attempts if attempt.is_certain()}
        for attempt in self.all_attempts:
            if attempt.wallet_id in finished:
                self.finish(attempt)
            else:
                for index in HOLDERS:
                    with suppress(Refused):
                        self._discard(index, attempt)
        for index, phoenix in self.phoenixes.items():
            assert phoenix.remains().states == dict.fromkeys(finished, "active")
            clear(phoenix.party)
            self.world.parties[index] = phoenix.party

    def finish(self, attempt: Attempt) -> None:
        """Certificate and DONEs to all; then every quorum signs."""
        certificate = attempt.certificate()
        for index in HOLDERS:
            attempt.answers["certify"][index] = attempt.making.certify(index)
        for index in HOLDERS:
            attempt.tell(index)
        for quorum in QUORUMS:
            round_ = Round(self.world, certificate, os.urandom(8)).commit(*quorum)
            signature, key = round_.signature({index: round_.sign(index) for index in quorum})
            assert coincurve.PublicKeyXOnly(key).verify(signature, round_.message)
        self.calls["wallets made and used"] += 1

    # --- calls ---

    def _advance(self, attempt: Attempt, order: Sequence[int], lost: bool) -> None:
        """Each in turn is asked for its next round; the first answer may be lost."""
        for index in order:
            name = next((r for r in ROUNDS if index not in attempt.answers[r]), None)
            if name is not None:
                self.play(attempt, name, index, lost)
            elif attempt.is_done():
                self.ask(index, partial(attempt.tell, index))
            lost = False

    def _proposed(self, name: str) -> Attempt:
        attempt = Attempt(Making.of(self.world, name))
        self.all_attempts.append(attempt)
        return attempt

    def play(self, attempt: Attempt, name: str, index: int, lost: bool) -> None:
        """One round of one holder."""
        question = attempt.question(name, index)
        if question is None:
            return
        channel = self.phoenixes[index].party.acting.channel_announcement()
        answer = self.ask(index, question)
        if answer is None:
            return
        if name in ("confirm", "certify"):
            attempt.sealed.add(index)
        if not lost:
            first = attempt.answers[name].setdefault(index, answer)
            assert first == answer, "one round of one session was answered in two ways"
            if name == "deal":
                attempt.channels.setdefault(index, channel)

    def commit(self, round_: Round, index: int) -> None:
        if self.ask(index, lambda: round_.commit(index)) is not None:
            commit = round_.commits[index]
            self.book.commit(index, round_.session_id, commit)
            self.channel_of[commit] = self.phoenixes[index].party.acting.channel_announcement()

    def partials(self, round_: Round, quorum: tuple[int, ...]) -> None:
        """Both are asked for their part of one list."""
        commits = {index: round_.commits[index] for index in quorum}
        listed = round_.listed(tuple(commits[index] for index in sorted(quorum)))
        channels = [
            self.channel_of.get(commits.get(index, b""), announced)
            for index, announced in zip(HOLDERS, self.world.channels(), strict=True)
        ]
        answers = {}
        for index, commit in commits.items():
            desk = self.world.parties[index].desk
            answered = self.ask(index, lambda: desk.sign(listed, channels))  # noqa: B023
            if answered is not None:
                (answers[index],) = answered
                self.book.partial(commit, answers[index])
        if answers.keys() == commits.keys():
            signature, key = round_.signature(answers)
            assert coincurve.PublicKeyXOnly(key).verify(signature, round_.message)
            self.calls["signatures"] += 1

    def state(self, index: int, attempt: Attempt) -> str:
        """What this holder has of a wallet."""
        held = self.phoenixes[index].party.wallets.of(attempt.making.wallet_id)
        return held[0].record.state.name.lower() if held else "nothing"

    def _discard(self, index: int, attempt: Attempt) -> None:
        self.world.parties[index].ceremonies.discard(attempt.making.wallet_id)

    # --- faults ---

    def wrong(self, index: int, fault: Fault) -> None:
        """From now on, until `right`, this holder has a fault."""
        self.calls[fault.kind] += 1
        self.phoenixes[index].watch = fault.observer()

    def right(self) -> None:
        for phoenix in self.phoenixes.values():
            phoenix.watch = nothing_happens

    def ask(self, index: int, question: Callable[[], Answer]) -> Answer | None:
        """What a holder answers, if it does; if it dies it starts again."""
        try:
            return question()
        except DeathError:
            self.calls["died"] += 1
            self.rise(index, nothing_happens)
        except BackendError:
            self.calls["failed calls"] += 1
        except (NameTaken, NotReady, Refused):
            self.calls["refused calls"] += 1
        return None

    def rise(self, index: int, watch: steps.Observer) -> None:
        """A new start, and another one if a fault ended it; then nothing durable is lost."""
        phoenix = self.phoenixes[index]
        self.book.died(index)
        try:
            phoenix.restart(watch)
        except (DeathError, BackendError):
            self.calls["failed starts"] += 1
            phoenix.restart(nothing_happens)
        phoenix.watch = nothing_happens
        states = phoenix.remains().states
        for attempt in self.all_attempts:
            assert index not in attempt.sealed or attempt.wallet_id in states, "a lost share"
