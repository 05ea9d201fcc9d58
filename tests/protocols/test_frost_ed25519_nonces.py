"""Nonces: drawn in place, from two generators and the share (steps 4.3.1 and 4.5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hsm_mpc.errors import BackendError, BadEncoding, BadInput
from hsm_mpc.groups.ed25519 import Ed25519, hash_to_scalar
from hsm_mpc.protocols.frost_ed25519.nonces import PublicNonce, derive_nonce, draw_nonce
from hsm_mpc.secure.arena import Arena, Take, move_bytes, publish
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.tags import Tag, tagged_hash
from tests.protocols.frost_ed25519 import IDENTITY, le, mixed, times_b
from tests.secure.bytes_of import at, filled

SHARE = le(0x0123456789ABCDEF << 180)


class Scripted(Entropy):
    """The system gives one letter after another; the HSM is asked once and gives two halves."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int]] = []

        def fill(name: str, content: Callable[[int], bytes]) -> Callable[[int, int], None]:
            def filling(pointer: int, length: int) -> None:
                order = [asked for asked, _ in self.asked].count(name)
                self.asked.append((name, length))
                move_bytes(pointer, content(order), length)

            return filling

        self.os_fill = fill("os", lambda order: bytes([order + 1]) * 32)
        self.hsm_fill = fill("hsm", lambda _: b"h" * 32 + b"i" * 32)


def seed(system: bytes, hsm: bytes) -> bytes:
    """Step 1.8.6a."""
    return tagged_hash(Tag.SEED, system + hsm + bytes(4))


def hedged(random: bytes) -> int:
    """H3(random ‖ share) (section 4.2)."""
    return hash_to_scalar(b"FROST-ED25519-SHA512-v1nonce" + random + SHARE)


D = hedged(seed(b"\1" * 32, b"h" * 32))
E = hedged(seed(b"\2" * 32, b"i" * 32))


def test_a_nonce_is_drawn_from_both_generators_and_hedged_by_the_share(take: Take) -> None:
    """Steps 1.8.6a, 4.3.1 and 4.5 against the same in ordinary bytes."""
    slot, entropy = take(64), Scripted()
    nonce = draw_nonce(entropy, filled(take(32), SHARE), slot)
    assert publish(slot) == le(D) + le(E)
    assert nonce == times_b(D) + times_b(E)
    assert (nonce.hiding, nonce.binding) == (times_b(D), times_b(E))
    assert sorted(entropy.asked) == [("hsm", 64), ("os", 32), ("os", 32)]


def test_a_nonce_starts_from_the_seed_that_all_seeds_are_made_by(take: Take) -> None:
    """Step 1.8.6a stands in two places; they agree."""
    made, entropy = take(32), Entropy(hsm_fill=lambda p, length: move_bytes(p, b"h" * 64, length))
    entropy.os_fill = lambda pointer, length: move_bytes(pointer, b"o" * 32, length)
    entropy.seed(made)
    slot = take(64)
    draw_nonce(entropy, filled(take(32), SHARE), slot)
    assert publish(slot) == le(hedged(publish(made))) * 2


def test_the_share_is_only_read(take: Take) -> None:
    share = filled(take(32), SHARE)
    draw_nonce(Entropy(), share, take(64))
    assert publish(share) == SHARE


def test_no_two_nonces_are_equal(take: Take) -> None:
    share, drawn = filled(take(32), SHARE), set()
    for _ in range(20):
        slot = take(64)
        draw_nonce(Entropy(), share, slot)
        drawn |= {publish(slot)[:32], publish(slot)[32:]}
    assert len(drawn) == 40


def test_drawing_leaves_nothing_but_the_nonce_in_memory() -> None:
    """Step 4.5: random bytes, the hashed buffer and the wide hash are wiped at once."""
    arena = Arena(4096)
    size = arena.free_bytes
    with arena.scope() as take, arena.open() as start:
        draw_nonce(Scripted(), filled(take(32), SHARE), take(64))
        content = at(start, size)
    arena.close()
    parts = (b"\1" * 32, b"\2" * 32, b"h" * 32, b"i" * 32)
    for secret in (*parts, seed(parts[0], parts[2]), seed(parts[1], parts[3])):
        assert not any(secret[place : place + 8] in content for place in range(0, 32, 8))
    for kept in (SHARE, le(D), le(E)):
        assert content.count(kept) == 1


