"""Proofs of equal discrete logarithms (step 6.7.6), Chaum and Pedersen's over three bases.

Whoever knows v with V = v·B reveals S_1 = v·Q_1 and S_2 = v·Q_2, and proves that they are these.
The proof says nothing more of v.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadEncoding, InvalidSignature
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.proofs import PublicSuite
from hsm_mpc.groups.sharing import DrawScalars
from hsm_mpc.secure.arena import Secret, move_bytes, publish_at


@dataclass(frozen=True, slots=True)
class Bases:
    """Whose multiples are revealed, and under which key; all of them points."""

    public_key: bytes
    """V."""
    first: bytes
    """Q_1."""
    second: bytes
    """Q_2."""


@dataclass(frozen=True, slots=True)
class Revealed:
    """S_1 and S_2 with their proof. From now on both are public."""

    first: bytes
    """S_1 = v·Q_1."""
    second: bytes
    """S_2 = v·Q_2."""
    proof: bytes
    """c ‖ z, two scalars."""

    def to_bytes(self) -> bytes:
        """S_1 ‖ S_2 ‖ c ‖ z."""
        return self.first + self.second + self.proof

    @classmethod
    def from_bytes(cls, encoded: bytes, group: Group) -> Revealed:
        """Inverse of `to_bytes`. Raises `BadEncoding`: another length, or a point that is none."""
        reader = Reader(encoded, "a proof of equal logarithms")
        revealed = cls(
            group.parse_point(reader.take(group.point_length)),
            group.parse_point(reader.take(group.point_length)),
            reader.take(2 * group.scalar_length),
        )
        reader.end()
        return revealed


def reveal(
    suite: PublicSuite, session: bytes, bases: Bases, secret: Secret, draw: DrawScalars
) -> Revealed:
    """Both multiples of `secret`, and the proof. The caller has made sure that they may be known.

    Args:
        session: sid, 32 bytes.
        secret: v of `bases.public_key`.
        draw: the nonce k, which is drawn into protected memory and wiped here.

    Raises:
        ProtocolAbort: a value is degenerate.
    """
    group, arena = suite.group, secret.arena
    width, point = group.scalar_length, group.point_length
    with arena.open(), arena.scope() as take:
        nonce = take(width)
        draw(nonce)
        with nonce.open() as k, secret.open() as v, arena.room(width + point) as z:
            out = z + width
            first = _revealed_product(group, v, bases.first, out)
            second = _revealed_product(group, v, bases.second, out)
            commitments = (
                group.public_point_at(k),
                _revealed_product(group, k, bases.first, out),
                _revealed_product(group, k, bases.second, out),
            )
            message = _hashed(session, bases, first, second, commitments)
            challenge = suite.equal_logs_challenge(message)
            move_bytes(z, v, width)
            group.multiply_public_at(z, challenge)
            group.add_at(z, k)
            answer = publish_at(z, width)  # released by step 6.7.6
    return Revealed(first, second, group.scalar_bytes(challenge) + answer)


def verify(suite: PublicSuite, session: bytes, bases: Bases, revealed: Revealed) -> None:
    """Recompute R_x = z·Q_x − c·S_x, and from them c.

    Raises:
        InvalidSignature: a scalar is not canonical, or the proof does not verify.
    """
    group = suite.group
    reader = Reader(revealed.proof, "a proof of equal logarithms")
    try:
        challenge = group.parse_scalar(reader.take(group.scalar_length))
        answer = group.parse_scalar(reader.take(group.scalar_length))
        reader.end()
    except BadEncoding as malformed:
        raise InvalidSignature(str(malformed)) from malformed
    commitments = []
    for commitment in (
        group.multiply_with_base(bases.public_key, -challenge, answer),
        group.linear_combination([(answer, bases.first), (-challenge, revealed.first)]),
        group.linear_combination([(answer, bases.second), (-challenge, revealed.second)]),
    ):
        if commitment is None:  # the identity, which no honest nonce gives
            raise InvalidSignature("a proof of equal logarithms whose nonce is 0")
        commitments.append(commitment)
    message = _hashed(session, bases, revealed.first, revealed.second, tuple(commitments))
    if suite.equal_logs_challenge(message) != challenge:
        raise InvalidSignature("a proof of equal logarithms does not verify")


def _hashed(
    session: bytes, bases: Bases, first: bytes, second: bytes, commitments: tuple[bytes, ...]
) -> bytes:
    """sid ‖ V ‖ Q_1 ‖ S_1 ‖ Q_2 ‖ S_2 ‖ R_0 ‖ R_1 ‖ R_2."""
    points = (bases.public_key, bases.first, first, bases.second, second, *commitments)
    return session + b"".join(points)


def _revealed_product(group: Group, scalar: int, point: bytes, out: int) -> bytes:
    """scalar·point, by way of `out`; `scalar` is an address."""
    group.diffie_hellman_at(scalar, point, out)
    return publish_at(out, group.point_length)  # released by steps 6.4.8 and 6.7.6
