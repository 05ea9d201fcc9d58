"""A random walk through successions: coordinators that race for the three holders of one wallet.

Each coordinator proposes to two holders or to three, by attempts of its own, and all of them keep
whatever they received and may send it at any time. Beside a call one fault may happen; disks are
restored, and an HSM is lost, as far as the bounds of 6.1.3 and 6.6.5 allow. In the end all is well
again, and the succession comes to its end.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from hsm_mpc.agent.succession.joining import JOINS_WITHIN
from hsm_mpc.errors import (
    BadEncoding,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from tests.agent.making import Making
from tests.agent.rounds import Round
from tests.crash.faults import FAULTS, LOST, NO_FAULT, Fault, Holders
from tests.crash.mending import HOLDERS, Mending
from tests.crash.phoenix import clear
from tests.crash.saying import Sayings
from tests.crash.signing import Signing
from tests.crash.successors import (
    Copies,
    require_closed_copies,
    require_keys_of_records,
    require_whole,
)
from tests.crash.trials import STAGES, Line, Stage, Trial
from tests.crash.view import View
from tests.software_identity import ed25519_key

if TYPE_CHECKING:
    from tests.agent.simulate import World

COORDINATORS = (0, 1, 2)
PAIRS = ((1, 2), (1, 3), (2, 3))

INDICES = st.sampled_from(HOLDERS)
ORDERS = st.permutations(HOLDERS)
NUMBERS = st.integers(0, 100)
"""Which one of several, counted round."""
JOIN_SETS = st.sampled_from((*PAIRS, HOLDERS))
RIVALS = st.sampled_from(COORDINATORS)
TIMES = st.integers(2, 6)


class SuccessionWalk(RuleBasedStateMachine):
    """To be derived from, with a `world` of three holders."""

    world: ClassVar[World]
    calls: ClassVar[Counter[str]]
    """Of all walks: rules by the fault in them, and what came about."""

    trials = Bundle("trials")

    def __init__(self) -> None:
        super().__init__()
        self.holders = Holders(
            self.world,
            HOLDERS,
            self.calls,
            self.require_whole,
            (BadEncoding, InvalidSignature, NotReady, ProtocolAbort, Refused, Tampered),
        )
        self.signing = Signing(self.holders)
        self.sayings = Sayings()
        self.copies = Copies(self.holders.phoenixes)
        self.troubled: set[int] = set()
        """Whose disk was restored or HSM lost in this succession: at most t - 1 (step 6.6.5)."""
        self.damaged: dict[int, bool] = {}
        """Who does not open the live epoch; whether that is because its HSM is lost."""
        self.forgetful: dict[int, bytes] = {}
        """Whose disk was restored in which epoch: until its end there may be forgotten keys."""
        self.has_lost_hsm = False
        self.rounds: list[Round] = []
        self.stuck: set[int] = set()
        """Trials, by their id, in which the last round came to nothing."""

    @initialize()
    def make_wallet(self) -> None:
        """A wallet of all three; whoever has another HSM since the last walk is in its roster."""
        self.world.rivals = tuple(ed25519_key(bytes([40 + k]) * 32) for k in COORDINATORS[1:])
        members = [
            Member(f"h{index}", phoenix.party.acting.identity.key)
            for index, phoenix in self.holders.phoenixes.items()
        ]
        self.world.roster = Roster(True, 1, FIRST_PREDECESSOR, tuple(members))
        for phoenix in self.holders.phoenixes.values():
            phoenix.restart()
        making = Making.of(self.world)
        making.active()
        self.line = Line(self.world, making)
        self.mending = Mending(self.line)
        self.view = View(self.line, self.holders.phoenixes)
        for index in HOLDERS:
            self.copies.take(index)

    # --- coordinators ---

    @rule(target=trials, coordinator=RIVALS, asked=JOIN_SETS, times=st.integers(1, 4))
    def rival(self, coordinator: int, asked: tuple[int, ...], times: int) -> Trial:
        """Beside what is under way a new one that nobody disturbs, on and up to its certificate."""
        trial = self.begin(asked, coordinator)
        self.go_on(trial, asked, times)
        return trial

    @rule(
        target=trials,
        coordinator=RIVALS,
        asked=JOIN_SETS,
        order=ORDERS,
        times=TIMES,
        fault=FAULTS,
        lost=LOST,
    )
    def advance(
        self,
        coordinator: int,
        asked: tuple[int, ...],
        order: tuple[int, ...],
        times: int,
        fault: Fault,
        lost: bool,
    ) -> Trial:
        """The newest attempt goes on, or a new one where that is stuck."""
        going = [each for each in self.line.newest.trials if id(each) not in self.stuck]
        trial = going[-1] if going else self.begin(asked, coordinator)
        self.go_on(trial, order, times, fault, lost)
        return trial

    @rule(number=NUMBERS, order=ORDERS, times=TIMES, fault=FAULTS, lost=LOST)
    def race(
        self, number: int, order: tuple[int, ...], times: int, fault: Fault, lost: bool
    ) -> None:
        """Any attempt goes on, whatever came between."""
        trials = self.line.newest.trials
        if trials:
            self.go_on(trials[number % len(trials)], order, times, fault, lost)

    @rule(trial=trials, stage=st.sampled_from(STAGES), index=INDICES, fault=FAULTS)
    def repeat(self, trial: Trial, stage: Stage, index: int, fault: Fault) -> None:
        """Anything, once more or too early or far too late."""
        self.holders.wrong(index, fault)
        self.play(trial, stage, index, lost=False)
        self.holders.right()

    # --- signatures ---

    @rule(order=ORDERS)
    def sign_now(self, order: tuple[int, ...]) -> None:
        """Without any fault: in each epoch that both hold, and in no other."""
        one, other, _ = order
        mine, theirs = self.view.signs_in(one), self.view.signs_in(other)
        for h, certificate in self.view.certificates().items():
            round_ = Round(self.world, certificate, os.urandom(8))
            if h in mine & theirs:
                assert self.signing.sign(round_, (one, other)), "a quorum does not sign"
            elif h not in mine:
                offered = self.holders.ask(one, partial(round_.commit, one))
                assert offered is None, "a nonce in an epoch that is not held"

    @rule(number=NUMBERS, order=ORDERS, fault=FAULTS, lost=LOST)
    def sign(self, number: int, order: tuple[int, ...], fault: Fault, lost: bool) -> None:
        """In whichever epoch, now or long ago: who does not hold it, signs nothing in it."""
        one, other, _ = order
        round_ = self.round(number)
        h, kept = bytes(round_.certificate.body.hash), dict(round_.commits)
        can = [index for index in (one, other) if h in self.view.signs_in(index)]
        self.holders.wrong(one, fault)
        has_signed = self.signing.sign(round_, (one, other), lost)
        self.holders.right()
        assert not has_signed or len(can) == 2, "a signature in an epoch that is not held"
        for index in (one, other):
            is_new = round_.commits.get(index) != kept.get(index)
            assert not is_new or index in can, "a nonce in an epoch that is not held"

    @rule(first=NUMBERS, second=NUMBERS, order=ORDERS)
    def mix(self, first: int, second: int, order: tuple[int, ...]) -> None:
        """A list of two epochs is signed by nobody (step 6.1.2)."""
        one, other = self.round(first), self.round(second)
        mine, theirs = one.commits.get(order[0]), other.commits.get(order[1])
        is_same = one.certificate.body.hash == other.certificate.body.hash
        if is_same or mine is None or theirs is None:
            return
        ascending = (mine, theirs) if order[0] < order[1] else (theirs, mine)
        channels = [self.signing.channel_of[commit] for commit in ascending]
        desk = self.world.parties[order[0]].desk
        listed = one.listed(ascending)
        assert self.holders.ask(order[0], lambda: desk.sign(listed, channels)) is None
        self.calls["lists of two epochs"] += 1

    # --- what else happens ---

    @rule(index=INDICES, fault=FAULTS)
    def restart(self, index: int, fault: Fault) -> None:
        """Somebody kills it; and it may be killed again while it starts."""
        self.holders.rise(index, fault.observer())

    @rule(index=INDICES)
    def pass_time(self, index: int) -> None:
        """An operator or a thief copies a disk meanwhile."""
        self.world.later[0] += JOINS_WITHIN + 1
        self.world.now[0] += 60
        if index not in self.damaged:
            self.copies.take(index)

    @rule(index=INDICES, number=NUMBERS, fault=FAULTS)
    def restore(self, index: int, number: int, fault: Fault) -> None:
        """Step 6.6.3: an old disk beside a token that has forgotten nothing."""
        if not self.may_trouble(index):
            return
        phoenix, copies = self.holders.phoenixes[index], self.copies.of(index)
        phoenix.put_back(copies[number % len(copies)])
        self.calls["restored"] += 1
        self.forgetful[index] = bytes(self.view.register(index).epoch_hash)
        self.damaged[index] = False
        self.holders.rise(index, fault.observer())
        if self.view.opens_live(index):
            del self.damaged[index]
        else:
            self.calls["restored, share lost"] += 1

    @precondition(lambda self: not self.has_lost_hsm)
    @rule(index=INDICES, number=NUMBERS)
    def lose_hsm(self, index: int, number: int) -> None:
        """And the disk with it."""
        if number % 4 or not self.may_trouble(index):
            return
        self.has_lost_hsm = True
        self.damaged[index] = True
        self.calls["lost HSM"] += 1
        self.holders.book.died(index)
        self.holders.phoenixes[index].on_another_hsm()
        self.sayings.forget(index)
        self.forgetful.pop(index, None)
        self.copies.of(index).clear()

    @precondition(lambda self: self.damaged)
    @rule()
    def repair(self) -> None:
        for index, has_new_hsm in list(self.damaged.items()):
            self.mending.repair(index, has_new_hsm=has_new_hsm)
            del self.damaged[index]
            self.copies.take(index)
            self.calls["repaired"] += 1
        self.follow()

    # --- what always holds ---

    @invariant()
    def one_line_of_epochs(self) -> None:
        """Who retires, retires into what all retire into (I1, I4), and no register goes back."""
        if not hasattr(self, "line"):
            return
        numbers = {bytes(epoch.body.hash): number for number, epoch in enumerate(self.line.epochs)}
        decided = self.line.newest.decided
        if decided is not None:
            numbers[bytes(decided.successor or b"")] = len(self.line.epochs)
        for index in HOLDERS:
            if not self.damaged.get(index):
                register = self.view.register(index)
                h = bytes(register.epoch_hash)
                assert h in numbers, "retired into what was not decided"
                self.sayings.goes_on(index, numbers[h], register)

    def require_whole(self, index: int) -> None:
        """After a start: it opens the live epoch, and no key is there that no record names."""
        if index in self.damaged:
            return
        assert self.view.opens_live(index), "the share of the live epoch is lost"
        if self.forgetful.get(index) != bytes(self.view.register(index).epoch_hash):
            require_keys_of_records(self.holders.phoenixes[index].party, self.line.wallet_id)

    def teardown(self) -> None:
        """All is well again: two successions come to their end, and every pair signs."""
        try:
            if hasattr(self, "line"):
                self.settle()
        finally:
            for index, phoenix in self.holders.phoenixes.items():
                clear(phoenix.party)
                self.world.parties[index] = phoenix.party
            self.copies.remove()

    def settle(self) -> None:
        self.world.later[0] += JOINS_WITHIN + 1
        self.world.now[0] += 300  # above whatever number anybody has come to
        for index in HOLDERS:
            self.holders.rise(index)
        if self.damaged:
            self.repair()
        for _ in range(2):
            self.mending.conclude()
        live = self.line.newest
        assert live.body.group_key == self.line.epochs[0].body.group_key
        for pair in PAIRS:
            assert self.signing.sign(Round(self.world, live.certificate, os.urandom(8)), pair)
        for index, phoenix in self.holders.phoenixes.items():
            self.holders.rise(index)
            require_whole(phoenix.party, live.body)
            require_closed_copies(phoenix.party, live.body, *self.copies.of(index))
            self.calls["closed copies"] += len(self.copies.of(index))

    # --- calls ---

    def begin(self, asked: tuple[int, ...], coordinator: int) -> Trial:
        """A second later."""
        self.world.now[0] += 1
        return self.line.begin(asked, coordinator)

    def round(self, number: int) -> Round:
        """One of those that were asked for before; or, every other time, a new one, in any epoch
        that there ever was or that may come.
        """
        if number % 2 and self.rounds:
            return self.rounds[number // 2 % len(self.rounds)]
        known = [*self.view.certificates().values(), self.line.newest.certificate]
        certificate = known[number // 2 % len(known)]
        self.rounds.append(Round(self.world, certificate, os.urandom(8)))
        return self.rounds[-1]

    def go_on(
        self,
        trial: Trial,
        order: tuple[int, ...],
        times: int,
        fault: Fault = NO_FAULT,
        lost: bool = False,
    ) -> None:
        """Each in turn is asked for what comes next; the first answer may be lost."""
        self.holders.wrong(order[0], fault)
        came = 0
        for index in order * times:
            stage = trial.wants(index)
            if stage is not None:
                came += self.play(trial, stage, index, lost)
                lost = False
            if not trial.is_proposed and trial.joining.keys() == set(trial.asked):
                trial.propose()
        self.holders.right()
        if not trial.is_proposed and len(trial.joining) > 1:
            trial.propose()
        if not came:
            self.stuck.add(id(trial))
        self.follow()

    def play(self, trial: Trial, stage: Stage, index: int, lost: bool) -> bool:
        """One question; whether it was answered."""
        question = trial.question(stage, index)
        if question is None:
            return False
        first = self.sayings.is_first(trial, stage, index)
        answer = self.holders.ask(index, self.expecting(index, question))
        if answer is None:
            return False
        self.calls[f"{stage}: answered"] += 1
        if stage == "adopt" and index not in trial.relay.members:
            self.calls["caught up"] += 1
        if not self.damaged.get(index):
            self.sayings.said(trial, stage, index, answer, first, self.view.register(index))
        if not lost:
            acting = self.holders.phoenixes[index].party.acting
            trial.take(stage, index, answer, acting.channel_announcement())
        return True

    def expecting(self, index: int, question: Callable[[], Any]) -> Callable[[], Any]:
        """A holder finds damage only where there is some."""

        def asked() -> Any:
            try:
                return question()
            except Tampered as damage:
                assert index in self.damaged or index in self.forgetful, damage
                raise

        return asked

    def follow(self) -> None:
        """Once everybody has come to the next epoch, coordinators go on from there."""
        before = self.line.newest
        after = self.line.follow()
        if after is None:
            return
        certified = {each.successor for each in before.trials} - {None}
        self.calls["epochs"] += 1
        self.calls["races lost"] += len(certified) - 1
        self.calls["overtaken"] += sum(each.is_proposed for each in before.trials) - 1
        self.troubled = set(self.damaged)
        for index in HOLDERS:
            if index not in self.damaged:
                self.copies.take(index)

    def may_trouble(self, index: int) -> bool:
        """Whether the others are well enough to go on without it; then it counts."""
        may = self.troubled <= {index} and not self.damaged
        if may:
            self.troubled.add(index)
        return may
