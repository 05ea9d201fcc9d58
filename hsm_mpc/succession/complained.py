"""COMPLAINT: what was sealed for its sender is false, and here is what opens it (6.4.8, 6.7.6).

    α ‖ SHA-256(DEAL)[32] ‖ u16be(i) ‖ S^e ‖ S^d ‖ c ‖ z                 in a succession
    u8(1 R1, 2 R2) ‖ SHA-256(R1 or R2)[32] ‖ u16be(i) ‖ S^e ‖ S^d ‖ c ‖ z  in a repair

The digest is of header ‖ payload of the message that is complained of. Without it a cheat that has
signed a second message for the same place, a sound one, would show that to the judges, and the
honest accuser were convicted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

from hsm_mpc.encoding import Reader, u8
from hsm_mpc.errors import BadEncoding
from hsm_mpc.groups.base import Group
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.wire.envelope import Message


class AccusedOf(IntEnum):
    """What was false in a repair."""

    DELTA = 1
    """R1 of a helper, for another one."""
    SUM = 2
    """R2 of a helper, for the holder that is repaired."""

    @property
    def place(self) -> bytes:
        """What a complaint in a repair begins with."""
        return u8(self)


@dataclass(frozen=True, slots=True)
class Complained:
    """Payload of COMPLAINT behind its place: α of the attempt, or which message of a repair."""

    about: bytes
    """`digest_of` the message that is complained of."""
    complaint: Complaint

    def to_bytes(self, place: bytes) -> bytes:
        """The payload."""
        return place + self.about + self.complaint.to_bytes()

    @classmethod
    def from_bytes(cls, source: bytes, place: bytes, group: Group) -> Complained:
        """Inverse of `to_bytes`; `BadEncoding` for anything else, or of another place."""
        reader = Reader(source, "complaint")
        if reader.take(len(place)) != place:
            raise BadEncoding("complaint: of something else than its message")
        about = reader.take(32)
        return cls(about, Complaint.from_bytes(source[reader.consumed :], group))


def digest_of(message: Message) -> bytes:
    """Of what its sender signed, 32 bytes. The signature is not in it: an ECDSA key signs the same
    words again with other bytes.
    """
    return hashlib.sha256(message.signed_part).digest()
