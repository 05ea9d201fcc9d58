"""ACK and DONE: what a holder says of its sealed share (steps 2.6.7 and 2.6.8, M7 of 6.3)."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.terms import read_point
from hsm_mpc.encoding import Reader, u16be
from hsm_mpc.groups.base import Group
from hsm_mpc.ids import EpochHash


def ack_message(epoch_hash: EpochHash, index: int, kek_digest: bytes, blob_digest: bytes) -> bytes:
    """What ACK_i signs, with tag `ack`: "I have sealed, written and re-opened my share"."""
    return epoch_hash + u16be(index) + kek_digest + blob_digest


@dataclass(frozen=True, slots=True)
class Done:
    """Payload of DONE_i: "I hold and have re-opened my share of this epoch; I adopt it"."""

    attempt: Attempt
    epoch_hash: EpochHash
    delivery_key: bytes
    kek_digest: bytes
    blob_digest: bytes

    @property
    def is_of_a_share(self) -> bool:
        """Whether there is one; an old holder votes for a resharing without (step 6.8.4)."""
        return any(self.kek_digest + self.blob_digest)

    def to_bytes(self) -> bytes:
        """`α ‖ h ‖ V_i ‖ kek_digest_i ‖ blob_digest_i`; α is zero for epoch 0."""
        return (
            self.attempt.to_bytes()
            + self.epoch_hash
            + self.delivery_key
            + self.kek_digest
            + self.blob_digest
        )

    @classmethod
    def from_bytes(cls, source: bytes, group: Group) -> Done:
        """Inverse of `to_bytes`; `BadEncoding` for anything else, an invalid point included."""
        reader = Reader(source, "done")
        done = cls(
            Attempt.read(reader),
            EpochHash(reader.take(32)),
            read_point(reader, group),
            reader.take(32),
            reader.take(32),
        )
        reader.end()
        return done
