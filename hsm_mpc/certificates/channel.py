"""CHANNEL: the keys that a signer drew at its start, certified by its HSM (step 1.6.2a)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from hsm_mpc.encoding import Reader, decoding, lv16, u8, u64be
from hsm_mpc.errors import BadInput, Refused
from hsm_mpc.identity import Algorithm, VerifyingKey
from hsm_mpc.tags import Tag

LONGEST_VALIDITY: Final = 24 * 3600
"""Seconds."""

CLOCK_TOLERANCE: Final = 300
"""Seconds by which clocks may differ (step 1.7.2)."""


@dataclass(frozen=True, slots=True)
class UnsignedChannel:
    """What the signer has its HSM sign, with tag `channel`, over `signed_message(identity key)`.

    boot is 16 bytes, random per start; signing_key (ch_pk) and exchange_key (cx_pk) are 32 bytes,
    Ed25519 and X25519; lowest and highest are the protocol versions that the signer speaks; times
    are seconds since 1970 UTC.

    Raises:
        BadInput: from the constructor: wrong lengths, a bad signing key, an empty range of
            versions, or a validity that is empty or longer than 24 hours.
    """

    boot: bytes
    signing_key: bytes
    exchange_key: bytes
    lowest: int
    highest: int
    not_before: int
    not_after: int

    def __post_init__(self) -> None:
        if (len(self.boot), len(self.exchange_key)) != (16, 32):
            raise BadInput("channel: boot has 16 bytes and the exchange key 32")
        VerifyingKey(Algorithm.ED25519, self.signing_key)
        if not 1 <= self.lowest <= self.highest:
            raise BadInput(f"channel: no protocol version from {self.lowest} to {self.highest}")
        if not 0 < self.not_after - self.not_before <= LONGEST_VALIDITY:
            raise BadInput("channel: it is valid for up to 24 hours")

    def to_bytes(self) -> bytes:
        """All of CHANNEL before its signature, 98 bytes."""
        return (
            self.boot
            + self.signing_key
            + self.exchange_key
            + u8(self.lowest)
            + u8(self.highest)
            + u64be(self.not_before)
            + u64be(self.not_after)
        )

    def signed_message(self, identity: VerifyingKey) -> bytes:
        """`LV16(identity key) ‖ all before`: the key of `identity` stands for its holder."""
        return lv16(identity.encoded) + self.to_bytes()


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel certificate whose signature verified: there is no other way to have one.

    Raises:
        InvalidSignature: from the constructor: not signed by the identity key of this holder.
    """

    identity: VerifyingKey
    content: UnsignedChannel
    signature: bytes
    _key: VerifyingKey = field(init=False, repr=False, compare=False)
    _digest: bytes = field(init=False, repr=False, compare=False)
    """SHA-256(CHANNEL); both for every message that is signed or verified."""

    def __post_init__(self) -> None:
        message = self.content.signed_message(self.identity)
        self.identity.verify(Tag.CHANNEL, message, self.signature)
        key = VerifyingKey(Algorithm.ED25519, self.content.signing_key)
        object.__setattr__(self, "_key", key)
        object.__setattr__(self, "_digest", hashlib.sha256(self.to_bytes()).digest())

    def to_bytes(self) -> bytes:
        """`CHANNEL`. The identity key is not in it: the roster has it."""
        return self.content.to_bytes() + lv16(self.signature)

    @classmethod
    def from_bytes(cls, source: bytes, identity: VerifyingKey) -> Channel:
        """Inverse of `to_bytes`, for the holder whose identity key in the roster is `identity`.

        Raises:
            BadEncoding: anything but a channel certificate.
            InvalidSignature: another holder's, or a changed one.
        """
        reader = Reader(source, "channel")
        boot, signing_key, exchange_key = reader.take(16), reader.take(32), reader.take(32)
        lowest, highest = reader.u8(), reader.u8()
        not_before, not_after = reader.u64be(), reader.u64be()
        signature = reader.lv16()
        reader.end()
        with decoding("channel"):
            content = UnsignedChannel(
                boot, signing_key, exchange_key, lowest, highest, not_before, not_after
            )
        return cls(identity, content, signature)

    def check_validity(self, now: int) -> None:
        """`now` (seconds since 1970 UTC) lies within the validity, ± 300 s (step 1.7.2).

        Raises:
            Refused: `channel-validity`.
        """
        begin = self.content.not_before - CLOCK_TOLERANCE
        end = self.content.not_after + CLOCK_TOLERANCE
        if not begin <= now <= end:
            raise Refused("channel-validity", f"the channel is not valid at {now}")

    def check_version(self, version: int) -> None:
        """The signer speaks protocol `version` (step 1.7.10).

        Raises:
            Refused: `protocol-version`.
        """
        if not self.content.lowest <= version <= self.content.highest:
            raise Refused("protocol-version", f"the signer does not speak protocol {version}")

    def signed_message(self, message: bytes) -> bytes:
        """What `ChSign(tag, message)` signs: `SHA-256(CHANNEL) ‖ message`."""
        return self._digest + message

    def verify(self, tag: Tag, message: bytes, signature: bytes) -> None:
        """Check `ChSign(tag, message)` of this signer.

        Raises:
            InvalidSignature: it does not verify.
        """
        self._key.verify(tag, self.signed_message(message), signature)
