"""A random walk through successions: coordinators that race for the three holders of one wallet.

Each coordinator proposes to two holders or to three, by attempts of its own, and all of them keep
whatever they received and may send it at any time. Beside a call one fault may happen; disks are
restored, and an HSM is lost, as far as the bounds of 6.1.3 and 6.6.5 allow. In the end all is well
again, and the succession comes to its end.
"""

from __future__ import annotations

import os
import shutil
from functools import partial

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    multiple,
    precondition,
    rule,
)

from hsm_mpc.agent.succession.joining import JOINS_WITHIN
from tests.agent.making import events
from tests.agent.rounds import Round, commit_in
from tests.crash.faults import FAULTS, LOST, Fault, faults_at
from tests.crash.mending import HOLDERS
from tests.crash.succession_state import COORDINATORS, PAIRS, SuccessionState
from tests.crash.trials import STAGES, Stage, Trial

INDICES = st.sampled_from(HOLDERS)
ORDERS = st.permutations(HOLDERS)
NUMBERS = st.integers(0, 100)
"""Which one of several, counted round."""
JOIN_SETS = st.sampled_from((*PAIRS, HOLDERS))
RIVALS = st.sampled_from(COORDINATORS)
TIMES = st.integers(2, 6)
IN_REPAIR = faults_at(st.integers(0, 120) | st.integers(120, 260))
"""Of its some 260 steps the first 120 make the offer; the share is sealed at the 213th."""
ONCE_SEALED = faults_at(st.integers(200, 255), nones=1)
IN_RETIREMENT = faults_at(st.integers(20, 80), nones=1)
"""Its proof is on disk from the 30th step on, and keys go from the 62nd on."""
UP_TO_CERTIFICATE = 3
"""As often each is asked: JOIN, DEAL, ACK."""


