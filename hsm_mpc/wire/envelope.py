"""The signed envelope around every message (steps 1.7.1 and 1.7.2).

header ‖ payload ‖ u8(key) ‖ LV16(signature over header ‖ payload)
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import Reader, lv16, lv32, u8
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag
from hsm_mpc.wire.rounds import FIRST_COORDINATOR, KINDS, Key, MessageKind

_HEADER: Final = struct.Struct(">4sBBB16s32s32sHHI")
HEADER_BYTES: Final = _HEADER.size
"""95."""
_MAGIC: Final = b"HMPC"
_VERSION: Final = 1
MOST_BUNDLED: Final = 1 << 17
"""Messages kept together. A chain of as many epochs as a call can carry has fewer; of empty ones a
call of strangers could carry millions.
"""

SignEnvelope = Callable[[Tag, bytes], bytes]
"""ChSign, IdSign or CoSign of the sender: `(tag, header ‖ payload) -> signature`."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a message belongs to, and between whom it travels.

    Raises: BadInput: from the constructor, for a field of another length or out of its range.
    """

    wallet_id: WalletId
    session_id: bytes
    """32 bytes; step 1.7.8 says which."""
    epoch_hash: EpochHash
    """32 zero bytes before epoch 0 exists."""
    sender: int
    receiver: int

    def __post_init__(self) -> None:
        lengths = (len(self.wallet_id), len(self.session_id), len(self.epoch_hash))
        if lengths != (16, 32, 32):
            raise BadInput("a message names a wallet of 16 bytes, a session and an epoch of 32")
        if not (0 <= self.sender <= 0xFFFF and 0 <= self.receiver <= 0xFFFF):
            raise BadInput("a sender and a receiver are 0 to 65535")


@dataclass(frozen=True, slots=True)
class Message:
    """An envelope whose signature may not be checked yet (`Inbox.receive` does)."""

    kind: MessageKind
    address: Address
    payload: bytes
    key: Key
    signature: bytes
    signed_part: bytes
    """header ‖ payload: two messages differ if these differ (step 1.7.4)."""

    def to_bytes(self) -> bytes:
        """The whole message."""
        return self.signed_part + u8(self.key) + lv16(self.signature)


def seal_envelope(
    kind: MessageKind, address: Address, payload: bytes, key: Key, sign: SignEnvelope
) -> Message:
    """A message of ours, signed.

    Raises:
        BadInput: a payload longer than the kind's cap.
    """
    if len(payload) > kind.cap:
        raise BadInput(f"{kind.name}: {len(payload)} bytes of payload, at most {kind.cap}")
    signed_part = _header(kind, address, len(payload)) + payload
    signature = sign(Tag.ENVELOPE, signed_part)
    return Message(kind, address, payload, key, signature, signed_part)


def parse_envelope(source: bytes) -> Message:
    """Magic, version, lengths, a known kind, and the key that this kind is signed with.

    Raises:
        BadEncoding: before any signature, so it is nobody's fault (step 1.7.3).
    """
    if len(source) < HEADER_BYTES:
        raise BadEncoding(f"message: {len(source)} bytes are less than a header")
    (
        magic,
        version,
        protocol,
        round_,
        wallet_id,
        session_id,
        epoch_hash,
        sender,
        receiver,
        length,
    ) = _HEADER.unpack_from(source)
    if magic != _MAGIC or version != _VERSION:
        raise BadEncoding("message: not of this protocol and version")
    kind = KINDS.get((protocol, round_))
    if kind is None:
        raise BadEncoding("message: unknown protocol or round")
    if length > kind.cap:
        raise BadEncoding(f"{kind.name}: {length} bytes of payload, at most {kind.cap}")
    reader = Reader(source, "message")
    signed_part = reader.take(HEADER_BYTES + length)
    key = _key(reader.u8(), kind, sender)
    signature = reader.lv16()
    reader.end()
    address = Address(WalletId(wallet_id), session_id, EpochHash(epoch_hash), sender, receiver)
    return Message(kind, address, signed_part[HEADER_BYTES:], key, signature, signed_part)


def bundle(messages: Sequence[bytes]) -> bytes:
    """Whole messages, one behind another, to be kept together: Σ LV32(message)."""
    return b"".join(lv32(message) for message in messages)


def unbundled(source: bytes) -> tuple[bytes, ...]:
    """Inverse of `bundle`; `BadEncoding` for anything else, or for too many messages."""
    reader, messages = Reader(source, "messages"), list[bytes]()
    while reader.consumed < len(source):
        if len(messages) >= MOST_BUNDLED:
            raise BadEncoding(f"messages: more than {MOST_BUNDLED} in one bundle")
        messages.append(reader.lv32())
    return tuple(messages)


def _key(number: int, kind: MessageKind, sender: int) -> Key:
    if number not in kind.keys:
        raise BadEncoding(f"{kind.name}: signed with key {number}, which is not its key")
    key = Key(number)
    if (sender >= FIRST_COORDINATOR) != (key is Key.COORDINATOR):
        raise BadEncoding(f"{kind.name}: sender {sender} does not sign with key {number}")
    return key


def _header(kind: MessageKind, address: Address, payload_length: int) -> bytes:
    return _HEADER.pack(
        _MAGIC,
        _VERSION,
        kind.protocol,
        kind.round,
        address.wallet_id,
        address.session_id,
        address.epoch_hash,
        address.sender,
        address.receiver,
        payload_length,
    )
