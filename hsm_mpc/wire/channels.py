"""What a receiver knows of the others' keys: identities, channels, coordinators (step 1.7.2)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hsm_mpc.certificates.channel import Channel
from hsm_mpc.errors import BackendError, BadEncoding, InvalidSignature, Refused
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import Roster
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import Address, Message, parse_envelope
from hsm_mpc.wire.rounds import CHANNEL, EVERYBODY, FIRST_NEW_HOLDER, Key

_KEPT_PER_SENDER: Final = 2
_NO_WALLET: Final = WalletId(bytes(16))
_NO_SESSION: Final = bytes(32)
_NO_EPOCH: Final = EpochHash(bytes(32))


def channel_address(sender: int) -> Address:
    """Of every CHANNEL message: it belongs to no wallet, session or epoch (step 1.7.3)."""
    return Address(_NO_WALLET, _NO_SESSION, _NO_EPOCH, sender, EVERYBODY)


@dataclass(slots=True)
class _Channels:
    """The channels that were learned, of every roster of a lineage; a holder with another HSM has
    others than before.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    known: dict[tuple[str, VerifyingKey], tuple[Channel, ...]] = field(default_factory=dict)
    """By a holder's name and identity key, the newest first."""
    announced: dict[bytes, tuple[str, Channel]] = field(default_factory=dict)
    """CHANNEL messages that were verified, of the channels that are kept."""


