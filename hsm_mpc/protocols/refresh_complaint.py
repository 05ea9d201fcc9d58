"""A complaint about a dealer's delta, and who lied (step 6.4.8).

The accuser reveals S^e = v_r·E_i and S^d = v_r·V_i, proven to be these: from them anybody derives
the pad of one ciphertext and reads the delta in it. v_r itself is never shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.encoding import Reader, u16be
from hsm_mpc.errors import BadInput, InvalidSignature
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.sharing import DrawScalars, require_index
from hsm_mpc.protocols import equal_logs
from hsm_mpc.protocols.dealing_checks import Receiver, dealt_soundly, verify_possession
from hsm_mpc.protocols.equal_logs import Bases, Revealed
from hsm_mpc.protocols.pads import session_pads
from hsm_mpc.protocols.refresh import require_own_key
from hsm_mpc.protocols.refresh_messages import RefreshSetup, ZeroDealing
from hsm_mpc.protocols.rounds import Faults
from hsm_mpc.secure.arena import Arena, Secret


@dataclass(frozen=True, slots=True)
class Complaint:
    """COMPLAINT behind its α: u16be(i) ‖ S^e ‖ S^d ‖ c ‖ z."""

    dealer: int
    """i."""
    halves: Revealed
    """S^e and S^d."""

    def to_bytes(self) -> bytes:
        """See above."""
        return u16be(self.dealer) + self.halves.to_bytes()

    @classmethod
    def from_bytes(cls, encoded: bytes, group: Group) -> Complaint:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(encoded, "a complaint")
        dealer = reader.u16be()
        halves = reader.take(2 * group.point_length + 2 * group.scalar_length)
        reader.end()
        return cls(dealer, Revealed.from_bytes(halves, group))


def accuse(
    setup: RefreshSetup,
    me: int,
    delivery: Secret,
    dealer: int,
    dealing: ZeroDealing,
    draw: DrawScalars,
) -> Complaint:
    """The proof that `dealer` sealed a false delta for holder `me`, whose v is `delivery`.

    Nothing is revealed of a delta that is sound, nor where the signed dealing is proof enough.

    Args:
        dealing: as the dealer signed it.
        draw: the nonce of the proof.

    Raises:
        BadInput: there is nothing to complain of; no such dealer, or it is `me`.
        ProtocolAbort: `delivery` is not v of holder `me`, or a value is degenerate; no culprit.
    """
    _require_dealer(setup, me, dealer)
    try:
        verify_possession(setup, dealing)
    except InvalidSignature as unproven:
        raise BadInput(f"the dealing of holder {dealer} is proof enough") from unproven
    with delivery.arena.open():
        require_own_key(setup, me, delivery)
        if dealt_soundly(setup, me, delivery, dealer, dealing):
            raise BadInput(f"the delta of holder {dealer} is sound: nothing of it is revealed")
        bases = Bases(setup.key_of(me), dealing.ephemeral, setup.key_of(dealer))
        revealed = equal_logs.reveal(setup.suite, setup.session, bases, delivery, draw)
    return Complaint(dealer, revealed)


def judge(
    setup: RefreshSetup,
    accuser: int,
    complaint: Complaint,
    dealing: ZeroDealing,
    arena: Arena,
) -> int:
    """Who lied: the accused dealer, or the accuser. Everybody comes to the same answer.

    Args:
        dealing: as the accused dealer signed it.
        arena: where the ciphertext is opened.

    Raises:
        BadInput: no such accuser or dealer, or they are one.
    """
    dealer = complaint.dealer
    _require_dealer(setup, accuser, dealer)
    bases = Bases(setup.key_of(accuser), dealing.ephemeral, setup.key_of(dealer))
    try:
        equal_logs.verify(setup.suite, setup.session, bases, complaint.halves)
    except InvalidSignature:
        return accuser
    receiver = Receiver(setup, accuser, Faults())
    route, ciphertext = receiver.route(dealer, dealing), receiver.ciphertext(dealing)
    halves = (complaint.halves.first, complaint.halves.second)
    width = setup.suite.group.scalar_length
    with session_pads(setup.suite, setup.context, arena) as pads, arena.room(2 * width) as delta:
        opened = pads.open_revealed(halves, route, ciphertext, delta)
        receiver.blame_share(dealer, dealing, opened, delta, delta + width)
    return dealer if dealer in receiver.faults else accuser


def _require_dealer(setup: RefreshSetup, accuser: int, dealer: int) -> None:
    require_index(accuser, setup.holders)
    if dealer not in setup.dealers or dealer == accuser:
        raise BadInput(f"holder {accuser} complains of holder {dealer}")
