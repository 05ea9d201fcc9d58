"""Pads: key agreement and encryption of shares between two holders (section 2.3).

x = S^e ‖ S^d joins the sender's ephemeral and the sender's static key with the receiver's static
key. From x and the public keys follow the AEAD key and nonce of one ciphertext.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hsm_mpc.encoding import Reader, u64be, u64le
from hsm_mpc.errors import BadEncoding
from hsm_mpc.protocols.suite import AEAD_KEY_BYTES, AEAD_TAG_BYTES, Suite
from hsm_mpc.secure.arena import Arena, move_bytes, move_public


@dataclass(frozen=True, slots=True)
class Route:
    """Whose keys make a pad, all public."""

    ephemeral: bytes
    """E_s, of the sender."""
    sender: bytes
    """P_s."""
    receiver: bytes
    """P_r."""


class Pads:
    """Seals and opens the shares of one session; made by `session_pads`.

    An `int` is the address of secret bytes in an open window unless it is a length.
    """

    __slots__ = ("_group", "_hashed", "_key", "_length", "_scratch", "_shared", "_suite", "share")

    def __init__(self, suite: Suite, context: bytes, work: int) -> None:
        self._suite = suite
        self._group = suite.group
        self.share = work
        """Room for one share, to seal from."""
        self._key = work + suite.group.scalar_length
        self._scratch = self._key + AEAD_KEY_BYTES
        self._hashed = self._scratch + AEAD_KEY_BYTES  # pad_prefix ‖ x ‖ E ‖ P_s ‖ P_r ‖ context
        self._shared = self._hashed + len(suite.pad_prefix)
        self._length = _hashed_length(suite, context)
        tail = u64le(len(context)) + context
        move_public(self._hashed, suite.pad_prefix)
        move_public(self._hashed + self._length - len(tail), tail)

    def seal(
        self, ephemeral: int, static_half: int, route: Route, plaintext: int, length: int
    ) -> bytes:
        """The sender's side: ciphertext ‖ tag[16] for `route.receiver`.

        Args:
            ephemeral: e_s.
            static_half: S^d, of `static_halves`.
            plaintext: `length` bytes: share ‖ payload (step 2.3.7).
        """
        nonce = self._derive(ephemeral, route.receiver, static_half, route)
        return self._suite.seal(self._key, nonce, plaintext, length, self._scratch)

    def open(self, static: int, static_half: int, route: Route, sealed: bytes, out: int) -> bool:
        """The receiver's side, with d_r at `static`: len(sealed) − 16 bytes at `out`.

        False: the ciphertext is not that sender's for us in this session. What then stands at
        `out` is not authenticated.
        """
        nonce = self._derive(static, route.ephemeral, static_half, route)
        return self._suite.open(self._key, nonce, sealed, out, self._scratch)

    def open_revealed(
        self, halves: tuple[bytes, bytes], route: Route, sealed: bytes, out: int
    ) -> bool:
        """The same for anybody, with S^e and S^d as the receiver revealed them (step 6.4.8)."""
        move_public(self._shared, b"".join(halves))
        nonce = self._pad(route)
        return self._suite.open(self._key, nonce, sealed, out, self._scratch)

    def _derive(self, secret: int, point: bytes, static_half: int, route: Route) -> bytes:
        """⟦K⟧ in its place; the nonce (steps 2.3.1 and 2.3.3). S^e = secret·point."""
        width = self._group.point_length
        self._group.diffie_hellman_at(secret, point, self._shared)
        move_bytes(self._shared + width, static_half, width)
        return self._pad(route)

    def _pad(self, route: Route) -> bytes:
        """⟦K⟧ and the nonce of S^e ‖ S^d, which stand in their place (step 2.3.5)."""
        keys = route.ephemeral + route.sender + route.receiver
        move_public(self._shared + 2 * self._group.point_length, keys)
        return self._suite.pad(self._hashed, self._length, self._key)


def _hashed_length(suite: Suite, context: bytes) -> int:
    """Bytes of pad_prefix ‖ x ‖ E ‖ P_s ‖ P_r ‖ u64le(len context) ‖ context."""
    return len(suite.pad_prefix) + 5 * suite.group.point_length + 8 + len(context)


@contextmanager
def session_pads(suite: Suite, context: bytes, arena: Arena) -> Iterator[Pads]:
    """The pads of one session; their working memory is wiped at the end."""
    room = suite.group.scalar_length + 2 * AEAD_KEY_BYTES
    room += _hashed_length(suite, context) + suite.pad_room
    with arena.room(room) as work:
        yield Pads(suite, context, work)


def static_halves(suite: Suite, static: int, keys: Sequence[bytes], out: int) -> None:
    """S^d with each of `keys` in turn, `point_length` bytes each: it serves both directions."""
    for position, key in enumerate(keys):
        half = out + position * suite.group.point_length
        suite.group.diffie_hellman_at(static, key, half)


def sealed_length(suite: Suite) -> int:
    """Bytes of the ciphertext of a share without payload: 48 on both curves."""
    return suite.group.scalar_length + AEAD_TAG_BYTES


def frame(sealed: bytes) -> bytes:
    """u64be(length) ‖ ciphertext, as it stands in a message (step 2.3.7)."""
    return u64be(len(sealed)) + sealed


def read_frames(reader: Reader, count: int, length: int) -> tuple[bytes, ...]:
    """`count` ciphertexts of `length` bytes each.

    Raises:
        BadEncoding: a frame names another length, or bytes are missing.
    """
    named = u64be(length)
    width = len(named) + length
    frames = reader.take(count * width)
    for start in range(0, len(frames), width):
        if not frames.startswith(named, start):
            raise BadEncoding(f"the frame of a ciphertext that is not {length} bytes long")
    return tuple(frames[end - length : end] for end in range(width, len(frames) + 1, width))
