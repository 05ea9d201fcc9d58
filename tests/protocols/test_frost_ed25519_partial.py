"""Partial signatures in place: every check, every fault, every wipe (steps 4.3.4 to 4.6)."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from hsm_mpc.errors import BackendError, BadInput, ProtocolAbort, Tampered
from hsm_mpc.groups.ed25519 import ED25519, ORDER, Ed25519, hash_to_scalar
from hsm_mpc.protocols.frost_ed25519 import session as session_module
from hsm_mpc.protocols.frost_ed25519.nonces import PublicNonce
from hsm_mpc.protocols.frost_ed25519.partial import sign_partial, verify_partial
from hsm_mpc.protocols.frost_ed25519.session import Session
from hsm_mpc.secure.arena import Arena, Secret
from tests.protocols.frost import MESSAGE
from tests.protocols.frost_ed25519 import Wallet, binding_factor, le, times_b
from tests.secure.bytes_of import at, filled

D, E = 0x1111, 0x2222
ABOVE = ORDER.to_bytes(32, "little")


class Bench:
    """Holder 1 of 2-of-3 signs with holder 3, from chosen nonces."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.wallet = Wallet.dealt(arena, 2, 3)
        self.nonces = [
            PublicNonce.parse(times_b(D) + times_b(E)),
            PublicNonce.parse(times_b(33) + times_b(44)),
        ]
        self.session = Session.of(self.wallet.epoch.signers((1, 3)), self.nonces, MESSAGE)
        self.share = self.wallet.share(1)

    @property
    def rho(self) -> int:
        return binding_factor(self.session, 1)

    @contextmanager
    def slots(
        self, nonce: bytes = le(D) + le(E), share: bytes | None = None
    ) -> Iterator[tuple[Secret, Secret]]:
        """Secret nonce and share in two slots; both must be wiped and given back in the end."""
        with self.arena.scope() as take:
            filled_nonce = filled(take(64), nonce)
            filled_share = filled(take(32), le(self.share) if share is None else share)
            yield filled_nonce, filled_share
            for slot in (filled_nonce, filled_share):
                with pytest.raises(BackendError, match="after its release"), slot.open():
                    pass

    def sign(self, nonce: Secret, share: Secret, index: int = 1) -> bytes:
        return sign_partial(self.session, index, nonce, share)


@pytest.fixture
def bench(protocol_arena: Arena) -> Bench:
    return Bench(protocol_arena)


def test_a_partial_signature_is_the_sum_of_its_terms(bench: Bench) -> None:
    """Step 4.3.5 in ordinary integers; both slots are wiped."""
    expected = D + bench.rho * E + bench.session.share_factor(1) * bench.share
    with bench.slots() as (nonce, share):
        assert bench.sign(nonce, share) == le(expected)


def test_a_partial_signature_of_ones_own_verifies(bench: Bench) -> None:
    with bench.slots() as (nonce, share):
        verify_partial(bench.session, 1, bench.sign(nonce, share))


# The values that all share


def test_the_session_is_what_the_steps_say(bench: Bench) -> None:
    """Steps 4.3.3 and 4.3.4 written out."""
    session, key = bench.session, bench.wallet.key
    total = sum(a + binding_factor(session, i) * b for i, a, b in ((1, D, E), (3, 33, 44)))
    assert session.nonce == times_b(total)
    assert session.challenge == hash_to_scalar(times_b(total) + key + MESSAGE)
    assert session.share_factor(3) == session.challenge * -pow(2, -1, ORDER) % ORDER


@pytest.mark.parametrize("change", ["message", "nonce", "set", "key"])
def test_binding_factors_depend_on_everything(bench: Bench, change: str) -> None:
    """Step 4.3.3: the message, every nonce, who signs, the key."""
    signers, nonces, message = bench.session.signers, list(bench.nonces), MESSAGE
    if change == "message":
        message += b"!"
    elif change == "nonce":
        nonces[1] = PublicNonce.parse(times_b(34) + times_b(44))
    elif change == "set":
        signers = bench.wallet.epoch.signers((1, 2))
    else:
        signers = replace(signers, threshold_key=ED25519.parse_point(times_b(5)))
    other = Session.of(signers, nonces, message)
    assert binding_factor(other, 1) != bench.rho


