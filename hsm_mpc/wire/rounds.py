"""Which messages there are, who sends each, and which key must sign it (steps 1.7.2, 1.7.8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

FIRST_COORDINATOR: Final = 0x8000
"""Coordinators are numbered from here (step 1.6.10); holders are 1..n."""

EVERYBODY: Final = 0
"""Receiver of a message that is relayed to all."""


class Key(IntEnum):
    """What signs an envelope."""

    CHANNEL = 1
    IDENTITY = 2
    COORDINATOR = 3


class Protocol(IntEnum):
    """First of the two bytes that say what a message is."""

    KEY_GENERATION = 1
    SIGNING = 2
    ADMINISTRATION = 6


@dataclass(frozen=True, slots=True)
class MessageKind:
    """One row of the table in step 1.7.8."""

    name: str
    protocol: Protocol
    round: int
    keys: frozenset[Key]
    to_coordinator: bool = False
    """Receiver is the coordinator's number, not everybody."""
    cap: int = 1 << 20
    """Most bytes of payload."""


def _kind(name: str, protocol: Protocol, round: int, *keys: Key, **more: int | bool) -> MessageKind:
    return MessageKind(name, protocol, round, frozenset(keys), **more)  # type: ignore[arg-type]


PROPOSAL: Final = _kind("PROPOSAL", Protocol.KEY_GENERATION, 0, Key.COORDINATOR)
HELLO: Final = _kind("HELLO", Protocol.KEY_GENERATION, 1, Key.IDENTITY)
COMMITMENTS: Final = _kind("msg1", Protocol.KEY_GENERATION, 2, Key.CHANNEL)
CONFIRMATION: Final = _kind("round 3", Protocol.KEY_GENERATION, 3, Key.IDENTITY)
CERTIFICATE: Final = _kind(
    "CERT", Protocol.KEY_GENERATION, 4, Key.CHANNEL, Key.COORDINATOR, cap=4 << 20
)
DONE: Final = _kind("DONE", Protocol.KEY_GENERATION, 5, Key.IDENTITY)
BLAME: Final = _kind("BLAME", Protocol.KEY_GENERATION, 6, Key.IDENTITY)

REQUEST: Final = _kind("REQUEST", Protocol.SIGNING, 1, Key.COORDINATOR)
COMMIT: Final = _kind("COMMIT", Protocol.SIGNING, 2, Key.CHANNEL)
SIGN: Final = _kind("SIGN", Protocol.SIGNING, 3, Key.COORDINATOR)
PARTIAL: Final = _kind("PARTIAL", Protocol.SIGNING, 4, Key.CHANNEL, to_coordinator=True)

CHANNEL: Final = _kind("CHANNEL", Protocol.ADMINISTRATION, 1, Key.CHANNEL)

KINDS: Final[dict[tuple[int, int], MessageKind]] = {
    (kind.protocol, kind.round): kind
    for kind in (
        PROPOSAL,
        HELLO,
        COMMITMENTS,
        CONFIRMATION,
        CERTIFICATE,
        DONE,
        BLAME,
        REQUEST,
        COMMIT,
        SIGN,
        PARTIAL,
        CHANNEL,
    )
}