class SuccessionWalk(SuccessionState):
    """To be derived from, with a `world` of three holders."""

    trials = Bundle("trials")

    # --- coordinators ---

    @rule(target=trials, coordinator=RIVALS, asked=JOIN_SETS, times=st.integers(1, 4))
    def rival(self, coordinator: int, asked: tuple[int, ...], times: int) -> Trial:
        """Beside what is under way a new one that nobody disturbs, on and up to its certificate."""
        trial = self.begin(asked, coordinator)
        self.go_on(trial, asked, times)
        return trial

    @rule(target=trials, asked=JOIN_SETS, others=JOIN_SETS)
    def duel(self, asked: tuple[int, ...], others: tuple[int, ...]) -> MultipleResults[Trial]:
        """Two certificates for one epoch, unless a vote of before leads both to the same."""
        one, other = self.begin(asked, COORDINATORS[1]), self.begin(others, COORDINATORS[2])
        self.go_on(one, asked, UP_TO_CERTIFICATE)
        self.go_on(other, others, UP_TO_CERTIFICATE)
        return multiple(one, other)

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
        """Without any fault: in each epoch that both hold, and in no other. Who is being repaired
        onto another HSM may have a share by now, and the others have not heard of its key.
        """
        one, other, _ = order
        is_known = not (self.damaged.get(one) or self.damaged.get(other))
        mine, theirs = self.view.signs_in(one), self.view.signs_in(other)
        for h, certificate in self.view.certificates().items():
            round_ = Round(self.world, certificate, os.urandom(8))
            if h in mine & theirs:
                is_signed = len(self.signing.sign(round_, (one, other))) == 2
                assert is_signed or not is_known, "a quorum does not sign"
            elif h not in mine:
                offered = self.holders.ask(one, partial(round_.commit, one))
                assert offered is None, "a nonce in an epoch that is not held"

    @rule(number=NUMBERS, order=ORDERS, fault=FAULTS, lost=LOST)
    def sign(self, number: int, order: tuple[int, ...], fault: Fault, lost: bool) -> None:
        """In whichever epoch, now or long ago: who does not hold it, signs nothing in it, but may
        repeat what it has signed before (step 3.4.14).
        """
        one, other, _ = order
        round_ = self.round(number)
        h, kept = bytes(round_.certificate.body.hash), dict(round_.commits)
        before = set(self.holders.book.answered)
        can = {index for index in (one, other) if h in self.view.signs_in(index)}
        self.holders.wrong(one, fault)
        signed = self.signing.sign(round_, (one, other), lost)
        self.holders.right()
        nonces = {index: commit_in(round_.commits[index]).public_nonce for index in signed}
        new = {index for index, nonce in nonces.items() if nonce not in before}
        assert new <= can, "a partial signature in an epoch that is not held"
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
        """Step 6.6.1: an old disk beside a token that has forgotten nothing. If it has the share of
        the live epoch, but is older than what decided for that, its operator gives it up.
        """
        if not self.may_trouble(index):
            return
        phoenix, copies = self.holders.phoenixes[index], self.copies.of(index)
        phoenix.put_back(copies[number % len(copies)])
        self.calls["restored"] += 1
        self.forgetful[index] = bytes(self.view.register(index).epoch_hash)
        self.damaged[index] = False
        self.holders.rise(index, fault.observer())
        if self.view.lacks_documents(index):
            self.calls["restored, half an epoch"] += 1
            shutil.rmtree(phoenix.folder / "wallets" / self.line.wallet_id.hex())
            self.holders.rise(index)
        elif self.view.opens_live(index):
            del self.damaged[index]
        else:
            self.calls["restored, share lost"] += 1
            is_told = "alarm" in events(phoenix.party)
            assert is_told or self.view.has_live(index), "nobody is told that an epoch is missing"

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
    @rule(fault=IN_REPAIR)
    def repair(self, fault: Fault) -> None:
        """By the other two."""
        self.mend(fault)

    @precondition(lambda self: self.is_undisturbed)
    @rule(order=ORDERS, coordinator=RIVALS, times=st.integers(1, 4), fault=IN_REPAIR)
    def leave_out(self, order: tuple[int, ...], coordinator: int, times: int, fault: Fault) -> None:
        """Two go on without the third. Once both have adopted what is not decided yet, they repair
        it in that one, whatever it has voted for.
        """
        one, other, index = order
        trial = self.begin((one, other), coordinator)
        self.go_on(trial, (one, other, one), times)
        made, adopted = trial.relay.certificate, self.view.signs_in(one) & self.view.signs_in(other)
        if made is None or bytes(made.body.hash) not in adopted:
            return
        if not self.view.opens(index, made.body):
            repair = partial(self.mending.repair_in, trial, index)
            self.calls["repaired in an undecided one"] += self.is_repaired(index, repair, fault)

    @precondition(lambda self: self.is_undisturbed)
    @rule(order=ORDERS, fault=ONCE_SEALED, later=IN_RETIREMENT)
    def overtake(self, order: tuple[int, ...], fault: Fault, later: Fault) -> None:
        """Who has voted for another one is repaired in what two adopt, of whom one has an older
        vote; then these two decide for that other one.
        """
        one, other, index = order
        for voter in (other, index):
            trial = self.begin((one, voter), COORDINATORS[0])
            self.go_on(trial, (one, voter), UP_TO_CERTIFICATE)
            self.play(trial, "adopt", voter, lost=False)
        self.leave_out(order, COORDINATORS[0], 1, fault)
        trial = self.begin((other, index), COORDINATORS[0])
        self.go_on(trial, (other, index), 2)
        self.play(trial, "adopt", one, lost=False)
        self.repeat(trial, "retire", index, later)

    @rule(index=INDICES, fault=IN_REPAIR)
    def recover(self, index: int, fault: Fault) -> None:
        """A repair that was left behind is taken up, however late: it may be refused."""
        left = self.mending.left.get(index)
        if left is not None:
            self.holders.wrong(index, fault)
            self.calls["repairs taken up"] += self.holders.ask(index, left.recover) is not None
            self.holders.right()
