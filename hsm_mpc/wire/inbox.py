"""Receiving: the checks of step 1.7.3 in their order, and what finds equivocation (1.7.4)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, TypeVar

from hsm_mpc.errors import BadEncoding, ProtocolAbort
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Message, parse_envelope
from hsm_mpc.wire.rounds import EVERYBODY, FIRST_COORDINATOR, FIRST_NEW_HOLDER, MessageKind

_Parsed = TypeVar("_Parsed")

NO_CLOCK: Final = 0
"""Where identity keys have signed: they have no validity to be judged."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the receiver waits for."""

    kind: MessageKind
    wallet_id: WalletId
    session_id: bytes
    epoch_hash: EpochHash
    senders: Collection[int] | None
    """Indices of holders that may have sent it; None: a coordinator in the own list."""
    receiver: int = EVERYBODY


class Equivocation(ProtocolAbort):
    """Two different valid messages of one sender for one slot: both are the evidence."""

    def __init__(self, one: Message, other: Message) -> None:
        super().__init__(
            f"{_sender(one)} sent two different messages {one.kind.name}", _culprits(one)
        )
        self.messages: Final = (one, other)
        self.evidence: Final = (one.to_bytes(), other.to_bytes())


Slot = tuple[bytes, int, int, int, int, bytes]


class Inbox:
    """Receives the messages of one session, or of one link."""

    def __init__(self, keys: KeyBook) -> None:
        self._keys = keys
        self._slots: dict[Slot, Message] = {}

    def under(self, keys: KeyBook) -> Inbox:
        """What was received so far, and from now on under other keys."""
        inbox = Inbox(keys)
        inbox._slots = self._slots
        return inbox

    def receive(self, source: bytes, expected: Expected, now: int) -> Message:
        """The message in `source`, if it is one that is waited for and its sender signed it.

        Raises:
            BadEncoding, InvalidSignature, BackendError: nobody's fault: drop it.
        """
        message = parse_envelope(source)
        self.accept(message, expected, now)
        return message

    def accept(self, message: Message, expected: Expected, now: int) -> None:
        """The checks of `receive`, for a message that was parsed already.

        Raises:
            BadEncoding, InvalidSignature, BackendError: as `receive`.
        """
        address = message.address
        if message.kind is not expected.kind:
            raise BadEncoding(f"a {message.kind.name} where a {expected.kind.name} is expected")
        if address.wallet_id != expected.wallet_id:
            raise BadEncoding(f"{message.kind.name}: of another wallet")
        if address.session_id != expected.session_id:
            raise BadEncoding(f"{message.kind.name}: of another session")
        if address.epoch_hash != expected.epoch_hash:
            raise BadEncoding(f"{message.kind.name}: of another epoch")
        if not self._may_send(address.sender, expected.senders):
            raise BadEncoding(f"{message.kind.name}: sender {address.sender} is not expected")
        if address.receiver != expected.receiver:
            raise BadEncoding(f"{message.kind.name}: for another receiver")
        self._keys.verify(message, now)

    def remember(self, message: Message, sub: bytes = b"") -> bool:
        """Put a valid message into its slot; False: exactly this one was there before.

        Raises:
            Equivocation: another valid message of this sender was there before.
        """
        address = message.address
        slot = (
            address.session_id,
            message.kind.protocol,
            message.kind.round,
            address.sender,
            address.receiver,
            sub,
        )
        before = self._slots.setdefault(slot, message)
        if before.signed_part != message.signed_part:
            raise Equivocation(before, message)
        return before is message

    def messages(self) -> tuple[Message, ...]:
        """All that are in their slots, as they came."""
        return tuple(self._slots.values())

    def _may_send(self, sender: int, allowed: Collection[int] | None) -> bool:
        if allowed is None:
            return self._keys.knows_coordinator(sender)
        return sender in allowed


def decoded(message: Message, parse: Callable[[bytes], _Parsed]) -> _Parsed:
    """`parse` of the payload of a message whose signature was verified (step 1.10).

    Raises:
        ProtocolAbort: it does not parse. Its sender is the culprit; of a coordinator's, nobody.
    """
    try:
        return parse(message.payload)
    except BadEncoding as malformed:
        raise ProtocolAbort(
            f"{message.kind.name} of {_sender(message)} does not parse: {malformed}",
            _culprits(message),
        ) from malformed


def _sender(message: Message) -> str:
    number = message.address.sender
    if number >= FIRST_COORDINATOR:
        return f"coordinator {number}"
    if number > FIRST_NEW_HOLDER:
        return f"new holder {number - FIRST_NEW_HOLDER}"
    return f"holder {number}"


def _culprits(message: Message) -> tuple[int, ...]:
    """Holders by their index; who is new has none yet, and is only named in words."""
    number = message.address.sender
    return () if number >= FIRST_NEW_HOLDER else (number,)
