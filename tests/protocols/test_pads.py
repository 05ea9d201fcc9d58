"""Pads between two holders (section 2.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.encoding import Reader, u64le
from hsm_mpc.errors import BadEncoding
from hsm_mpc.groups.secp256k1 import ORDER
from hsm_mpc.protocols.pads import (
    Route,
    frame,
    read_frames,
    sealed_length,
    session_pads,
    static_halves,
)
from hsm_mpc.protocols.suite_secp256k1 import CocktailSecp256k1
from hsm_mpc.secure.arena import Arena, Take
from hsm_mpc.tags import Tag, tagged_hash
from tests.protocols.keygen import be, leaving_nothing, times_g
from tests.secure.bytes_of import at, filled

CONTEXT = b"c" * 32
STATIC, EPHEMERAL, RECEIVER = 101, 202, 303
ROUTE = Route(times_g(EPHEMERAL), times_g(STATIC), times_g(RECEIVER))

scalars = st.integers(1, ORDER - 1)


def sealed(
    suite: CocktailSecp256k1,
    arena: Arena,
    plaintext: bytes,
    context: bytes = CONTEXT,
    secrets: tuple[int, int, int] = (STATIC, EPHEMERAL, RECEIVER),
) -> bytes:
    """What the sender makes of `plaintext`."""
    static, ephemeral, receiver = secrets
    route = Route(times_g(ephemeral), times_g(static), times_g(receiver))
    with arena.scope() as take:
        own, once = filled(take(32), be(static)), filled(take(32), be(ephemeral))
        slot = filled(take(len(plaintext)), plaintext)
        with (
            own.open() as d,
            once.open() as e,
            slot.open() as text,
            take(33).open() as half,
            session_pads(suite, context, arena) as pads,
        ):
            static_halves(suite, d, [route.receiver], half)
            return pads.seal(e, half, route, text, len(plaintext))


def opened(
    suite: CocktailSecp256k1,
    arena: Arena,
    ciphertext: bytes,
    route: Route = ROUTE,
    context: bytes = CONTEXT,
    receiver: int = RECEIVER,
) -> bytes | None:
    """What the receiver makes of it; None: it is refused."""
    with arena.scope() as take:
        own, slot = filled(take(32), be(receiver)), take(len(ciphertext) - 16)
        with (
            own.open() as d,
            slot.open() as out,
            take(33).open() as half,
            session_pads(suite, context, arena) as pads,
        ):
            static_halves(suite, d, [route.sender], half)
            if pads.open(d, half, route, ciphertext, out):
                return at(out, slot.size)
            return None


@given(st.tuples(scalars, scalars, scalars), st.binary(min_size=32, max_size=90))
def test_the_receiver_opens_what_the_sender_sealed(
    suite: CocktailSecp256k1,
    protocol_arena: Arena,
    secrets: tuple[int, int, int],
    plaintext: bytes,
) -> None:
    """Steps 2.3.1 and 2.3.7: with e_s·P_r on one side and d_r·E_s on the other."""
    static, ephemeral, receiver = secrets
    route = Route(times_g(ephemeral), times_g(static), times_g(receiver))
    ciphertext = sealed(suite, protocol_arena, plaintext, secrets=secrets)
    assert len(ciphertext) == len(plaintext) + 16
    assert opened(suite, protocol_arena, ciphertext, route, receiver=receiver) == plaintext


def test_a_pad_leaves_nothing(suite: CocktailSecp256k1, protocol_arena: Arena) -> None:
    """Step 2.5.4."""
    with leaving_nothing(protocol_arena):
        assert opened(suite, protocol_arena, sealed(suite, protocol_arena, bytes(32)))


def test_a_share_for_oneself_is_sealed_alike(
    suite: CocktailSecp256k1, protocol_arena: Arena
) -> None:
    """Step 2.3.1: s = r."""
    ciphertext = sealed(suite, protocol_arena, bytes(32), secrets=(7, 8, 7))
    route = Route(times_g(8), times_g(7), times_g(7))
    assert opened(suite, protocol_arena, ciphertext, route, receiver=7) == bytes(32)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"context": b"d" * 32}, id="another context"),
        pytest.param({"context": CONTEXT[:-1]}, id="a shorter context"),
        pytest.param({"route": Route(times_g(204), ROUTE.sender, ROUTE.receiver)}, id="another E"),
        pytest.param(
            {"route": Route(ROUTE.ephemeral, times_g(102), ROUTE.receiver)}, id="another sender"
        ),
        pytest.param(
            {"route": Route(ROUTE.ephemeral, ROUTE.sender, times_g(304))}, id="another receiver"
        ),
        pytest.param({"receiver": 304}, id="another secret"),
    ],
)
def test_a_ciphertext_belongs_to_its_keys_and_its_context(
    suite: CocktailSecp256k1, protocol_arena: Arena, change: dict[str, object]
) -> None:
    """Step 2.3.5: each part is in the hash."""
    ciphertext = sealed(suite, protocol_arena, bytes(32))
    assert opened(suite, protocol_arena, ciphertext) == bytes(32)
    assert opened(suite, protocol_arena, ciphertext, **change) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("bit", range(0, 48 * 8, 7))
def test_a_flipped_bit_does_not_open(
    suite: CocktailSecp256k1, protocol_arena: Arena, bit: int
) -> None:
    """Step 2.5.7."""
    changed = bytearray(sealed(suite, protocol_arena, bytes(32)))
    changed[bit // 8] ^= 1 << bit % 8
    assert opened(suite, protocol_arena, bytes(changed)) is None


def test_both_halves_open_one_ciphertext_to_anybody(
    suite: CocktailSecp256k1, protocol_arena: Arena, take: Take
) -> None:
    """Step 6.4.8: with S^e and S^d as the receiver reveals them, and with nothing else."""
    plaintext = b"a delta of 32 bytes".ljust(32, b".")
    ciphertext = sealed(suite, protocol_arena, plaintext)
    right = times_g(EPHEMERAL * RECEIVER), times_g(STATIC * RECEIVER)
    flipped = ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])
    with take(32).open() as out, session_pads(suite, CONTEXT, protocol_arena) as pads:
        assert pads.open_revealed(right, ROUTE, ciphertext, out)
        assert at(out, 32) == plaintext
        assert not pads.open_revealed(right, ROUTE, flipped, out)
        for halves in ((right[1], right[0]), (right[0], right[0]), (right[1], right[1])):
            assert not pads.open_revealed(halves, ROUTE, ciphertext, out)


def test_key_and_nonce_come_from_two_labels(suite: CocktailSecp256k1, take: Take) -> None:
    """Step 2.3.5."""
    message = b"x" * 66 + b"E" * 33 + b"S" * 33 + b"R" * 33 + u64le(32) + CONTEXT
    slot = filled(take(len(message) + suite.pad_room), message + bytes(suite.pad_room))
    with slot.open() as start, take(32).open() as key:
        nonce = suite.pad(start, len(message), key)
        assert at(key, 32) == tagged_hash(Tag.COCKTAIL_H6, message + u64le(3) + b"key")
    assert nonce == tagged_hash(Tag.COCKTAIL_H6, message + u64le(5) + b"nonce")[:24]


def test_a_frame_is_its_length_and_the_ciphertext(suite: CocktailSecp256k1) -> None:
    """Step 2.3.7."""
    assert sealed_length(suite) == 48
    assert frame(b"c" * 48) == (48).to_bytes(8, "big") + b"c" * 48
    reader = Reader(frame(b"c" * 48) + frame(b"d" * 48) + b"next", "frames")
    assert read_frames(reader, 2, 48) == (b"c" * 48, b"d" * 48)
    assert reader.take(4) == b"next"


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(frame(b"c" * 49), id="oversized_frame"),
        pytest.param(frame(b"c" * 47) + b"c", id="undersized_frame"),
        pytest.param(frame(b"")[:7], id="truncated length"),
        pytest.param(frame(b"c" * 48)[:-1], id="truncated ciphertext"),
        pytest.param((1 << 63).to_bytes(8, "big") + b"c" * 48, id="absurd length"),
    ],
)
def test_a_frame_of_another_length_is_refused(encoded: bytes) -> None:
    """Step 2.3.7."""
    with pytest.raises(BadEncoding):
        read_frames(Reader(frame(b"c" * 48) + encoded, "frames"), 2, 48)
