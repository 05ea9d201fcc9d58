"""Which key has signed a checkpoint of an audit log, where the holder had several (step 6.7.9).

A line `identity-rotated` names a key and the one that takes its place; a checkpoint of the first
behind it confirms it, and from the first checkpoint of the second on nothing else counts.
"""

from __future__ import annotations

from typing import BinaryIO

from hsm_mpc.audit import EMPTY, ROTATED, Chain, Line, Tail
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import InvalidSignature, Tampered
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.tags import Tag


class KeyChain:
    """The keys of one log, while it is read from its beginning."""

    def __init__(self, keys: tuple[VerifyingKey, ...]) -> None:
        """`keys`: as `keys_in` tells."""
        self._key = keys[0]
        self._next: VerifyingKey | None = None
        self._confirmed = False

    def learn(self, line: Line) -> None:
        """A line of the log.

        Raises:
            Tampered: another key takes the place of one that is not the last.
        """
        if line.record["event"] != ROTATED:
            return
        before, after = _rotated(line)
        if before != self._key:
            raise Tampered(f"audit log: line {line.tail.seq} replaces a key that was not in force")
        self._next, self._confirmed = after, False

    def verify(self, tag: Tag, message: bytes, signature: bytes) -> None:
        """Raises: InvalidSignature: it is of no key that counts there."""
        try:
            self._key.verify(tag, message, signature)
            self._confirmed = True
        except InvalidSignature:
            if self._next is None or not self._confirmed:
                raise
            self._next.verify(tag, message, signature)
            self._key, self._next = self._next, None

    def require_end(self, key: VerifyingKey) -> None:
        """The holder's card names the last key.

        Raises:
            Tampered: it names another one.
        """
        if key != self._key and not (self._confirmed and key == self._next):
            raise Tampered("audit log: its last key is not that of the holder's card")


def keys_in(log: BinaryIO, card_key: VerifyingKey, floor: Tail = EMPTY) -> tuple[VerifyingKey, ...]:
    """Every key that a log names, the first one first; where it names none, that of the card.

    Raises:
        Tampered: the chain of its lines breaks.
    """
    found = [_rotated(line) for line in Chain(log, floor) if line.record["event"] == ROTATED]
    return tuple(each for pair in found for each in pair) or (card_key,)


def _rotated(line: Line) -> tuple[VerifyingKey, VerifyingKey]:
    try:
        return _key(str(line.record["from"])), _key(str(line.record["to"]))
    except (KeyError, ValueError) as broken:
        raise Tampered(f"audit log: line {line.tail.seq} names no two keys") from broken


def _key(text: str) -> VerifyingKey:
    reader = Reader(bytes.fromhex(text), "key")
    key = VerifyingKey.read(reader)
    reader.end()
    return key
