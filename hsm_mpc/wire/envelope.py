"""The signed envelope around every message (steps 1.7.1 to 1.7.3).

header ‖ payload ‖ u8(key) ‖ LV16(signature over header ‖ payload)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import Reader, lv16, u8, u16be, u32be
from hsm_mpc.errors import BadEncoding
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag
from hsm_mpc.wire.rounds import FIRST_COORDINATOR, KINDS, Key, MessageKind

HEADER_BYTES: Final = 95
_MAGIC: Final = b"HMPC"
_VERSION: Final = 1

SignEnvelope = Callable[[Tag, bytes], bytes]
"""ChSign, IdSign or CoSign of the sender: `(tag, header ‖ payload) -> signature`."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a message belongs to, and between whom it travels."""

    wallet_id: WalletId
    session_id: bytes
    """32 bytes; step 1.7.8 says which."""
    epoch_hash: EpochHash
    """32 zero bytes before epoch 0 exists."""
    sender: int
    receiver: int


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed envelope whose signature nobody has checked yet (`Link.receive` does)."""

    kind: MessageKind
    address: Address
    payload: bytes
    key: Key
    signature: bytes

    @property
    def signed_part(self) -> bytes:
        """header ‖ payload: two messages differ if these differ (step 1.7.4)."""
        return _header(self.kind, self.address, len(self.payload)) + self.payload

    def to_bytes(self) -> bytes:
        """The whole message."""
        return self.signed_part + u8(self.key) + lv16(self.signature)


def seal_envelope(
    kind: MessageKind, address: Address, payload: bytes, key: Key, sign: SignEnvelope
) -> Message:
    """A message of ours, signed."""
    signed_part = _header(kind, address, len(payload)) + payload
    return Message(kind, address, payload, key, sign(Tag.ENVELOPE, signed_part))


def parse_envelope(source: bytes) -> Message:
    """Magic, version, lengths, a known kind, and the key that this kind is signed with.

    Raises:
        BadEncoding: before any signature, so it is nobody's fault (step 1.7.3).
    """
    reader = Reader(source, "message")
    if reader.take(4) != _MAGIC or reader.u8() != _VERSION:
        raise BadEncoding("message: not of this protocol and version")
    kind = KINDS.get((reader.u8(), reader.u8()))
    if kind is None:
        raise BadEncoding("message: unknown protocol or round")
    wallet_id, session_id = WalletId(reader.take(16)), reader.take(32)
    address = Address(
        wallet_id, session_id, EpochHash(reader.take(32)), reader.u16be(), reader.u16be()
    )
    length = reader.u32be()
    if length > kind.cap:
        raise BadEncoding(f"{kind.name}: {length} bytes of payload, at most {kind.cap}")
    payload = reader.take(length)
    key = _key(reader.u8(), kind, address.sender)
    signature = reader.lv16()
    reader.end()
    return Message(kind, address, payload, key, signature)


def _key(number: int, kind: MessageKind, sender: int) -> Key:
    if number not in kind.keys:
        raise BadEncoding(f"{kind.name}: signed with key {number}, which is not its key")
    key = Key(number)
    if (sender >= FIRST_COORDINATOR) != (key is Key.COORDINATOR):
        raise BadEncoding(f"{kind.name}: sender {sender} does not sign with key {number}")
    return key


def _header(kind: MessageKind, address: Address, payload_length: int) -> bytes:
    return (
        _MAGIC
        + u8(_VERSION)
        + u8(kind.protocol)
        + u8(kind.round)
        + address.wallet_id
        + address.session_id
        + address.epoch_hash
        + u16be(address.sender)
        + u16be(address.receiver)
        + u32be(payload_length)
    )