@pytest.mark.parametrize("zero", [0, 1])
def test_a_nonce_of_zero_is_drawn_again(
    take: Take, monkeypatch: pytest.MonkeyPatch, zero: int
) -> None:
    """Step 4.3.1: the same half, with fresh randomness."""
    judged: list[int] = []

    def is_scalar(self: Ed25519, address: int) -> bool:
        judged.append(address)
        return len(judged) - 1 != zero

    asked: list[int] = []

    def draw(half: int, out: int, _: int) -> None:
        asked.append(half)
        move_bytes(out, bytes([len(asked)]) * 32, 32)

    monkeypatch.setattr(Ed25519, "is_canonical_nonzero_at", is_scalar)
    slot = take(64)
    derive_nonce(draw, filled(take(32), SHARE), slot)
    assert asked == ([0, 0, 1] if zero == 0 else [0, 1, 1])
    used = (2, 3) if zero == 0 else (1, 3)
    assert publish(slot) == b"".join(le(hedged(bytes([number]) * 32)) for number in used)


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_generator_that_fails_leaves_nothing(protocol_arena: Arena, failing: int) -> None:
    """Step 1.8.4: whichever call it is, also with the first nonce drawn."""
    source, calls = Entropy(), []

    def fill(pointer: int, length: int) -> None:
        calls.append(length)
        if len(calls) == failing:
            raise BackendError("the HSM is gone")
        move_bytes(pointer, b"r" * 64, length)

    source.os_fill = source.hsm_fill = fill
    free = protocol_arena.free_bytes
    with protocol_arena.scope() as take:
        slot = take(64)
        with pytest.raises(BackendError, match="the HSM is gone"):
            draw_nonce(source, filled(take(32), SHARE), slot)
        assert publish(slot) == bytes(64)
    assert protocol_arena.free_bytes == free


def test_a_nonce_that_cannot_be_published_leaves_nothing(
    take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 1.8.4: whatever goes wrong."""

    def broken(*_: object) -> bytes:
        raise RuntimeError("a fault")

    monkeypatch.setattr(Ed25519, "public_point_at", broken)
    slot = take(64)
    with pytest.raises(RuntimeError):
        draw_nonce(Entropy(), filled(take(32), SHARE), slot)
    assert publish(slot) == bytes(64)


def test_slots_of_other_sizes_are_refused(take: Take) -> None:
    with pytest.raises(BadInput, match="a slot of 32 bytes"):
        draw_nonce(Entropy(), filled(take(32), SHARE), take(32))
    with pytest.raises(BadInput, match="a share of 64 bytes"):
        draw_nonce(Entropy(), take(64), take(64))


# Public nonces


def test_a_public_nonce_is_read_back() -> None:
    encoded = times_b(3) + times_b(4)
    nonce = PublicNonce.parse(encoded)
    assert (nonce, nonce.hiding, nonce.binding) == (encoded, times_b(3), times_b(4))
    assert PublicNonce.parse(nonce) is nonce


@pytest.mark.parametrize("length", [0, 32, 63, 65, 96])
def test_a_public_nonce_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(BadEncoding, match="64 bytes"):
        PublicNonce.parse((times_b(1) * 3)[:length])


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("bad", [IDENTITY, mixed(times_b(7)), bytes(32), b"\xff" * 32])
def test_a_public_nonce_with_a_half_that_is_no_point_is_refused(half: int, bad: bytes) -> None:
    """Step 4.4.1."""
    halves = [times_b(1), times_b(2)]
    halves[half] = bad
    with pytest.raises(BadEncoding):
        PublicNonce.parse(b"".join(halves))
