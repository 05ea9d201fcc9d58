"""Which messages there are, who sends each, and which key must sign it (steps 1.7.2, 1.7.8)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

FIRST_COORDINATOR: Final = 0x8000
"""Coordinators are numbered from here (step 1.6.10); holders are 1..n."""

FIRST_NEW_HOLDER: Final = 0x4000
"""Holder k of the roster that a resharing makes is this + k in it (step 6.8.1)."""

EVERYBODY: Final = 0
"""Receiver of every message but PARTIAL, which goes to the coordinator that asked."""

_KIB: Final = 1 << 10
_COMPLAINT_CAP: Final = 256
"""The longest has 174: α, a digest, an index, two points and two scalars of secp256k1."""
_MIB: Final = 1 << 20


class Key(IntEnum):
    """What signs an envelope."""

    CHANNEL = 1
    IDENTITY = 2
    COORDINATOR = 3


class Protocol(IntEnum):
    """First of the two bytes that say what a message is."""

    KEY_GENERATION = 1
    SIGNING = 2
    SUCCESSION = 3
    REPAIR = 4
    RESHARING = 5
    ADMINISTRATION = 6


@dataclass(frozen=True, slots=True)
class MessageKind:
    """One row of the table in step 1.7.8."""

    name: str
    protocol: Protocol
    round: int
    keys: frozenset[Key]
    cap: int
    """Most bytes of payload. Exact lengths are checked after the signature: they name a sender."""


def _kind(name: str, protocol: Protocol, round: int, cap: int, *keys: Key) -> MessageKind:
    return MessageKind(name, protocol, round, frozenset(keys), cap)


_DKG: Final = Protocol.KEY_GENERATION
_SIGNING: Final = Protocol.SIGNING

PROPOSAL: Final = _kind("PROPOSAL", _DKG, 0, _MIB, Key.COORDINATOR)
HELLO: Final = _kind("HELLO", _DKG, 1, _KIB, Key.IDENTITY)
COMMITMENTS: Final = _kind("msg1", _DKG, 2, 64 * _KIB, Key.CHANNEL)
CONFIRMATION: Final = _kind("round 3", _DKG, 3, _KIB, Key.IDENTITY)
CERTIFICATE: Final = _kind("CERT", _DKG, 4, 4 * _MIB, Key.CHANNEL, Key.COORDINATOR)
DONE: Final = _kind("DONE", _DKG, 5, _KIB, Key.IDENTITY)
BLAME: Final = _kind("BLAME", _DKG, 6, 128 * _KIB, Key.IDENTITY)

REQUEST: Final = _kind("REQUEST", _SIGNING, 1, _MIB, Key.COORDINATOR)
COMMIT: Final = _kind("COMMIT", _SIGNING, 2, _KIB, Key.CHANNEL)
SIGN: Final = _kind("SIGN", _SIGNING, 3, _MIB, Key.COORDINATOR)
PARTIAL: Final = _kind("PARTIAL", _SIGNING, 4, _KIB, Key.CHANNEL)

_SUCCESSION: Final = Protocol.SUCCESSION

ASK: Final = _kind("ASK", _SUCCESSION, 1, _MIB, Key.COORDINATOR)
JOIN: Final = _kind("JOIN", _SUCCESSION, 2, _KIB, Key.IDENTITY)
PROPOSE: Final = _kind("PROPOSE", _SUCCESSION, 3, 4 * _MIB, Key.COORDINATOR)
DEAL: Final = _kind("DEAL", _SUCCESSION, 4, 64 * _KIB, Key.CHANNEL)
ACK: Final = _kind("ACK", _SUCCESSION, 5, _KIB, Key.IDENTITY)
SUCCESSOR: Final = _kind("CERT", _SUCCESSION, 6, 4 * _MIB, Key.CHANNEL, Key.COORDINATOR)
ADOPTION: Final = _kind("DONE", _SUCCESSION, 7, _KIB, Key.IDENTITY)
RETIRE: Final = _kind("RETIRE", _SUCCESSION, 8, _MIB, Key.CHANNEL, Key.COORDINATOR)
COMPLAINT: Final = _kind("COMPLAINT", _SUCCESSION, 9, _COMPLAINT_CAP, Key.IDENTITY)
DESTROYED: Final = _kind("DESTROYED", _SUCCESSION, 10, _KIB, Key.IDENTITY)

ORDER_REPAIR: Final = _kind(
    "ORDER-REPAIR", Protocol.REPAIR, 1, 64 * _KIB, Key.CHANNEL, Key.COORDINATOR
)
SPLIT: Final = _kind("R1", Protocol.REPAIR, 2, 64 * _KIB, Key.IDENTITY)
SUM: Final = _kind("R2", Protocol.REPAIR, 3, _KIB, Key.IDENTITY)
REPAIR_ACK: Final = _kind("ACK", Protocol.REPAIR, 4, _KIB, Key.IDENTITY)
REPAIR_DONE: Final = _kind("DONE", Protocol.REPAIR, 5, _KIB, Key.IDENTITY)
REPAIR_COMPLAINT: Final = _kind("COMPLAINT", Protocol.REPAIR, 6, _COMPLAINT_CAP, Key.IDENTITY)

_RESHARING: Final = Protocol.RESHARING

RESHARE_DEAL: Final = _kind("DEAL", _RESHARING, 4, 64 * _KIB, Key.CHANNEL)
NEW_ACK: Final = _kind("ACK", _RESHARING, 5, _KIB, Key.IDENTITY)
NEW_DONE: Final = _kind("DONE", _RESHARING, 7, _KIB, Key.IDENTITY)
NEW_COMPLAINT: Final = _kind("COMPLAINT", _RESHARING, 9, _COMPLAINT_CAP, Key.IDENTITY)
NEW_HELLO: Final = _kind("HELLO", _RESHARING, 13, _KIB, Key.IDENTITY)

CHANNEL: Final = _kind("CHANNEL", Protocol.ADMINISTRATION, 1, _KIB, Key.CHANNEL)
"""Key 1 alone: a coordinator's signature would not say whose channel it is."""
ORDER: Final = _kind("ORDER", Protocol.ADMINISTRATION, 2, 64 * _KIB, Key.CHANNEL, Key.COORDINATOR)
ROTATE: Final = _kind("ROTATE", Protocol.ADMINISTRATION, 5, 4 * _KIB, Key.COORDINATOR)
DESTROY: Final = _kind("DESTROY", Protocol.ADMINISTRATION, 6, _KIB, Key.COORDINATOR)
WALLET_DESTROYED: Final = _kind("DESTROYED", Protocol.ADMINISTRATION, 7, 64 * _KIB, Key.IDENTITY)
AMENDED: Final = _kind("AMENDED", Protocol.ADMINISTRATION, 8, _KIB, Key.IDENTITY)

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
        ASK,
        JOIN,
        PROPOSE,
        DEAL,
        ACK,
        SUCCESSOR,
        ADOPTION,
        RETIRE,
        COMPLAINT,
        DESTROYED,
        ORDER_REPAIR,
        SPLIT,
        SUM,
        REPAIR_ACK,
        REPAIR_DONE,
        REPAIR_COMPLAINT,
        RESHARE_DEAL,
        NEW_ACK,
        NEW_DONE,
        NEW_COMPLAINT,
        NEW_HELLO,
        CHANNEL,
        ORDER,
        ROTATE,
        DESTROY,
        WALLET_DESTROYED,
        AMENDED,
    )
}
