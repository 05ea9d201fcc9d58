"""What operators do in the end: a lost share is repaired, and the succession is finished."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import HsmMpcError, Refused
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.succession.stages import carried_in
from hsm_mpc.wire.wallet_calls import ShownSuccession
from tests.agent.repairing import Repairing
from tests.crash.trials import Epoch, Line, Stage, Trial

if TYPE_CHECKING:
    from tests.agent.simulate import World

HOLDERS = (1, 2, 3)
EXCUSED = b"with a lost HSM"
"""In place of a DESTROYED that nobody can say."""


@dataclass
class Mending:
    """Without faults, unless the one that is repaired has one: else all has to be answered."""

    line: Line
    left: dict[int, Repairing] = field(default_factory=dict)
    """Of each holder, the repair that was last interrupted once the helpers had done their part."""

    @property
    def world(self) -> World:
        return self.line.world

    def repair(self, index: int) -> bool:
        """The share of the live epoch, by the other two; of its successor, if that is decided."""
        newest = self.line.newest
        body, dones = newest.body, dict(newest.dones)
        if newest.decided is not None:
            certificate = newest.decided.relay.certificate
            assert certificate is not None
            for helper in self._others(index):
                self.ask(newest.decided, "retire", helper)
            body, dones = certificate.body, dict(newest.last_dones)
        done = self._repaired(index, body, dones, newest.decided)
        if newest.decided is None:
            newest.dones[index] = done
        elif self._is_excused(index, body):
            newest.last_dones[index] = done
            newest.destroyed[index] = EXCUSED
        else:
            self.ask(newest.decided, "retire", index)
        return True

    def repair_in(self, trial: Trial, index: int) -> bytes:
        """Its share of a successor that both others have adopted: they show their newest DONEs."""
        assert trial.relay.certificate is not None
        body, dones = trial.relay.certificate.body, {}
        for helper in self._others(index):
            desk = self.world.parties[helper].repairs
            dones[helper] = desk.documents(body.terms.wallet_id, body.hash)[2]
        return self._repaired(index, body, dones, trial)

    def conclude(self) -> Epoch:
        """Whatever was certified is shown to all, then one attempt of all decides: the next one."""
        epoch = self.line.newest
        certified = [trial for trial in epoch.trials if trial.successor is not None]
        for trial in sorted(certified, key=lambda each: each.relay.attempt.to_bytes()):
            for index in HOLDERS:
                if epoch.decided is None:
                    self._try_to_adopt(trial, index)
        if epoch.decided is None:
            self._decide(self.line.begin(HOLDERS))
        assert epoch.decided is not None
        for index in HOLDERS:
            if index not in epoch.destroyed:
                self._retire(epoch.decided, index)
        after = self.line.follow()
        assert after is not None
        return after

    def ask(self, trial: Trial, stage: Stage, index: int) -> None:
        question = trial.question(stage, index)
        assert question is not None
        answer = question()
        party = self.world.parties[index]
        trial.take(stage, index, answer, party.acting.channel_announcement())

    def _decide(self, trial: Trial) -> None:
        for index in HOLDERS:
            self.ask(trial, "join", index)
        trial.propose()
        making: tuple[Stage, ...] = ("deal", "stage")
        if trial.successor is None:
            for stage in making:
                for index in HOLDERS:
                    self.ask(trial, stage, index)
        for index in HOLDERS:
            self._adopt(trial, index)

    def _retire(self, decided: Trial, index: int) -> None:
        """Whoever has lost what it adopted, and what was dealt to it, is repaired (step 6.7.1)."""
        try:
            self.ask(decided, "retire", index)
        except HsmMpcError:
            self.repair(index)

    def _is_excused(self, index: int, body: EpochBody) -> bool:
        """Whether it has come to this epoch, and has nothing to say of the one before: in that one
        its HSM was lost.
        """
        acting, wallet_id = self.world.parties[index].acting, self.line.wallet_id
        register = acting.registers.read(wallet_id)
        said = acting.epochs(wallet_id).kept(self.line.newest.body.hash, EpochDocument.DESTROYED)
        return said is None and register is not None and register.epoch_hash == body.hash

    def _try_to_adopt(self, trial: Trial, index: int) -> None:
        try:
            self.ask(trial, "adopt", index)
        except HsmMpcError:
            return

    def _adopt(self, trial: Trial, index: int) -> None:
        """Whoever cannot make its share from what was dealt is repaired in the successor, too."""
        try:
            self.ask(trial, "adopt", index)
        except HsmMpcError:
            for helper in self._others(index):
                self.ask(trial, "adopt", helper)
            self.repair_in(trial, index)
            self.ask(trial, "adopt", index)

    def _repaired(
        self, index: int, body: EpochBody, dones: dict[int, bytes], made: Trial | None
    ) -> bytes:
        """Its DONE of that epoch, of a successor that this trial has made; None: the live one. All
        others learn of another identity key.
        """
        line, helpers, lineage = self.line, self._others(index), self.line.lineage
        if lineage is not None and made is not None:
            assert made.relay.certificate is not None
            carried = carried_in(made.relay.certificate)
            lineage = lineage.after(line.newest.body.terms.roster_hash, carried)
        shown = self._shown(made)
        repairing = Repairing(self.world, line.making, index, helpers, shown, lineage)
        repairing.body = body
        repairing.dones = [dones.get(each, b"") for each in HOLDERS]
        known = self.world.roster if lineage is None else lineage.newest.roster
        known_key = known.member(index).key
        done = self._recovered(repairing, known_key)
        acting = self.world.parties[index].acting
        if acting.identity.key.to_bytes() != known_key.to_bytes():
            amended = acting.lineage(body.terms)
            for amendment in amended.pending:
                for helper in helpers:
                    repairing.desk(helper).amend(body.terms.wallet_id, amendment)
            line.lineage = amended
        return done

    def _recovered(self, repairing: Repairing, known_key: VerifyingKey) -> bytes:
        """DONE; also of a repair that the holder has finished since it was interrupted."""
        index, body = repairing.lost, repairing.body
        try:
            repairing.ordered(nonce=os.urandom(32), known_key=known_key)
        except Refused as refused:
            if refused.rule != "share-opens":
                raise
            epochs = self.world.parties[index].acting.epochs(body.terms.wallet_id)
            done = epochs.kept(body.hash, EpochDocument.DONE)
            assert done is not None
        else:
            self.left[index] = repairing.summed()
            _, done = repairing.recover()
        self.left.pop(index, None)
        return done

    def _shown(self, last: Trial | None) -> tuple[ShownSuccession, ...]:
        """All successions up to the live epoch, and this one."""
        chain = [
            ShownSuccession(epoch.certificate.to_bytes(), (), epoch.before, ())
            for epoch in self.line.epochs[1:]
        ]
        if last is not None:
            assert last.relay.certificate is not None
            proof = last.relay.retirement if last.epoch.decided is last else b""
            encoded = last.relay.certificate.to_bytes()
            chain.append(ShownSuccession(encoded, (), proof, ()))
        return tuple(chain)

    def _others(self, index: int) -> tuple[int, int]:
        one, other = (each for each in HOLDERS if each != index)
        return one, other