class KeyBook:
    """Checks the signature of a message under the keys of one roster and a list of coordinators.

    That of a wallet has some of the holders of the pinned one, maybe at other places. CHANNEL is of
    no wallet: its sender is counted in the pinned one, and found in the other by its name.

    Safe to use from threads.
    """

    def __init__(
        self,
        roster: Roster,
        coordinators: Mapping[int, VerifyingKey],
        later: Sequence[Roster] = (),
        first: int = 0,
        pinned: Roster | None = None,
    ) -> None:
        """`later`: rosters whose identity keys count, too. `first`: holder i sends as first + i.
        `pinned`: None: this very one.
        """
        self.roster: Final = roster
        self.pinned: Final = roster if pinned is None else pinned
        self.under_pinned: KeyBook = self
        """The one under that roster."""
        self._first: Final = first
        self._later: Final = tuple(later)
        self._coordinators = dict(coordinators)
        self._channels = _Channels()

    def under(self, roster: Roster) -> KeyBook:
        """The same coordinators, and what was learned of channels, under another roster."""
        if roster == self.roster and not self._later:
            return self
        return self._sharing(roster, ())

    def and_later(self, *rosters: Roster) -> KeyBook:
        """The same, where the identity keys in these count besides those in its roster."""
        if all(roster == self.roster for roster in rosters):
            return self
        return self._sharing(self.roster, rosters)

    def of_new_holders(self, roster: Roster) -> KeyBook:
        """The identity keys of those to whom a resharing gives the key (step 6.8.1)."""
        return self._sharing(roster, (), FIRST_NEW_HOLDER)

    def alone(self) -> KeyBook:
        """The same roster, of which no channel and no coordinator is known yet."""
        return KeyBook(self.roster, {}, pinned=self.pinned)

    def _sharing(self, roster: Roster, later: Sequence[Roster], first: int = 0) -> KeyBook:
        book = KeyBook(roster, self._coordinators, later, first, self.pinned)
        book.under_pinned = self.under_pinned
        book._channels = self._channels
        return book

    def learn_message(self, source: bytes, now: int) -> int:
        """Take in a CHANNEL message; whose it is, by the index in this book's roster.

        Raises:
            BadEncoding, BadInput, InvalidSignature: no CHANNEL message of a holder.
            Refused: its channel is not valid at `now`.
        """
        known = self._channels.announced.get(source)
        if known is not None:
            index = self.roster.index_of(known[0])
            if known[1].identity == self.roster.member(index).key:
                known[1].check_validity(now)
                return index
        message = parse_envelope(source)
        place = message.address.sender
        if message.kind is not CHANNEL or message.address != channel_address(place):
            raise BadEncoding("not a CHANNEL message")
        name = self.pinned.member(place).name
        index = self.roster.index_of(name)
        channel = self.learn(index, message.payload, now)
        channel.verify(Tag.ENVELOPE, message.signed_part, message.signature)
        shared = self._channels
        with shared.lock:
            announced = {**shared.announced, source: (name, channel)}
            shared.announced = {
                each: (whose, its)
                for each, (whose, its) in announced.items()
                if its in shared.known[whose, its.identity]
            }
        return index

    def learn(self, sender: int, encoded: bytes, now: int) -> Channel:
        """Take in a CHANNEL of holder `sender`; of the valid ones the two newest are kept.

        Raises:
            BadEncoding, InvalidSignature: no channel of that holder.
            BadInput: there is no such holder.
            Refused: not valid at `now`.
        """
        member = self.roster.member(sender)
        known = {each.to_bytes(): each for each in self.channels(sender)}
        channel = known.get(encoded) or Channel.from_bytes(encoded, member.key)
        channel.check_validity(now)
        with self._channels.lock:
            others = [each for each in self.channels(sender) if each != channel]
            newest = sorted(  # of equally old ones the last that was learned comes first
                [channel, *others], key=lambda each: each.content.not_before, reverse=True
            )
            self._channels.known[member.name, member.key] = tuple(newest[:_KEPT_PER_SENDER])
        return channel

    def channels(self, sender: int) -> tuple[Channel, ...]:
        """The channels of a holder that are known, the newest first."""
        member = self.roster.member(sender)
        return self._channels.known.get((member.name, member.key), ())

    def channels_ever(self, sender: int) -> tuple[Channel, ...]:
        """Those too that a holder had under other identity keys: evidence may be older."""
        known, name = self._channels.known, self.roster.member(sender).name
        return tuple(each for key in list(known) if key[0] == name for each in known[key])

    def knows_coordinator(self, number: int) -> bool:
        """Whether this coordinator stands in the own list."""
        return number in self._coordinators

    def may_show_proof(self, sender: int) -> range | None:
        """Of whom a message that proves itself is taken, if `sender` says it: any holder, or a
        coordinator, which is None (step 1.7.2).
        """
        return None if self.knows_coordinator(sender) else range(1, self.roster.n + 1)

    def identity_keys(self, sender: int) -> tuple[VerifyingKey, ...]:
        """Every identity key of a holder that counts, that in the roster first.

        Raises:
            BadInput: there is no such holder.
        """
        index = sender - self._first
        return tuple(roster.member(index).key for roster in (self.roster, *self._later))

    def verify(self, message: Message, now: int) -> None:
        """The message's signature is its sender's.

        Raises:
            InvalidSignature: it is not; nobody's fault (the relay can do it).
            BadInput: there is no such holder.
            BackendError: no valid channel of the sender is known; ask for it and try again.
        """
        sender = message.address.sender
        if message.key is Key.COORDINATOR:
            key = self._coordinators.get(sender)
            if key is None:
                raise InvalidSignature(f"coordinator {sender} is not in the own list")
            key.verify(Tag.ENVELOPE, message.signed_part, message.signature)
        elif message.key is Key.IDENTITY:
            self._verify_identity(message)
        else:
            self._verify_channel(message, now)

    def _verify_identity(self, message: Message) -> None:
        identities = self.identity_keys(message.address.sender)
        for identity in dict.fromkeys(identities[1:]):
            try:
                identity.verify(Tag.ENVELOPE, message.signed_part, message.signature)
            except InvalidSignature:
                continue
            return
        identities[0].verify(Tag.ENVELOPE, message.signed_part, message.signature)

    def _verify_channel(self, message: Message, now: int) -> None:
        valid = [each for each in self.channels(message.address.sender) if _is_valid(each, now)]
        if not valid:
            raise BackendError(f"no valid channel of holder {message.address.sender} is known")
        for channel in valid[:-1]:
            try:
                channel.verify(Tag.ENVELOPE, message.signed_part, message.signature)
            except InvalidSignature:
                continue
            return
        valid[-1].verify(Tag.ENVELOPE, message.signed_part, message.signature)


def _is_valid(channel: Channel, now: int) -> bool:
    try:
        channel.check_validity(now)
    except Refused:
        return False
    return True
