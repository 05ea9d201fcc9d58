"""What one key generation has on disk and in the HSM: it outlives its secrets, and every crash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.audit import Json
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.wrapping_keys import wrapping_key_id
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.keys import Key
from hsm_mpc.ids import WalletId
from hsm_mpc.store.proposals import SessionDocument
from hsm_mpc.wire.envelope import bundle, unbundled

_FIRST_KEY: Final = 0
"""g of step 6.2.2."""
_REFUSED_AFTER_DEADLINE: Final = 24 * 3600
"""Seconds by which the own clock may be set back."""
_LAST_SECOND: Final = 2**64 - 1


class KeygenFiles:
    """Names and finds all that belongs to the PROPOSAL of one wallet."""

    def __init__(self, holder: ActingHolder, proposal: Proposal) -> None:
        self._holder = holder.seated(proposal.roster)
        self.proposal: Final = proposal
        self.ph: Final = proposal.hash
        self.wallet_id: Final[WalletId] = proposal.terms.wallet_id
        self.key_id: Final = wrapping_key_id(
            self.wallet_id, self._holder.me, self.ph, Attempt.NONE, _FIRST_KEY
        )

    @classmethod
    def load(cls, holder: ActingHolder, ph: bytes) -> KeygenFiles:
        """Of a PROPOSAL that is on disk. Raises: Tampered, BackendError."""
        return cls(holder, Proposal.from_bytes(holder.store.proposals.load(ph)))

    @property
    def holder(self) -> ActingHolder:
        """Among those of the wallet."""
        return self._holder

    def begin(self, policy_file: bytes) -> None:
        """PROPOSAL and policy are on disk before KEK_0 is made (steps 2.6.1 and 2.6.2)."""
        self._holder.store.proposals.begin(self.proposal.to_bytes())
        self.keep(SessionDocument.POLICY, policy_file)

    def keep(self, document: SessionDocument, content: bytes) -> None:
        """What is once kept never changes."""
        self._holder.store.proposals.keep(self.ph, document, content)

    def keep_answered(
        self,
        received: SessionDocument,
        messages: Sequence[bytes],
        answer: SessionDocument,
        message: bytes,
    ) -> None:
        """The own message of a round, and before it what it answers (step 1.7.4)."""
        self.keep(received, bundle(messages))
        self.keep(answer, message)

    def kept(self, document: SessionDocument) -> bytes | None:
        """What `keep` was given, or None."""
        return self._holder.store.proposals.kept(self.ph, document)

    def answered(self, received: SessionDocument) -> tuple[bytes, ...]:
        """The messages that a kept answer answers; none: there is no answer yet."""
        return unbundled(self.kept(received) or b"")

    def make_key(self) -> Key:
        """KEK_0; its CKA_ID follows from ph, so a crash leaves no key that nobody can name.

        Raises:
            BadConfig: it is there already.
            Refused, BackendError: the token does not make it.
        """
        label = keys.wrapping_label(self.wallet_id)
        holder = self._holder
        return keys.generate_wrapping_key(holder.token, self.key_id, label, holder.wrapping)

    def destroy_key(self) -> None:
        """No KEK_0 is left."""
        destroy_wrapping_key(self._holder, self.wallet_id, self.key_id)

    def bury(self) -> None:
        """Refuse this nonce from now on, and forget all else: KEK_0 is gone (step 2.6.1)."""
        until = min(self.proposal.deadline + _REFUSED_AFTER_DEADLINE, _LAST_SECOND)
        self._holder.store.ended.add(self.wallet_id, until)
        self.forget()

    def forget(self) -> None:
        """The certificate is there: nothing of the session is needed any more (step 2.6.10)."""
        if self.ph in self._holder.store.proposals.hashes():
            self._holder.store.proposals.forget(self.ph)

    def audit(self, event: str, fields: Mapping[str, Json] = {}) -> None:
        """A durable line about this wallet."""
        named = {"wallet_id": self.wallet_id.hex(), "name": self.proposal.name}
        self._holder.audit(event, {**named, **fields})


def destroy_wrapping_key(holder: ActingHolder, wallet_id: WalletId, key_id: bytes) -> None:
    """Destroy a wrapping key of this wallet if it is there.

    Raises:
        BackendError: the token does not answer.
    """
    key = keys.find_wrapping_key(holder.token, key_id, keys.wrapping_label(wallet_id))
    if key is not None:
        keys.destroy(holder.token, key)
