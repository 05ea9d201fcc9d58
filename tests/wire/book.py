"""A roster of software keys, their channels, and messages signed by any of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from hsm_mpc.certificates.channel import Channel, UnsignedChannel
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook, channel_address
from hsm_mpc.wire.envelope import Address, Message, seal_envelope
from hsm_mpc.wire.rounds import CHANNEL, FIRST_COORDINATOR, Key, MessageKind
from tests.software_identity import SoftwareKey, ed25519_key

NOW = 1_000_000
WALLET, SESSION, H = WalletId(b"w" * 16), b"s" * 32, EpochHash(b"h" * 32)


@dataclass
class Holder:
    """One holder's identity key and its channel key of this boot."""

    index: int
    identity: SoftwareKey
    channel_key: SoftwareKey = field(default_factory=lambda: ed25519_key(os.urandom(32)))

    def channel(self, begin: int = NOW, length: int = 1000, lowest: int = 1) -> Channel:
        content = UnsignedChannel(
            boot=b"b" * 16,
            signing_key=self.channel_key.public.encoded,
            exchange_key=b"x" * 32,
            lowest=lowest,
            highest=lowest,
            not_before=begin,
            not_after=begin + length,
        )
        public = self.identity.public
        signature = self.identity.sign(Tag.CHANNEL, content.signed_message(public))
        return Channel(public, content, signature)

    def announced(self, channel: Channel, address: Address | None = None) -> bytes:
        """A CHANNEL message."""
        where = channel_address(self.index) if address is None else address
        return self.message(CHANNEL, channel, channel.to_bytes(), where).to_bytes()

    def message(
        self, kind: MessageKind, channel: Channel, payload: bytes, address: Address | None = None
    ) -> Message:
        """Signed with the channel key, under this certificate."""

        def sign(tag: Tag, message: bytes) -> bytes:
            return self.channel_key.sign(tag, channel.signed_message(message))

        where = Address(WALLET, SESSION, H, self.index, 0) if address is None else address
        return seal_envelope(kind, where, payload, Key.CHANNEL, sign)

    def identified(self, kind: MessageKind, payload: bytes, receiver: int = 0) -> Message:
        """Signed with the identity key."""
        where = Address(WALLET, SESSION, H, self.index, receiver)
        return seal_envelope(kind, where, payload, Key.IDENTITY, self.identity.sign)


@dataclass
class Book:
    """Three holders, one coordinator, and what a receiver knows of them."""

    holders: dict[int, Holder]
    coordinator: SoftwareKey
    keys: KeyBook

    @classmethod
    def made(cls) -> Book:
        holders = {index: Holder(index, ed25519_key(bytes([index]) * 32)) for index in (1, 2, 3)}
        members = [Member(f"h{index}", each.identity.public) for index, each in holders.items()]
        roster = Roster(True, 1, FIRST_PREDECESSOR, tuple(members))
        coordinator = ed25519_key(b"c" * 32)
        return cls(holders, coordinator, KeyBook(roster, {FIRST_COORDINATOR: coordinator.public}))

    def said(self, kind: MessageKind, payload: bytes, number: int = FIRST_COORDINATOR) -> Message:
        """A coordinator's message."""
        where = Address(WALLET, SESSION, H, number, 0)
        return seal_envelope(kind, where, payload, Key.COORDINATOR, self.coordinator.sign)
