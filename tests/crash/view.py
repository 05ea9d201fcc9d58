"""What disks and tokens of a wallet's holders say; the holders themselves are not asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.hsm.register import Register
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.successor import SuccessorCertificate
from tests.crash.phoenix import Phoenix
from tests.crash.successors import opens
from tests.crash.trials import Line


@dataclass
class View:
    """Of a wallet, as far as `line` has come."""

    line: Line
    phoenixes: Mapping[int, Phoenix]

    def register(self, index: int) -> Register:
        """Which is there, unless its HSM was lost."""
        register = self._acting(index).registers.read(self.line.wallet_id)
        assert register is not None
        return register

    def opens_live(self, index: int) -> bool:
        """Whether this holder opens its share of the epoch that its register names."""
        return opens(self._acting(index), self._body(self.register(index).epoch_hash))

    def opens(self, index: int, body: EpochBody) -> bool:
        return opens(self._acting(index), body)

    def has_live(self, index: int) -> bool:
        """Whether its disk has a record of that epoch, though its share may not open."""
        records = self._acting(index).epochs(self.line.wallet_id).records()
        return self.register(index).epoch_hash in [record.epoch_hash for record in records]

    def lacks_documents(self, index: int) -> bool:
        """Whether it opens that epoch, and its disk has no certificate or no own DONE of it: so it
        signs in it, and can neither join a succession of it nor retire it.
        """
        epochs = self._acting(index).epochs(self.line.wallet_id)
        h = self.register(index).epoch_hash
        needed = (EpochDocument.CERTIFICATE, EpochDocument.DONE)
        return self.opens_live(index) and any(epochs.kept(h, each) is None for each in needed)

    def signs_in(self, index: int) -> set[bytes]:
        """Epochs of which disk and token say together that this holder signs in them (6.5.8)."""
        acting = self._acting(index)
        register = acting.registers.read(self.line.wallet_id)
        if register is None:
            return set()
        wanted = {bytes(register.epoch_hash): EpochState.ACTIVE}
        if register.adopted is not None:
            wanted[bytes(register.adopted.epoch_hash)] = EpochState.ADOPTED
        records = acting.epochs(self.line.wallet_id).records()
        states = {bytes(record.epoch_hash): record.state for record in records}
        found = [h for h, state in wanted.items() if states.get(h) is state]
        return {h for h in found if opens(acting, self._body(h))}

    def certificates(self) -> dict[bytes, Certificate | SuccessorCertificate]:
        """Of every epoch that there ever was, or that may come."""
        known = [epoch.certificate for epoch in self.line.epochs]
        staged = [each.relay.certificate for each in self.line.newest.trials]
        return {bytes(each.body.hash): each for each in [*known, *staged] if each is not None}

    def _body(self, h: bytes) -> EpochBody:
        return self.certificates()[bytes(h)].body

    def _acting(self, index: int) -> ActingHolder:
        return self.phoenixes[index].party.acting
