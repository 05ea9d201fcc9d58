"""A complaint about a share under its pad, and whether it is true (steps 6.4.8 and 6.7.6).

The accuser reveals S^e = v·E and S^d = v·V of the accused, proven to be these: from them anybody
derives the pad of one ciphertext and reads the share in it. The accuser's v itself is never shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.encoding import Reader, u16be
from hsm_mpc.errors import BadInput, InvalidSignature
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.sharing import DrawScalars
from hsm_mpc.protocols import equal_logs
from hsm_mpc.protocols.delivered import Delivered
from hsm_mpc.protocols.equal_logs import Bases, Revealed
from hsm_mpc.secure.arena import Arena, Secret


@dataclass(frozen=True, slots=True)
class Complaint:
    """COMPLAINT, of a refresh behind its α: u16be(i) ‖ S^e ‖ S^d ‖ c ‖ z."""

    accused: int
    """i."""
    halves: Revealed
    """S^e and S^d."""

    def to_bytes(self) -> bytes:
        """See above."""
        return u16be(self.accused) + self.halves.to_bytes()

    @classmethod
    def from_bytes(cls, encoded: bytes, group: Group) -> Complaint:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(encoded, "a complaint")
        accused = reader.u16be()
        halves = reader.take(2 * group.point_length + 2 * group.scalar_length)
        reader.end()
        return cls(accused, Revealed.from_bytes(halves, group))


def complain(
    session: bytes, accused: int, delivered: Delivered, own: Secret, draw: DrawScalars
) -> Complaint:
    """The proof that holder `accused` sent a false share. `own` is v of its receiver.

    The caller has made sure that it is, and that the signed message is not proof enough.

    Args:
        session: sid.
        draw: the nonce of the proof.

    Raises:
        BadInput: the share is sound; nothing of it is revealed.
        ProtocolAbort: a value is degenerate; no culprit.
    """
    with own.arena.open():
        if delivered.opens_soundly(own):
            raise BadInput(f"what holder {accused} sent is sound: nothing of it is revealed")
        bases = _bases(delivered)
        revealed = equal_logs.reveal(delivered.suite, session, bases, own, draw)
    return Complaint(accused, revealed)


def is_true(session: bytes, delivered: Delivered, complaint: Complaint, arena: Arena) -> bool:
    """Whether the accused lied, else the accuser did. Everybody comes to the same answer.

    Args:
        session: sid.
        arena: where the ciphertext is opened.
    """
    revealed = complaint.halves
    try:
        equal_logs.verify(delivered.suite, session, _bases(delivered), revealed)
    except InvalidSignature:
        return False
    halves = (revealed.first, revealed.second)
    return not delivered.opens_soundly_as_revealed(halves, arena)


def _bases(delivered: Delivered) -> Bases:
    route = delivered.route
    return Bases(route.receiver, route.ephemeral, route.sender)
