"""What the relay can do to a message as a whole, and what its sender can."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hsm_mpc.encoding import lv16, u8
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import HEADER_BYTES, parse_envelope
from hsm_mpc.wire.rounds import FIRST_COORDINATOR, FIRST_NEW_HOLDER, Key
from tests.agent.simulate import World
from tests.malice.fields import Change, Field, at, flipped, most

_LENGTH_AT = 91
_RECEIVER = b"\0\7"


def _next_sender(sender: bytes) -> bytes:
    """Of holder 2 holder 3, of a coordinator one that nobody knows."""
    return (int.from_bytes(sender, "big") + 1).to_bytes(2, "big")


HEADER: Sequence[Field] = (
    at("header: magic", 0, 4, flipped),
    at("header: version", 4, 1, lambda _: b"\2"),
    at("header: protocol", 5, 1, lambda _: b"\7"),
    at("header: round", 6, 1, lambda _: b"\x63"),
    at("header: wallet_id", 7, 16, flipped),
    at("header: session_id", 23, 32, flipped),
    at("header: epoch_hash", 55, 32, flipped),
    at("header: sender", 87, 2, _next_sender),
    at("header: receiver", 89, 2, lambda _: _RECEIVER),
    at("header: length", _LENGTH_AT, 4, most),
)


def with_payload(source: bytes, payload: bytes) -> bytes:
    """header ‖ payload, the header with the payload's length."""
    return source[:_LENGTH_AT] + len(payload).to_bytes(4, "big") + payload


def seals(source: bytes) -> Sequence[Field]:
    """What follows the payload: key and signature."""
    signed = len(parse_envelope(source).signed_part)
    signature = len(source) - signed - 3
    return (
        at("envelope: key", signed, 1, lambda key: u8(key[0] % 3 + 1)),
        at("envelope: signature", signed + 3, signature, flipped),
    )


def on_the_way(field: Field) -> Change:
    """A payload field changed by whoever carries the message: the signature stays as it was."""

    def change(source: bytes) -> bytes:
        message = parse_envelope(source)
        tail = source[len(message.signed_part) :]
        return with_payload(source, field.change(message.payload)) + tail

    return change


def by_its_sender(world: World, field: Field) -> Change:
    """A payload field changed, and signed by who sends it."""

    def change(source: bytes) -> bytes:
        payload = field.change(parse_envelope(source).payload)
        return signed_again(world, source, with_payload(source, payload))

    return change


def header_by_its_sender(world: World, field: Field) -> Change:
    """A field of the header changed, and signed by who sends the message."""

    def change(source: bytes) -> bytes:
        signed_part = parse_envelope(source).signed_part
        head, rest = signed_part[:HEADER_BYTES], signed_part[HEADER_BYTES:]
        return signed_again(world, source, field.change(head) + rest)

    return change


def signed_again(world: World, source: bytes, signed_part: bytes) -> bytes:
    """header ‖ payload under a signature of the sender of `source`, with the same key."""
    message = parse_envelope(source)
    sign = signer_of(world, message.address.sender, message.key)
    return signed_part + u8(message.key) + lv16(sign(Tag.ENVELOPE, signed_part))


def signer_of(world: World, sender: int, key: Key) -> Callable[[Tag, bytes], bytes]:
    if sender >= FIRST_COORDINATOR:
        return world.coordinator.sign
    index = sender - FIRST_NEW_HOLDER if sender > FIRST_NEW_HOLDER else sender
    acting = world.parties[index].acting
    if key is Key.IDENTITY:
        return acting.identity.sign
    return acting.channel.signer(world.clock()).sign
