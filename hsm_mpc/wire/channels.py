"""What a receiver knows of the others' keys: identities, channels, coordinators (step 1.7.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hsm_mpc.certificates.channel import Channel
from hsm_mpc.errors import BackendError, InvalidSignature
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.roster import Roster
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import Message
from hsm_mpc.wire.rounds import Key

_KEPT_PER_SENDER: Final = 2


class KeyBook:
    """Checks the signature of a message under the keys of one roster and a list of coordinators."""

    def __init__(self, roster: Roster, coordinators: Mapping[int, VerifyingKey]) -> None:
        self.roster: Final = roster
        self._coordinators = dict(coordinators)
        self._channels: dict[int, tuple[Channel, ...]] = {}
        self._seen: dict[bytes, Channel] = {}

    def learn(self, sender: int, encoded: bytes, now: int) -> Channel:
        """Take in a CHANNEL of holder `sender`; of the valid ones the two newest are kept.

        Raises:
            BadEncoding, InvalidSignature: no channel of that holder.
            Refused: not valid at `now`.
        """
        channel = self._seen.get(encoded)
        if channel is None or channel.identity != self.roster.member(sender).key:
            channel = Channel.from_bytes(encoded, self.roster.member(sender).key)
        channel.check_validity(now)
        known = {each.to_bytes(): each for each in (*self._channels.get(sender, ()), channel)}
        newest = sorted(known.values(), key=lambda each: each.content.not_before, reverse=True)
        self._channels[sender] = tuple(newest[:_KEPT_PER_SENDER])
        self._seen = {
            each.to_bytes(): each for channels in self._channels.values() for each in channels
        }
        return channel

    def knows_coordinator(self, number: int) -> bool:
        """Whether this coordinator stands in the own list."""
        return number in self._coordinators

    def verify(self, message: Message, now: int) -> None:
        """The message's signature is its sender's.

        Raises:
            InvalidSignature: it is not; nobody's fault (the relay can do it).
            BackendError: no valid channel of the sender is known; ask for it and try again.
        """
        sender = message.address.sender
        if message.key is Key.COORDINATOR:
            key = self._coordinators[sender]
            key.verify(Tag.ENVELOPE, message.signed_part, message.signature)
        elif message.key is Key.IDENTITY:
            identity = self.roster.member(sender).key
            identity.verify(Tag.ENVELOPE, message.signed_part, message.signature)
        else:
            self._verify_channel(message, now)

    def _verify_channel(self, message: Message, now: int) -> None:
        channels = self._channels.get(message.address.sender, ())
        if not channels:
            raise BackendError(f"no channel of holder {message.address.sender} is known")
        failure: InvalidSignature | None = None
        for channel in channels:
            channel.check_validity(now)
            try:
                channel.verify(Tag.ENVELOPE, message.signed_part, message.signature)
            except InvalidSignature as invalid:
                failure = invalid
            else:
                return
        if failure is not None:
            raise failure
