"""ACK (M5): a member of an attempt has staged its share of the successor, and opened it again."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.done import ack_message
from hsm_mpc.encoding import Reader
from hsm_mpc.ids import EpochHash
from hsm_mpc.roster import Roster
from hsm_mpc.tags import Tag


@dataclass(frozen=True, slots=True)
class Ack:
    """Payload of ACK_i. What the HSM signed goes into the certificate."""

    attempt: Attempt
    epoch_hash: EpochHash
    acknowledgement: Acknowledgement

    def to_bytes(self) -> bytes:
        """`α ‖ h' ‖ kek_digest ‖ blob_digest ‖ LV16(signature)`."""
        return self.attempt.to_bytes() + self.epoch_hash + self.acknowledgement.to_bytes()

    @classmethod
    def from_bytes(cls, source: bytes) -> Ack:
        """Inverse of `to_bytes`; `BadEncoding` for anything else. It checks no signature."""
        reader = Reader(source, "ack")
        ack = cls(Attempt.read(reader), EpochHash(reader.take(32)), Acknowledgement.read(reader))
        reader.end()
        return ack


def check_acknowledgement(
    h: EpochHash, index: int, ack: Acknowledgement, roster: Roster, first: int = 0
) -> None:
    """The HSM of holder `index` signed that its share of epoch `h` is sealed and opens.

    Args:
        first: holder i of the roster signs as first + i.

    Raises:
        InvalidSignature: it did not.
    """
    message = ack_message(h, first + index, ack.kek_digest, ack.blob_digest)
    roster.member(index).key.verify(Tag.ACK, message, ack.signature)
