"""Partial signatures in place: every check, every fault, every wipe (steps 3.1.5 to 3.1.7, 3.4)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from hsm_mpc.errors import BackendError, BadInput, ProtocolAbort, Tampered
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1, Secp256k1
from hsm_mpc.protocols.frost_bip340 import session as session_module
from hsm_mpc.protocols.frost_bip340.nonces import AggregateNonce, PublicNonce
from hsm_mpc.protocols.frost_bip340.partial import sign_partial, verify_partial
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.secure.arena import Arena, Secret
from hsm_mpc.tags import Tag
from tests.protocols.frost import MESSAGE, Wallet, be, times_g
from tests.secure.bytes_of import at, filled

K1, K2 = 0x1111, 0x2222


class Bench:
    """Holder 1 of 2-of-3 signs with holder 3, from chosen nonces."""

    def __init__(self, arena: Arena, others: tuple[int, int] = (33, 44)) -> None:
        self.arena = arena
        self.wallet = Wallet.dealt(arena, 2, 3)
        self.nonce = PublicNonce.parse(times_g(K1) + times_g(K2))
        other = PublicNonce.parse(times_g(others[0]) + times_g(others[1]))
        signers = self.wallet.epoch.signers((1, 3))
        nonces = AggregateNonce.of([self.nonce, other])
        self.session = Session.of(signers, self.wallet.key, nonces, MESSAGE)
        self.share = self.wallet.share(1)

    @contextmanager
    def slots(
        self, nonce: bytes = be(K1) + be(K2), share: bytes | None = None
    ) -> Iterator[tuple[Secret, Secret]]:
        """Secret nonce and share in two slots; both must be wiped and given back in the end."""
        with self.arena.scope() as take:
            filled_nonce = filled(take(64), nonce)
            filled_share = filled(take(32), be(self.share) if share is None else share)
            yield filled_nonce, filled_share
            for slot in (filled_nonce, filled_share):
                with pytest.raises(BackendError, match="after its release"), slot.open():
                    pass

    def sign(self, nonce: Secret, share: Secret, index: int = 1) -> bytes:
        return sign_partial(self.session, index, self.nonce, nonce, share)


@pytest.fixture
def bench(protocol_arena: Arena) -> Bench:
    return Bench(protocol_arena)


def with_nonce_of(odd: bool, arena: Arena) -> Bench:
    """A session whose R has the wanted parity."""
    benches = (Bench(arena, (5, at)) for at in range(2, 40))
    return next(bench for bench in benches if (bench.session.nonce_sign < 0) is odd)


@pytest.mark.parametrize("odd", [False, True])
def test_a_partial_signature_is_the_sum_of_its_terms(protocol_arena: Arena, odd: bool) -> None:
    """Step 3.1.6 in ordinary integers, for both parities of R; both slots are wiped."""
    bench = with_nonce_of(odd, protocol_arena)
    session = bench.session
    expected = session.nonce_sign * (K1 + session.nonce_factor * K2)
    expected += session.share_factor(1) * bench.share
    with bench.slots() as (nonce, share):
        assert bench.sign(nonce, share) == be(expected)


def test_a_partial_signature_of_ones_own_verifies(bench: Bench) -> None:
    with bench.slots() as (nonce, share):
        verify_partial(bench.session, 1, bench.nonce, bench.sign(nonce, share))


# Step 3.1.6 and 3.4.10: what a signer refuses


def test_a_stranger_signs_nothing(bench: Bench) -> None:
    with bench.slots() as (nonce, share), pytest.raises(BadInput, match="holder 2 is not among"):
        bench.sign(nonce, share, index=2)


@pytest.mark.parametrize(
    "secret",
    [bytes(64), bytes(32) + be(K2), be(K1) + bytes(32), be(K1) + ORDER.to_bytes(32, "big")],
)
def test_a_nonce_that_is_no_scalar_or_was_wiped_signs_nothing(bench: Bench, secret: bytes) -> None:
    with bench.slots(nonce=secret) as (nonce, share), pytest.raises(BadInput, match="secret nonce"):
        bench.sign(nonce, share)


@pytest.mark.parametrize("secret", [bytes(32), ORDER.to_bytes(32, "big")])
def test_a_share_that_is_no_scalar_signs_nothing(bench: Bench, secret: bytes) -> None:
    with bench.slots(share=secret) as (nonce, share), pytest.raises(BadInput, match="a share is"):
        bench.sign(nonce, share)


@pytest.mark.parametrize(("nonce_size", "share_size"), [(32, 32), (64, 64), (96, 32)])
def test_slots_of_other_sizes_are_refused_and_wiped(
    bench: Bench, nonce_size: int, share_size: int
) -> None:
    """Step 3.4: every path wipes."""
    with bench.arena.scope() as take:
        nonce, share = take(nonce_size), take(share_size)
        with pytest.raises(BadInput, match="64 bytes and a share 32"):
            bench.sign(nonce, share)
        for slot in (nonce, share):
            with pytest.raises(BackendError, match="after its release"), slot.open():
                pass


def test_a_factor_of_zero_aborts(bench: Bench) -> None:
    """Step 3.4.10."""
    bench.session = replace(bench.session, challenge=0)
    with (
        bench.slots() as (nonce, share),
        pytest.raises(ProtocolAbort, match="Lagrange factor is 0"),
    ):
        bench.sign(nonce, share)


def test_nonces_that_cancel_abort(bench: Bench) -> None:
    """Step 1.8.4: k_1 + b·k_2 = 0."""
    cancelling = be(-bench.session.nonce_factor * K2) + be(K2)
    with bench.slots(nonce=cancelling) as (nonce, share), pytest.raises(ProtocolAbort):
        bench.sign(nonce, share)


def test_a_sum_of_zero_aborts(bench: Bench) -> None:
    """Step 1.8.4: s = 0."""
    session = bench.session
    k1 = -session.nonce_factor * K2 - session.nonce_sign * session.share_factor(1) * bench.share
    with bench.slots(nonce=be(k1) + be(K2)) as (nonce, share), pytest.raises(ProtocolAbort):
        bench.sign(nonce, share)


@pytest.mark.parametrize("tag", [Tag.BIP445_NONCECOEF, Tag.BIP340_CHALLENGE])
def test_a_hash_of_zero_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch, tag: Tag) -> None:
    """Steps 3.1.5 and 3.4.9: b = 0 or e = 0."""

    def hashed(asked: Tag, message: bytes) -> bytes:
        return ORDER.to_bytes(32, "big") if asked is tag else bytes(31) + b"\1"

    monkeypatch.setattr(session_module, "tagged_hash", hashed)
    with pytest.raises(BadInput, match=tag.value):
        Bench(bench.arena)


def test_an_aggregate_nonce_of_nothing_stands_for_the_generator(bench: Bench) -> None:
    """Step 3.1.5: R = G if the sum is O."""
    session = bench.session
    session = Session.of(session.signers, session.key, AggregateNonce(None, None), MESSAGE)
    assert session.nonce == times_g(1)


@pytest.mark.parametrize("half", [0, 1])
def test_half_an_aggregate_nonce_may_be_the_identity(bench: Bench, half: int) -> None:
    point = SECP256K1.parse_point(times_g(9))
    halves = (None, point) if half else (point, None)
    old = bench.session
    session = Session.of(old.signers, old.key, AggregateNonce(*halves), MESSAGE)
    assert session.nonce == times_g(9 * session.nonce_factor if half else 9)


# Steps 3.4.8 and 3.4.12: nothing wrong is released


def test_the_sealed_share_of_another_epoch_is_tampered(bench: Bench) -> None:
    """Step 3.4.8, found by the check of 3.4.12."""
    other = be(bench.share + 1)
    with (
        bench.slots(share=other) as (nonce, share),
        pytest.raises(Tampered, match="not the one that the epoch certifies"),
    ):
        bench.sign(nonce, share)


def test_the_own_share_at_anothers_position_is_tampered(bench: Bench) -> None:
    """Step 3.1.6: comparing the two memberships apart would let share 3 sign as holder 1."""
    with bench.slots(share=be(bench.wallet.share(3))) as (nonce, share), pytest.raises(Tampered):
        bench.sign(nonce, share)


def flipped(secret: bytes, bit: int) -> bytes:
    changed = bytearray(secret)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("bit", range(0, 512, 3))
def test_a_flipped_bit_of_the_nonce_is_caught_before_release(bench: Bench, bit: int) -> None:
    """Step 3.4.12, each slot in turn."""
    with (
        bench.slots(nonce=flipped(be(K1) + be(K2), bit)) as (nonce, share),
        pytest.raises(Tampered, match="not released"),
    ):
        bench.sign(nonce, share)


@pytest.mark.parametrize("bit", range(0, 256, 3))
def test_a_flipped_bit_of_the_share_is_caught_before_release(bench: Bench, bit: int) -> None:
    """Steps 3.4.8 and 3.4.12."""
    with (
        bench.slots(share=flipped(be(bench.share), bit)) as (nonce, share),
        pytest.raises(Tampered, match="certifies"),
    ):
        bench.sign(nonce, share)


IN_PLACE = ("multiply_public_at", "add_at", "negate_at")


def faulty(
    monkeypatch: pytest.MonkeyPatch, fault: int, harm: Callable[[int], None] | None
) -> list[str]:
    """The in-place operations as they run; the one numbered `fault` is harmed, or left out."""
    ran: list[str] = []

    def wrapped(name: str) -> Callable[..., None]:
        real = getattr(Secp256k1, name)

        def operation(self: Secp256k1, scalar: int, *arguments: int) -> None:
            ran.append(name)
            if len(ran) - 1 != fault or harm is not None:
                real(self, scalar, *arguments)
            if len(ran) - 1 == fault and harm is not None:
                harm(scalar)

        return operation

    for name in IN_PLACE:
        monkeypatch.setattr(Secp256k1, name, wrapped(name))
    return ran


def flip_low_bit(address: int) -> None:
    ctypes.memset(address + 31, at(address, 32)[31] ^ 1, 1)


def zero(address: int) -> None:
    ctypes.memset(address, 0, 32)


@pytest.mark.parametrize("fault", range(5))
@pytest.mark.parametrize("harm", [flip_low_bit, None], ids=["flipped", "skipped"])
def test_a_fault_in_any_step_is_caught_before_release(
    protocol_arena: Arena,
    monkeypatch: pytest.MonkeyPatch,
    fault: int,
    harm: Callable[[int], None] | None,
) -> None:
    """Step 3.4.11: u·b, u + k_1, −u, d·c, d + u; each result flipped, each call left out."""
    bench = with_nonce_of(True, protocol_arena)
    with bench.slots() as (nonce, share):
        ran = faulty(monkeypatch, fault, harm)
        with pytest.raises(Tampered):
            bench.sign(nonce, share)
        monkeypatch.undo()
    assert ran[:5] == [
        "multiply_public_at",
        "add_at",
        "negate_at",
        "multiply_public_at",
        "add_at",
    ]


def test_a_result_of_zero_is_caught_before_release(
    protocol_arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 3.4.12: as ours, not as a sum that the library refuses."""
    bench = with_nonce_of(True, protocol_arena)
    with bench.slots() as (nonce, share):
        faulty(monkeypatch, 4, zero)
        with pytest.raises(Tampered, match="not released"):
            bench.sign(nonce, share)
        monkeypatch.undo()