def test_nonces_that_cancel_out_make_no_session(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 4.4.3: R = O; each sum may be O by itself."""
    monkeypatch.setattr(session_module, "hash_to_scalar", lambda _: 1)
    opposite = PublicNonce.parse(times_b(5) + times_b(-5))
    signers = bench.session.signers
    with pytest.raises(ProtocolAbort, match="cancel out") as raised:
        Session.of(signers, [opposite, opposite], MESSAGE)
    assert raised.value.culprits == ()
    lone = Session.of(signers, [bench.nonces[0], opposite], MESSAGE)
    assert lone.effective == (times_b(D + E), None)
    assert lone.nonce == times_b(D + E)


# Steps 4.4.2 and 4.4.4: what a signer refuses


def test_a_stranger_signs_nothing(bench: Bench) -> None:
    with bench.slots() as (nonce, share), pytest.raises(BadInput, match="holder 2 is not among"):
        bench.sign(nonce, share, index=2)


@pytest.mark.parametrize(
    "secret", [bytes(64), bytes(32) + le(E), le(D) + bytes(32), le(D) + ABOVE, ABOVE + le(E)]
)
def test_a_nonce_that_is_no_scalar_or_was_wiped_signs_nothing(bench: Bench, secret: bytes) -> None:
    with bench.slots(nonce=secret) as (nonce, share), pytest.raises(BadInput, match="secret nonce"):
        bench.sign(nonce, share)


@pytest.mark.parametrize("secret", [bytes(32), ABOVE, b"\xff" * 32])
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


@pytest.mark.parametrize(
    "zero", [{"challenge": 0}, {"binding_factors": (0, 7)}], ids=["challenge", "binding factor"]
)
def test_a_factor_of_zero_aborts(bench: Bench, zero: dict[str, object]) -> None:
    """Step 4.4.4: c·λ and ρ."""
    bench.session = replace(bench.session, **zero)  # type: ignore[arg-type]
    with bench.slots() as (nonce, share), pytest.raises(ProtocolAbort, match="λ, is 0"):
        bench.sign(nonce, share)


def test_nonces_that_cancel_abort(bench: Bench) -> None:
    """Step 1.8.4: d + ρ·e = 0."""
    cancelling = le(-bench.rho * E) + le(E)
    with (
        bench.slots(nonce=cancelling) as (nonce, share),
        pytest.raises(ProtocolAbort, match="addition"),
    ):
        bench.sign(nonce, share)


def test_a_sum_of_zero_aborts(bench: Bench) -> None:
    """Step 1.8.4: z = 0."""
    d = -bench.rho * E - bench.session.share_factor(1) * bench.share
    with (
        bench.slots(nonce=le(d) + le(E)) as (nonce, share),
        pytest.raises(ProtocolAbort, match="addition"),
    ):
        bench.sign(nonce, share)


# Steps 4.4.2 and 4.6: nothing wrong is released


def test_the_sealed_share_of_another_epoch_is_tampered(bench: Bench) -> None:
    """Step 4.4.2."""
    with (
        bench.slots(share=le(bench.share + 1)) as (nonce, share),
        pytest.raises(Tampered, match="not the one that the epoch certifies"),
    ):
        bench.sign(nonce, share)


def test_the_own_share_at_anothers_position_is_tampered(bench: Bench) -> None:
    """Step 4.4.2: share 3 does not sign as holder 1."""
    with bench.slots(share=le(bench.wallet.share(3))) as (nonce, share), pytest.raises(Tampered):
        bench.sign(nonce, share)


def flipped(secret: bytes, bit: int) -> bytes:
    changed = bytearray(secret)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("bit", [*range(0, 252, 3), *range(256, 508, 3)])
def test_a_flipped_bit_of_the_nonce_is_caught_before_release(bench: Bench, bit: int) -> None:
    """Step 4.6, each slot in turn."""
    with (
        bench.slots(nonce=flipped(le(D) + le(E), bit)) as (nonce, share),
        pytest.raises(Tampered, match="not released"),
    ):
        bench.sign(nonce, share)


@pytest.mark.parametrize("bit", [253, 255, 509, 511])
def test_a_nonce_with_a_bit_above_the_order_signs_nothing(bench: Bench, bit: int) -> None:
    """Step 1.8.4: multiplication of a point forgets the highest bit, that of scalars does not."""
    with (
        bench.slots(nonce=flipped(le(D) + le(E), bit)) as (nonce, share),
        pytest.raises(BadInput, match="secret nonce"),
    ):
        bench.sign(nonce, share)


@pytest.mark.parametrize("bit", range(0, 252, 3))
def test_a_flipped_bit_of_the_share_is_caught_before_release(bench: Bench, bit: int) -> None:
    """Steps 4.4.2 and 4.6."""
    with (
        bench.slots(share=flipped(le(bench.share), bit)) as (nonce, share),
        pytest.raises(Tampered, match="certifies"),
    ):
        bench.sign(nonce, share)


def test_a_share_with_its_highest_bit_set_signs_nothing(bench: Bench) -> None:
    """Step 1.8.7: x·B alone would not show it."""
    with (
        bench.slots(share=flipped(le(bench.share), 255)) as (nonce, share),
        pytest.raises(BadInput, match="a share is"),
    ):
        bench.sign(nonce, share)


IN_PLACE = ("multiply_public_at", "add_at")


def faulty(
    monkeypatch: pytest.MonkeyPatch, fault: int, harm: Callable[[int], None] | None
) -> list[str]:
    """The in-place operations as they run; the one numbered `fault` is harmed, or left out."""
    ran: list[str] = []

    def wrapped(name: str) -> Callable[..., None]:
        real = getattr(Ed25519, name)

        def operation(self: Ed25519, scalar: int, *arguments: int) -> None:
            ran.append(name)
            if len(ran) - 1 != fault or harm is not None:
                real(self, scalar, *arguments)
            if len(ran) - 1 == fault and harm is not None:
                harm(scalar)

        return operation

    for name in IN_PLACE:
        monkeypatch.setattr(Ed25519, name, wrapped(name))
    return ran


def flip_low_bit(address: int) -> None:
    ctypes.memset(address, at(address, 1)[0] ^ 1, 1)


def zero(address: int) -> None:
    ctypes.memset(address, 0, 32)


@pytest.mark.parametrize("fault", range(4))
@pytest.mark.parametrize("harm", [flip_low_bit, None], ids=["flipped", "skipped"])
def test_a_fault_in_any_step_is_caught_before_release(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fault: int, harm: Callable[[int], None] | None
) -> None:
    """Step 4.6: e·ρ, + d, x·c·λ, + that; each result flipped, each call left out."""
    with bench.slots() as (nonce, share):
        ran = faulty(monkeypatch, fault, harm)
        with pytest.raises(Tampered, match="not released"):
            bench.sign(nonce, share)
        monkeypatch.undo()
    assert ran == ["multiply_public_at", "add_at", "multiply_public_at", "add_at"]


def test_a_result_of_zero_is_caught_before_release(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 4.6: as ours, not as a sum that the library refuses."""
    with bench.slots() as (nonce, share):
        faulty(monkeypatch, 3, zero)
        with pytest.raises(Tampered, match="not released"):
            bench.sign(nonce, share)
        monkeypatch.undo()


# Step 4.3.6


def test_a_partial_signature_of_another_signer_is_wrong(bench: Bench) -> None:
    with bench.slots() as (nonce, share):
        signature = bench.sign(nonce, share)
    with pytest.raises(ProtocolAbort) as raised:
        verify_partial(bench.session, 3, signature)
    assert raised.value.culprits == (3,)


def test_a_partial_signature_under_another_nonce_is_wrong(bench: Bench) -> None:
    with bench.slots() as (nonce, share):
        signature = bench.sign(nonce, share)
    swapped = [PublicNonce.parse(times_b(E) + times_b(D)), bench.nonces[1]]
    other = Session.of(bench.session.signers, swapped, MESSAGE)
    with pytest.raises(ProtocolAbort, match="is wrong"):
        verify_partial(other, 1, signature)


def test_s_above_l_is_refused(bench: Bench) -> None:
    """Steps 1.4.2 and 4.3.6: a right partial signature plus the order is none."""
    with bench.slots() as (nonce, share):
        signature = bench.sign(nonce, share)
    above = (int.from_bytes(signature, "little") + ORDER).to_bytes(32, "little")
    for wrong in (above, ABOVE, b"\xff" * 32, bytes(31), b""):
        with pytest.raises(ProtocolAbort, match="partial signature of holder 1: ") as raised:
            verify_partial(bench.session, 1, wrong)
        assert raised.value.culprits == (1,)


def test_a_zero_partial_signature_is_wrong_and_does_not_stumble(bench: Bench) -> None:
    with pytest.raises(ProtocolAbort, match="is wrong"):
        verify_partial(bench.session, 1, bytes(32))


def test_a_partial_signature_whose_nonce_vanishes_is_judged(bench: Bench) -> None:
    """z·B = c·λ·Y_i: O beside a nonce that is not O."""
    signature = le(bench.session.share_factor(1) * bench.share)
    with pytest.raises(ProtocolAbort, match="is wrong"):
        verify_partial(bench.session, 1, signature)


def test_a_stranger_has_no_partial_signature(bench: Bench) -> None:
    with pytest.raises(BadInput, match="holder 2 is not among"):
        verify_partial(bench.session, 2, le(1))
