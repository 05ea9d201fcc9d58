"""A random walk: three holders, a network that loses, repeats, reorders, and faults of all kinds.

The relay keeps all that it ever received, and may send any of it at any time: so messages are late,
repeated and out of order as the rules come; answers are lost, too. Beside a call one fault may
happen: the holder dies at some step, or its disk is full or its HSM away from some step on. In the
end all is well again, and what must be there is there.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import coincurve
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from hsm_mpc.agent.reservations import ROUND_SECONDS
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.errors import NameTaken, NotReady, Refused
from tests.agent.making import Making
from tests.agent.rounds import Round
from tests.crash.faults import FAULTS, LOST, Fault, Holders
from tests.crash.phoenix import clear
from tests.crash.signing import Signing

if TYPE_CHECKING:
    from tests.agent.simulate import World

HOLDERS = (1, 2, 3)
QUORUMS = ((1, 2), (1, 3), (2, 3))


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


class Walk(RuleBasedStateMachine):
    """To be derived from, with a `world` of three holders."""

    world: ClassVar[World]
    calls: ClassVar[Counter[str]] = Counter()
    """Of all walks: rules by the fault in them, and what came about."""

    attempts = Bundle("attempts")
    rounds = Bundle("rounds")

    def __init__(self) -> None:
        super().__init__()
        self.holders = Holders(
            self.world, HOLDERS, self.calls, self.require_whole, (NameTaken, NotReady, Refused)
        )
        self.signing = Signing(self.holders)
        self.all_attempts: list[Attempt] = []

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
        self.holders.wrong(order[0], fault)
        before = attempt.count()
        self._advance(attempt, order * times, lost)
        self.holders.right()
        attempt.stuck = attempt.count() == before
        return attempt

    @rule(attempt=attempts, name=st.sampled_from(ROUNDS), index=INDICES, fault=FAULTS)
    def repeat(self, attempt: Attempt, name: str, index: int, fault: Fault) -> None:
        """Any round, once more or too early or far too late."""
        self.holders.wrong(index, fault)
        self.play(attempt, name, index, lost=False)
        self.holders.right()

    @rule(target=rounds, attempt=attempts)
    def request(self, attempt: Attempt) -> Round | None:
        return Round(self.world, attempt.certificate()) if attempt.is_certain() else None

    @rule(round_=rounds, order=ORDERS, fault=FAULTS, lost=LOST)
    def sign(self, round_: Round | None, order: tuple[int, ...], fault: Fault, lost: bool) -> None:
        """Two holders, the first of them with a fault; its COMMIT may be one of long ago."""
        if round_ is None:
            return
        one, other, _ = order
        self.holders.wrong(one, fault)
        self.signing.sign(round_, (one, other), lost)
        self.holders.right()

    # --- what else happens ---

    @rule(index=INDICES, fault=FAULTS)
    def restart(self, index: int, fault: Fault) -> None:
        """Somebody kills it; and it may be killed again while it starts."""
        self.holders.rise(index, fault.observer())

    @rule(order=ORDERS, fault=FAULTS)
    def pass_time(self, order: tuple[int, ...], fault: Fault) -> None:
        self.holders.wrong(order[0], fault)
        self.world.later[0] += ROUND_SECONDS + 1
        for index in order:
            self.holders.ask(index, self.world.parties[index].ceremonies.expire)
        self.holders.right()

    @rule(attempt=attempts, index=INDICES, fault=FAULTS)
    def discard(self, attempt: Attempt, index: int, fault: Fault) -> None:
        """An operator's decision, when the relay has no certificate yet."""
        if not attempt.is_certain():
            attempt.given_up = True
            attempt.sealed.discard(index)
            self.holders.wrong(index, fault)
            self.holders.ask(index, lambda: self._discard(index, attempt))
            self.holders.right()

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
            self.holders.rise(index)
        finished = {attempt.wallet_id for attempt in self.all_attempts if attempt.is_certain()}
        for attempt in self.all_attempts:
            if attempt.wallet_id in finished:
                self.finish(attempt)
            else:
                for index in HOLDERS:
                    with suppress(Refused):
                        self._discard(index, attempt)
        for index, phoenix in self.holders.phoenixes.items():
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
                self.holders.ask(index, partial(attempt.tell, index))
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
        channel = self.holders.phoenixes[index].party.acting.channel_announcement()
        answer = self.holders.ask(index, question)
        if answer is None:
            return
        if name in ("confirm", "certify"):
            attempt.sealed.add(index)
        if not lost:
            first = attempt.answers[name].setdefault(index, answer)
            assert first == answer, "one round of one session was answered in two ways"
            if name == "deal":
                attempt.channels.setdefault(index, channel)

    def state(self, index: int, attempt: Attempt) -> str:
        """What this holder has of a wallet."""
        held = self.holders.phoenixes[index].party.wallets.of(attempt.making.wallet_id)
        return held[0].record.state.name.lower() if held else "nothing"

    def _discard(self, index: int, attempt: Attempt) -> None:
        self.world.parties[index].ceremonies.discard(attempt.making.wallet_id)

    def require_whole(self, index: int) -> None:
        states = self.holders.phoenixes[index].remains().states
        for attempt in self.all_attempts:
            assert index not in attempt.sealed or attempt.wallet_id in states, "a lost share"