# Step 3.1.7


def test_a_partial_signature_of_another_signer_is_wrong(bench: Bench) -> None:
    with bench.slots() as (nonce, share):
        signature = bench.sign(nonce, share)
    with pytest.raises(ProtocolAbort) as raised:
        verify_partial(bench.session, 3, bench.nonce, signature)
    assert raised.value.culprits == (3,)


def test_a_partial_signature_under_another_nonce_is_wrong(bench: Bench) -> None:
    with bench.slots() as (nonce, share):
        signature = bench.sign(nonce, share)
    other = PublicNonce.parse(times_g(K2) + times_g(K1))
    with pytest.raises(ProtocolAbort, match="is wrong"):
        verify_partial(bench.session, 1, other, signature)


@pytest.mark.parametrize("signature", [ORDER.to_bytes(32, "big"), b"\xff" * 32, bytes(31), b""])
def test_a_partial_signature_that_is_no_scalar_is_wrong(bench: Bench, signature: bytes) -> None:
    """Steps 1.3.2 and 3.5.1."""
    with pytest.raises(ProtocolAbort) as raised:
        verify_partial(bench.session, 1, bench.nonce, signature)
    assert raised.value.culprits == (1,)


def test_a_zero_partial_signature_is_wrong_and_does_not_stumble(bench: Bench) -> None:
    with pytest.raises(ProtocolAbort, match="is wrong"):
        verify_partial(bench.session, 1, bench.nonce, bytes(32))


def test_a_partial_signature_whose_last_term_vanishes_is_judged(bench: Bench) -> None:
    """f·c·P = f·s·G: no point is left beside the nonce, which is not O."""
    signature = be(bench.session.share_factor(1) * bench.share)
    with pytest.raises(ProtocolAbort, match="is wrong"):
        verify_partial(bench.session, 1, bench.nonce, signature)


def test_a_stranger_has_no_partial_signature(bench: Bench) -> None:
    with pytest.raises(BadInput, match="holder 2 is not among"):
        verify_partial(bench.session, 2, bench.nonce, be(1))
