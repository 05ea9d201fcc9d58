"""A dealing: scalars, committed to and dealt to holders under pads.

Key generation deals polynomials of a random secret (section 2.5), a refresh those of 0 (section
6.4), a repair the summands of a share (section 6.7), a resharing polynomials of a share (section
6.8). This is the dealer's side, and the message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol, Self, TypeVar

from hsm_mpc.encoding import Reader, u16be
from hsm_mpc.groups.proofs import signature_length
from hsm_mpc.groups.sharing import DrawScalars, Sharing
from hsm_mpc.protocols import schnorr
from hsm_mpc.protocols.pads import (
    Route,
    frame,
    read_frames,
    sealed_length,
    session_pads,
    static_halves,
)
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret, Take, opened


class Session(Protocol):
    """What all holders know before anybody deals."""

    @property
    def suite(self) -> Suite:
        """Group, hash and AEAD."""

    @property
    def context(self) -> bytes:
        """What proofs and pads are bound to."""

    @property
    def sharing(self) -> Sharing:
        """What is dealt."""

    @property
    def threshold(self) -> int:
        """t."""

    @property
    def receivers(self) -> Sequence[int]:
        """To whom each dealer deals, in this order."""

    @property
    def partners(self) -> Sequence[int]:
        """In whose order a receiver keeps its half of the pads: the dealers are among them."""

    def key_of(self, index: int) -> bytes:
        """The key of a dealer that pads join."""

    def key_of_receiver(self, index: int) -> bytes:
        """The same of a receiver: it may be another holder than the dealer of this index."""


class PadKey(StrEnum):
    """A key of the dealer that is half of its pads; its value names the field of the proof."""

    EPHEMERAL = "ephemeral_possession"
    STATIC = "static_possession"


@dataclass(frozen=True, slots=True)
class Dealing:
    """What a dealer sends to all."""

    proven: ClassVar[int] = 0
    """The place of the point whose logarithm PoP proves, among C ‖ E."""
    proves_keys: ClassVar[tuple[PadKey, ...]] = ()
    """Which of PoP^E and PoP^V are there, in this order. Where e and v are proven, a complaint
    reveals nothing that the dealer could not compute itself, S^e = e·V_r and S^d = v·V_r."""

    commitments: tuple[bytes, ...]
    """C: to the dealt scalars, of coefficients that of the lowest power first."""
    possession: bytes
    """PoP: knowledge of the logarithm of one of these points."""
    ephemeral: bytes
    """E."""
    sealed: tuple[bytes, ...]
    """The share of each receiver, under its pad."""
    ephemeral_possession: bytes = b""
    """PoP^E: knowledge of e by the dealer itself; nothing where it is not there."""
    static_possession: bytes = b""
    """PoP^V: knowledge of the secret of the key that pads join; nothing where it is not there."""

    def to_bytes(self) -> bytes:
        """C ‖ PoP ‖ PoP^E ‖ PoP^V ‖ E ‖ frame(c_1) ‖ … ‖ frame(c_n)."""
        proofs = self.possession + self.ephemeral_possession + self.static_possession
        frames = b"".join(frame(ciphertext) for ciphertext in self.sealed)
        return b"".join(self.commitments) + proofs + self.ephemeral + frames

    @classmethod
    def from_bytes(cls, encoded: bytes, session: Session) -> Self:
        """Exactly the points that `session` wants, the proofs, a point, a frame for each receiver.

        Raises:
            BadEncoding: anything else, or a point that is none (steps 2.5.5, 6.4.3 and 6.7.4).
        """
        suite, group = session.suite, session.suite.group
        reader, proof = Reader(encoded, "a dealing"), signature_length(suite)
        width = group.point_length
        commitments = reader.take(width * session.sharing.committed(session.threshold))
        possession = reader.take(proof)
        of_keys = {key.value: reader.take(proof) for key in cls.proves_keys}
        dealing = cls(
            group.parse_points(commitments),
            possession,
            group.parse_point(reader.take(width)),
            read_frames(reader, len(session.receivers), sealed_length(suite)),
            **of_keys,
        )
        reader.end()
        return dealing

    @property
    def proven_key(self) -> bytes:
        """The point whose logarithm PoP proves."""
        return (*self.commitments, self.ephemeral)[self.proven]


AnyDealing = TypeVar("AnyDealing", bound=Dealing)


def possession_message(session: Session, commitments: Sequence[bytes], ephemeral: bytes) -> bytes:
    """What PoP signs: context ‖ C ‖ E (steps 2.5.2, 6.4.2 and 6.7.3)."""
    return session.context + b"".join(commitments) + ephemeral


def keys_message(
    session: Session, dealer: int, commitments: Sequence[bytes], ephemeral: bytes
) -> bytes:
    """What PoP^E and PoP^V sign: context ‖ C ‖ E ‖ u16be(dealer) (steps 6.4.2 and 6.7.3).

    With the index in it nobody shows the E of another dealer. PoP never signs it: that signs whole
    points behind the context, and these are two bytes more.
    """
    return possession_message(session, commitments, ephemeral) + u16be(dealer)


def halves_with_all(session: Session, own: Secret, take: Take) -> Secret:
    """S^d with each receiver in turn; `own` is the secret of the own key.

    Each is half of the pads of both directions of a pair.
    """
    keys = [session.key_of_receiver(index) for index in session.receivers]
    halves = take(session.suite.group.point_length * len(keys))
    with own.open() as secret, halves.open() as half:
        static_halves(session.suite, secret, keys, half)
    return halves


def deal(
    kind: type[AnyDealing],
    session: Session,
    me: int,
    own: Secret,
    halves: Secret,
    draw: DrawScalars,
) -> AnyDealing:
    """Fresh scalars of ours to all. Nothing of them is kept (steps 2.5.4 and 6.4.2).

    Args:
        own: the secret of the own key.
        halves: of `halves_with_all`.

    Raises:
        ProtocolAbort: a value is degenerate; no culprit.
    """
    count = session.sharing.committed(session.threshold)
    with halves.arena.scope() as take:
        scalars = take(session.suite.group.scalar_length * (count + 1))
        draw(scalars)  # steps 2.5.1 and 6.4.2
        return dealt(kind, session, me, own, scalars, halves)


def dealt(
    kind: type[AnyDealing],
    session: Session,
    me: int,
    own: Secret,
    scalars: Secret,
    halves: Secret,
) -> AnyDealing:
    """The dealing of the committed scalars ‖ e in `scalars`, which are the caller's to wipe.

    `own` is the secret of the own key.

    Raises:
        ProtocolAbort: a value is degenerate; no culprit.
    """
    suite, group, arena = session.suite, session.suite.group, scalars.arena
    width = group.scalar_length
    with opened(scalars, own) as (first, static):
        points = [group.public_point_at(first + at) for at in range(0, scalars.size, width)]
        *commitments, ephemeral = points
        signed = possession_message(session, commitments, ephemeral)
        secret = first + kind.proven % len(points) * width
        key = points[kind.proven]
        possession = schnorr.sign(suite, arena, secret, key, signed)  # step 2.5.2
        signed = keys_message(session, me, commitments, ephemeral)
        known = {
            PadKey.EPHEMERAL: (first + len(commitments) * width, ephemeral),
            PadKey.STATIC: (static, session.key_of(me)),
        }
        of_keys = {  # steps 6.4.2 and 6.7.3
            key.value: schnorr.sign(suite, arena, *known[key], signed) for key in kind.proves_keys
        }
    sealed = _sealed(session, me, scalars, len(commitments), ephemeral, halves)
    return kind(tuple(commitments), possession, ephemeral, sealed, **of_keys)


def _sealed(
    session: Session, me: int, scalars: Secret, count: int, ephemeral: bytes, halves: Secret
) -> tuple[bytes, ...]:
    """The share of every receiver, also the own, each under its pad (steps 2.5.3 and 6.7.3)."""
    group, sharing, sealed = session.suite.group, session.sharing, []
    with (
        session_pads(session.suite, session.context, scalars.arena) as pads,
        scalars.open() as coefficients,
        halves.open() as half,
    ):
        secret = coefficients + count * group.scalar_length
        for index in session.receivers:
            sharing.share_at(group, coefficients, count, index, pads.share)
            route = Route(ephemeral, session.key_of(me), session.key_of_receiver(index))
            sealed.append(pads.seal(secret, half, route, pads.share, group.scalar_length))
            half += group.point_length
    return tuple(sealed)
