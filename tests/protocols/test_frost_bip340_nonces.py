"""Nonces in place, public and aggregated (steps 3.1.3, 3.1.4, 3.3.2, 3.3.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from hsm_mpc.errors import BackendError, BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.groups.secp256k1 import ORDER
from hsm_mpc.protocols.frost_bip340 import nonces as module
from hsm_mpc.protocols.frost_bip340.nonces import (
    AggregateNonce,
    InvalidContribution,
    PublicNonce,
    derive_nonce,
    draw_nonce,
    public_part,
)
from hsm_mpc.secure.arena import Arena, Take, move_bytes, publish
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.tags import Tag, tagged_hash
from tests.protocols.frost import times_g
from tests.secure.bytes_of import at, filled

SHARE = hashlib.sha256(b"share").digest()
PUBLIC = public_part(times_g(int.from_bytes(SHARE)), b"x" * 32, None, b"e" * 112)


def fixed(content: bytes) -> Callable[[int, int], None]:
    """A generator that gives these bytes."""
    return lambda pointer, length: move_bytes(pointer, content, length)


def entropy() -> Entropy:
    source = Entropy(hsm_fill=fixed(b"h" * 32))
    source.os_fill = fixed(b"o" * 32)
    return source


def expected_scalars(seed: bytes, public: bytes = PUBLIC) -> list[bytes]:
    """k_1 and k_2 as step 3.1.3 words it."""
    hedged = bytes(a ^ b for a, b in zip(SHARE, tagged_hash(Tag.BIP445_AUX, seed), strict=True))
    return [tagged_hash(Tag.BIP445_NONCE, hedged + public + bytes([half])) for half in (0, 1)]


def test_a_nonce_is_drawn_from_both_generators_and_hedged_by_the_share(take: Take) -> None:
    """Steps 1.8.6a, 3.3.2 and 3.3.3 against the same in ordinary bytes."""
    slot = take(64)
    nonce = draw_nonce(entropy(), filled(take(32), SHARE), PUBLIC, slot)
    k1, k2 = expected_scalars(tagged_hash(Tag.SEED, b"o" * 32 + b"h" * 32 + bytes(4)))
    assert publish(slot) == k1 + k2
    assert nonce == times_g(int.from_bytes(k1)) + times_g(int.from_bytes(k2))


def test_a_nonce_starts_from_the_seed_that_all_seeds_are_made_by(take: Take) -> None:
    """Step 1.8.6a stands in two places; they agree."""
    seed, slot = take(32), take(64)
    entropy().seed(seed)
    draw_nonce(entropy(), filled(take(32), SHARE), PUBLIC, slot)
    assert publish(slot) == b"".join(expected_scalars(publish(seed)))


def test_what_a_nonce_is_bound_to_changes_it(take: Take) -> None:
    """Step 3.3.2: equal randomness, another lease or message, another nonce."""
    share, slot = filled(take(32), SHARE), take(64)
    drawn = {
        draw_nonce(entropy(), share, public_part(times_g(1), b"x" * 32, None, extra), slot)
        for extra in (b"a" * 112, b"b" * 112)
    }
    assert len(drawn) == 2


def test_the_share_is_only_read(take: Take) -> None:
    share = filled(take(32), SHARE)
    draw_nonce(entropy(), share, PUBLIC, take(64))
    assert publish(share) == SHARE


def test_an_empty_message_is_not_an_absent_one() -> None:
    """Step 3.1.3."""
    assert public_part(message=b"") != public_part(message=None)
    assert public_part(message=b"") == b"\0\0\1" + bytes(8) + bytes(4)


def test_drawing_leaves_nothing_but_the_nonce_in_memory() -> None:
    """Steps 3.3.2 and 3.4.13: random bytes, aux and what they hedge to are wiped at once."""
    arena = Arena(4096)
    size = arena.free_bytes
    with arena.scope() as take, arena.open() as start:
        draw_nonce(entropy(), filled(take(32), SHARE), PUBLIC, take(64))
        content = at(start, size)
    arena.close()
    seed = tagged_hash(Tag.SEED, b"o" * 32 + b"h" * 32 + bytes(4))
    aux = tagged_hash(Tag.BIP445_AUX, seed)
    hedged = bytes(a ^ b for a, b in zip(SHARE, aux, strict=True))
    for secret in (seed, aux, hedged, b"o" * 32, b"h" * 32):
        assert not any(secret[at : at + 8] in content for at in range(0, 32, 8))
    for kept in (SHARE, *expected_scalars(seed)):
        assert content.count(kept) == 1


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("scalar", [0, ORDER, 2**256 - 1])
def test_a_nonce_that_is_no_scalar_aborts_and_wipes(
    take: Take, monkeypatch: pytest.MonkeyPatch, half: int, scalar: int
) -> None:
    """Steps 3.3.3 and 1.8.4: never drawn again with the same values, never half a nonce left."""
    halves = [7, 7]
    halves[half] = scalar
    planned = iter(halves)

    def hash_into(tag: Tag, message: int, length: int, out: int) -> None:
        drawn = next(planned) if tag is Tag.BIP445_NONCE else 1
        move_bytes(out, drawn.to_bytes(32, "big"), 32)

    monkeypatch.setattr(module, "tagged_hash_into", hash_into)
    slot = take(64)
    with pytest.raises(ProtocolAbort):
        draw_nonce(entropy(), filled(take(32), SHARE), PUBLIC, slot)
    assert publish(slot) == bytes(64)


def test_a_generator_that_fails_leaves_nothing(protocol_arena: Arena) -> None:
    def broken(pointer: int, length: int) -> None:
        raise BackendError("the HSM is gone")

    source, free = Entropy(hsm_fill=broken), protocol_arena.free_bytes
    with protocol_arena.scope() as take, pytest.raises(BackendError):
        draw_nonce(source, filled(take(32), SHARE), PUBLIC, take(64))
    assert protocol_arena.free_bytes == free


def test_a_nonce_for_a_slot_of_another_size_is_refused(take: Take) -> None:
    with pytest.raises(BadInput, match="a slot of 32 bytes"):
        draw_nonce(entropy(), filled(take(32), SHARE), PUBLIC, take(32))


def test_a_share_of_another_size_is_refused(take: Take) -> None:
    with pytest.raises(BadInput, match="a share of 64 bytes"):
        draw_nonce(entropy(), take(64), PUBLIC, take(64))


def test_without_a_share_only_the_randomness_decides(take: Take) -> None:
    """Step 3.1.3; no product path does it."""
    slot = take(64)
    derive_nonce(lambda out, _: move_bytes(out, b"r" * 32, 32), None, b"", slot)
    tag = hashlib.sha256(b"BIP0445/nonce").digest()
    assert publish(slot)[:32] == hashlib.sha256(tag + tag + b"r" * 32 + b"\0").digest()


# Public nonces


def test_a_public_nonce_is_read_back() -> None:
    nonce = PublicNonce.of(times_g(3), times_g(4))
    again = PublicNonce.parse(bytes(nonce))
    assert (again, again.first, again.second) == (nonce, times_g(3), times_g(4))
    assert PublicNonce.parse(nonce) is nonce


@pytest.mark.parametrize("length", [0, 33, 65, 67, 99])
def test_a_public_nonce_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(BadEncoding, match="66 bytes"):
        PublicNonce.parse((times_g(1) * 3)[:length])


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("bad", [bytes(33), b"\x04" + bytes(32), b"\x02" + b"\xff" * 32])
def test_a_public_nonce_with_a_half_that_is_no_point_is_refused(half: int, bad: bytes) -> None:
    """Step 1.3.3; the identity is allowed in aggregates only (1.3.4)."""
    halves = [times_g(1), times_g(2)]
    halves[half] = bad
    with pytest.raises(BadEncoding):
        PublicNonce.parse(b"".join(halves))


def nonce(first: int, second: int) -> PublicNonce:
    return PublicNonce.parse(times_g(first) + times_g(second))


def test_a_sum_that_is_the_identity_is_33_zeros() -> None:
    """Step 1.3.4, in either half."""
    aggregate = AggregateNonce.of([nonce(5, 7), nonce(-5, 8)])
    assert aggregate.to_bytes() == bytes(33) + times_g(15)
    assert AggregateNonce.parse(aggregate.to_bytes()) == aggregate
    aggregate = AggregateNonce.of([nonce(5, 7), nonce(6, -7)])
    assert AggregateNonce.parse(aggregate.to_bytes()) == aggregate


@pytest.mark.parametrize("bad", [bytes(65), bytes(67), b"\x05" + bytes(65), b""])
def test_an_aggregate_nonce_that_does_not_parse_is_the_aggregators(bad: bytes) -> None:
    with pytest.raises(InvalidContribution) as raised:
        AggregateNonce.parse(bad)
    assert (raised.value.position, raised.value.contribution) == (None, "aggnonce")
