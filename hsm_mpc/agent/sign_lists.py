"""A SIGN list as its signer sees it: whose COMMITs it holds, signed by whom (3.4.2, 3.4.4).

What is wrong with an entry before its signature holds is the relay's fault: nobody is named.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.asked import Asked
from hsm_mpc.encoding import u16be, u32be
from hsm_mpc.errors import BackendError, BadEncoding, InvalidSignature, ProtocolAbort
from hsm_mpc.protocols.leases import Lease
from hsm_mpc.protocols.signing_messages import Commitment, CommitPayload, SignPayload, list_hash
from hsm_mpc.wire.envelope import Message, parse_envelope
from hsm_mpc.wire.inbox import Expected, decoded
from hsm_mpc.wire.rounds import COMMIT


@dataclass(frozen=True, slots=True)
class SignList:
    """The list in a SIGN message whose signature was verified; make it with `of`."""

    message: Message
    payload: SignPayload
    entries: tuple[Message, ...]
    digest: bytes
    """What a PARTIAL names it by."""
    nonce_bytes: int
    """The length of a public nonce in the wallet's scheme."""

    @classmethod
    def of(cls, message: Message, holders: int, nonce_bytes: int) -> SignList:
        """Raises: ProtocolAbort: it holds anything but COMMIT messages, one of a holder at most."""
        payload = decoded(message, SignPayload.from_bytes)
        if len(payload.commits) > holders:
            raise ProtocolAbort("SIGN list: more entries than there are holders")
        try:
            entries = tuple(parse_envelope(source) for source in payload.commits)
        except BadEncoding as garbled:
            raise ProtocolAbort(f"SIGN list: {garbled}") from garbled
        if any(entry.kind is not COMMIT for entry in entries):
            raise ProtocolAbort("SIGN list: an entry is no COMMIT")
        return cls(message, payload, entries, list_hash(message.payload), nonce_bytes)

    @property
    def slot(self) -> bytes:
        """What tells a coordinator's lists of one session apart (step 1.7.4)."""
        return u32be(self.payload.attempt) + u16be(self.payload.k)

    def lease_id_of(self, holder: int) -> bytes:
        """What stands in the entry of this holder. Nobody has signed it: it only names a lease.

        Raises:
            ProtocolAbort: there is no such entry.
        """
        for entry in self.entries:
            if entry.address.sender == holder:
                try:
                    return self._commit_in(entry.payload).lease_id
                except BadEncoding as garbled:
                    raise ProtocolAbort(f"SIGN list: our own {garbled}") from garbled
        raise ProtocolAbort("SIGN list: our own COMMIT is missing")

    def verified(self, holder: ActingHolder, asked: Asked, lease: Lease) -> list[Commitment]:
        """Every COMMIT is signed by its holder and of this session; the own one is the lease's.

        Raises:
            ProtocolAbort: nobody's fault; or naming whose signed COMMIT is none.
            Equivocation: naming who signed two COMMITs for one lease.
        """
        expected = Expected(
            COMMIT,
            asked.wallet.wallet_id,
            self.message.address.session_id,
            asked.wallet.epoch_hash,
            range(1, asked.wallet.holders + 1),
        )
        commitments = []
        for source, entry in zip(self.payload.commits, self.entries, strict=True):
            if source != lease.commit:
                _accept(holder, asked, entry, expected)
            parsed = decoded(entry, self._commit_in)
            asked.inbox.remember(entry, parsed.lease_id)
            index = entry.address.sender
            commitments.append(
                Commitment(index, parsed.k, parsed.lease_id, parsed.public_nonce, source)
            )
        return commitments

    def _commit_in(self, payload: bytes) -> CommitPayload:
        return CommitPayload.from_bytes(payload, self.nonce_bytes)


def _accept(holder: ActingHolder, asked: Asked, entry: Message, expected: Expected) -> None:
    if entry.address.sender == asked.wallet.me:
        raise ProtocolAbort("SIGN list: our own COMMIT is changed")  # step 3.4.4
    try:
        asked.inbox.accept(entry, expected, holder.clock())
    except (BadEncoding, InvalidSignature, BackendError) as wrong:
        raise ProtocolAbort(f"SIGN list: {wrong}") from wrong
