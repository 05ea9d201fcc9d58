"""The envelope's bytes, and what is refused before any signature (steps 1.7.1 to 1.7.3)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import (
    HEADER_BYTES,
    MOST_BUNDLED,
    Address,
    Message,
    bundle,
    parse_envelope,
    seal_envelope,
    unbundled,
)
from hsm_mpc.wire.rounds import (
    ACK,
    ADOPTION,
    AMENDED,
    ASK,
    BLAME,
    CERTIFICATE,
    CHANNEL,
    COMMIT,
    COMMITMENTS,
    COMPLAINT,
    CONFIRMATION,
    DEAL,
    DESTROY,
    DESTROYED,
    DONE,
    FIRST_COORDINATOR,
    HELLO,
    JOIN,
    KINDS,
    NEW_ACK,
    NEW_COMPLAINT,
    NEW_DONE,
    NEW_HELLO,
    ORDER,
    ORDER_REPAIR,
    PARTIAL,
    PROPOSAL,
    PROPOSE,
    REPAIR_ACK,
    REPAIR_COMPLAINT,
    REPAIR_DONE,
    REQUEST,
    RESHARE_DEAL,
    RETIRE,
    ROTATE,
    SIGN,
    SPLIT,
    SUCCESSOR,
    SUM,
    WALLET_DESTROYED,
    Key,
    MessageKind,
)

WALLET, SESSION, H = WalletId(b"w" * 16), b"s" * 32, EpochHash(b"h" * 32)
ADDRESS = Address(WALLET, SESSION, H, 3, 0x8001)


def signing(tag: Tag, signed: bytes) -> bytes:
    return tag.ascii + len(signed).to_bytes(4, "big")


def sealed(kind: MessageKind = PARTIAL, payload: bytes = b"payload", sender: int = 3) -> Message:
    key = min(kind.keys)
    address = Address(
        WALLET, SESSION, H, FIRST_COORDINATOR if key is Key.COORDINATOR else sender, 0x8001
    )
    return seal_envelope(kind, address, payload, key, signing)


def test_the_bytes_are_those_of_the_specification() -> None:
    """Steps 1.7.1 and 1.7.2."""
    header = b"HMPC" + b"\1" + b"\2\4" + WALLET + SESSION + H + b"\0\3" + b"\x80\1" + b"\0\0\0\7"
    assert len(header) == HEADER_BYTES == 95
    signature = b"hsm-mpc/v1/envelope" + (95 + 7).to_bytes(4, "big")
    whole = header + b"payload" + b"\1" + len(signature).to_bytes(2, "big") + signature
    message = sealed()
    assert message.to_bytes() == whole
    assert message.signed_part == header + b"payload"
    assert parse_envelope(whole) == message


@given(
    st.sampled_from(sorted(KINDS.values(), key=lambda kind: kind.name)),
    st.binary(max_size=200),
    st.integers(0, 0x7FFF),
    st.integers(0, 0xFFFF),
    st.binary(max_size=100),
)
def test_a_message_reads_back(
    kind: MessageKind, payload: bytes, sender: int, receiver: int, signature: bytes
) -> None:
    for key in kind.keys:
        number = FIRST_COORDINATOR + sender if key is Key.COORDINATOR else sender
        address = Address(WALLET, SESSION, H, number, receiver)
        message = seal_envelope(kind, address, payload, key, lambda *_: signature)
        assert parse_envelope(message.to_bytes()) == message


@given(st.data())
def test_a_truncated_or_longer_message_is_refused(data: st.DataObject) -> None:
    """Step 1.1.3."""
    whole = sealed().to_bytes()
    with pytest.raises(BadEncoding):
        parse_envelope(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(BadEncoding, match="left over"):
        parse_envelope(whole + data.draw(st.binary(min_size=1, max_size=9)))


@given(st.binary(max_size=300))
def test_random_bytes_are_no_message(source: bytes) -> None:
    with pytest.raises(BadEncoding):
        parse_envelope(source)


def patched(at: int, value: bytes) -> bytes:
    whole = bytearray(sealed().to_bytes())
    whole[at : at + len(value)] = value
    return bytes(whole)


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (0, b"X", "not of this protocol"),
        (4, b"\2", "not of this protocol"),
        (4, b"\0", "not of this protocol"),
        (5, b"\7", "unknown protocol or round"),
        (5, b"\0", "unknown protocol or round"),
        (6, b"\5", "unknown protocol or round"),
        (6, b"\0", "unknown protocol or round"),
        (91, b"\0\0\4\1", "at most 1024"),
    ],
)
def test_what_is_not_ours_is_refused(at: int, value: bytes, reason: str) -> None:
    with pytest.raises(BadEncoding, match=reason):
        parse_envelope(patched(at, value))


KEYS: dict[MessageKind, set[int]] = {
    PROPOSAL: {3},
    HELLO: {2},
    COMMITMENTS: {1},
    CONFIRMATION: {2},
    CERTIFICATE: {1, 3},
    DONE: {2},
    BLAME: {2},
    REQUEST: {3},
    COMMIT: {1},
    SIGN: {3},
    PARTIAL: {1},
    ASK: {3},
    JOIN: {2},
    PROPOSE: {3},
    DEAL: {1},
    ACK: {2},
    SUCCESSOR: {1, 3},
    ADOPTION: {2},
    RETIRE: {1, 3},
    COMPLAINT: {2},
    DESTROYED: {2},
    CHANNEL: {1},
    ORDER: {1, 3},
    ROTATE: {3},
    DESTROY: {3},
    WALLET_DESTROYED: {2},
    AMENDED: {2},
    ORDER_REPAIR: {1, 3},
    SPLIT: {2},
    SUM: {2},
    REPAIR_ACK: {2},
    REPAIR_DONE: {2},
    REPAIR_COMPLAINT: {2},
    RESHARE_DEAL: {1},
    NEW_ACK: {2},
    NEW_COMPLAINT: {2},
    NEW_DONE: {2},
    NEW_HELLO: {2},
}
"""Step 1.7.2."""
WITH_CERTIFICATES = (CERTIFICATE, PROPOSE, SUCCESSOR)


@pytest.mark.parametrize("kind", KEYS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("key", [0, 1, 2, 3, 4, 255])
def test_key_1_where_key_2_is_due_is_refused(kind: MessageKind, key: int) -> None:
    """Steps 1.7.2 and 1.7.3: every kind with every key."""
    sender = FIRST_COORDINATOR if key == 3 else 1
    address = Address(WALLET, SESSION, H, sender, 0)
    whole = bytearray(seal_envelope(kind, address, b"", Key.CHANNEL, lambda *_: b"").to_bytes())
    whole[HEADER_BYTES] = key
    if key in KEYS[kind]:
        assert parse_envelope(bytes(whole)).key == key
    else:
        with pytest.raises(BadEncoding, match=f"key {key}, which is not its key"):
            parse_envelope(bytes(whole))


def test_every_kind_stands_in_the_table_once() -> None:
    assert set(KINDS.values()) == set(KEYS)
    assert len({(kind.protocol, kind.round) for kind in KEYS}) == len(KEYS)


@pytest.mark.parametrize("kind", KEYS, ids=lambda kind: kind.name)
def test_coordinator_number_in_a_holders_message_is_refused(kind: MessageKind) -> None:
    """Step 1.7.2: and a holder's number in a coordinator's."""
    for key in kind.keys:
        numbers = (0, 1, 0x4001, 0x7FFF) if key is Key.COORDINATOR else (0x8000, 0xFFFF)
        for number in numbers:
            address = Address(WALLET, SESSION, H, number, 0)
            whole = seal_envelope(kind, address, b"", key, lambda *_: b"").to_bytes()
            with pytest.raises(BadEncoding, match=f"sender {number} does not sign with key {key}"):
                parse_envelope(whole)


@pytest.mark.parametrize("kind", KEYS, ids=lambda kind: kind.name)
def test_an_oversized_payload_is_refused(kind: MessageKind) -> None:
    """Step 1.7.3: 1 MiB, 4 MiB for certificates; we also send none."""
    assert kind.cap <= (4 << 20 if kind in WITH_CERTIFICATES else 1 << 20)
    with pytest.raises(BadInput, match="at most"):
        sealed(kind, bytes(kind.cap + 1))
    whole = bytearray(sealed(kind, bytes(kind.cap)).to_bytes())
    assert len(parse_envelope(bytes(whole)).payload) == kind.cap
    whole[91:95] = (kind.cap + 1).to_bytes(4, "big")
    with pytest.raises(BadEncoding, match="at most"):
        parse_envelope(bytes(whole))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Address(WalletId(b"w"), SESSION, H, 1, 0),
        lambda: Address(WALLET, b"s", H, 1, 0),
        lambda: Address(WALLET, SESSION, EpochHash(b"h"), 1, 0),
        lambda: Address(WALLET, SESSION, H, -1, 0),
        lambda: Address(WALLET, SESSION, H, 0x10000, 0),
        lambda: Address(WALLET, SESSION, H, 1, -1),
        lambda: Address(WALLET, SESSION, H, 1, 0x10000),
    ],
)
def test_an_address_that_does_not_fit_is_refused(make: Callable[[], Address]) -> None:
    with pytest.raises(BadInput):
        make()


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_a_bundle_reads_back(messages: list[bytes]) -> None:
    assert unbundled(bundle(messages)) == tuple(messages)


def test_a_truncated_bundle_is_refused() -> None:
    with pytest.raises(BadEncoding):
        unbundled(bundle([b"one", b"two"])[:-1])


def test_a_bundle_of_too_many_messages_is_refused() -> None:
    """They may be empty, and nobody has signed anything yet."""
    assert len(unbundled(bytes(4 * MOST_BUNDLED))) == MOST_BUNDLED
    with pytest.raises(BadEncoding, match="in one bundle"):
        unbundled(bytes(4 * MOST_BUNDLED + 4))
