"""What a walk through successions knows, what must always hold in it, and how it ends."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
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
from tests.crash.faults import NO_FAULT, Fault, Holders
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
from tests.crash.trials import Line, Stage, Trial
from tests.crash.view import View
from tests.software_identity import ed25519_key

if TYPE_CHECKING:
    from tests.agent.simulate import World

COORDINATORS = (0, 1, 2)
PAIRS = ((1, 2), (1, 3), (2, 3))


class SuccessionState(RuleBasedStateMachine):
    """A wallet of three holders with faults, and all that coordinators ever received."""

    world: ClassVar[World]
    calls: ClassVar[Counter[str]]
    """Of all walks: rules by the fault in them, and what came about."""

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
            self.mend()
        for _ in range(2):
            self.mending.conclude()
        live = self.line.newest
        assert live.body.group_key == self.line.epochs[0].body.group_key
        for pair in PAIRS:
            round_ = Round(self.world, live.certificate, os.urandom(8))
            assert len(self.signing.sign(round_, pair)) == 2
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

    def mend(self, fault: Fault = NO_FAULT) -> None:
        """Whoever does not open the live epoch is repaired, or counts on as one that does not."""
        for index in list(self.damaged):
            if not self.is_repaired(index, partial(self.mending.repair, index), fault):
                continue
            del self.damaged[index]
            self.copies.take(index)
            self.calls["repaired"] += 1
        self.follow()

    def is_repaired(self, index: int, repair: Callable[[], Any], fault: Fault) -> bool:
        """Whether it was; else a fault has interrupted it."""
        if fault.kind == "none":
            return repair() is not None
        self.holders.wrong(index, fault)
        is_repaired = self.holders.ask(index, repair) is not None
        self.holders.right()
        self.calls["repairs interrupted"] += not is_repaired
        return is_repaired

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
        self.forgetful = {i: h for i, h in self.forgetful.items() if i in self.damaged}
        for index in HOLDERS:
            if index not in self.damaged:
                self.copies.take(index)

    @property
    def is_undisturbed(self) -> bool:
        """Whether all open the live epoch, and its end is not decided."""
        return not self.damaged and self.line.newest.decided is None

    def may_trouble(self, index: int) -> bool:
        """Whether the others are well enough to go on without it; then it counts."""
        may = self.troubled <= {index} and not self.damaged
        if may:
            self.troubled.add(index)
        return may
