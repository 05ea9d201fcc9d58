"""What the library refuses is an exception, never the end of the process."""

from __future__ import annotations

import ctypes
from threading import Thread

import pytest
from coincurve import PrivateKey
from coincurve._libsecp256k1 import ffi, lib

from hsm_mpc.errors import HsmMpcError, ProtocolAbort
from hsm_mpc.groups import libsecp256k1 as library
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1
from hsm_mpc.secure.arena import Take
from tests.secure.bytes_of import at, filled

ONE = (1).to_bytes(32, "big")
TOO_LARGE = ORDER.to_bytes(32, "big")
ZERO = bytes(32)


def point(scalar: int) -> library.Raw:
    return library.base_multiplied(scalar.to_bytes(32, "big"))


def unset_point() -> library.Raw:
    return ffi.new("secp256k1_pubkey *")


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda: library.serialized(unset_point()),
        lambda: library.multiplied(unset_point(), ONE),
        lambda: library.negated(unset_point()),
        lambda: library.combined([unset_point()]),
        lambda: library.combined([]),
        lambda: library.evaluated([point(1), unset_point()], 1),
        lambda: library.recovered(ONE, 7, ONE, ONE),
        lambda: library.base_multiplied(ffi.NULL),
        lambda: library.negate(0),
    ],
)
def test_a_forbidden_argument_is_an_exception(forbidden: object) -> None:
    """The library's own callback would abort the process."""
    assert callable(forbidden)
    with pytest.raises(HsmMpcError, match="forbidden argument"):
        forbidden()
    assert library.combined([point(1), point(ORDER - 1)]) is None, "the refusal was left behind"


def test_a_forbidden_point_never_agrees_on_a_key(take: Take) -> None:
    """The library goes on with it and answers 1."""
    with (
        filled(take(32), ONE).open() as secret,
        take(33).open() as out,
        pytest.raises(HsmMpcError, match="key agreement: forbidden argument"),
    ):
        library.diffie_hellman(out, unset_point(), secret)


def test_a_refusal_is_seen_only_by_the_thread_that_made_it() -> None:
    """Step 1.3.6: a sum that is the identity is not taken for another thread's mistake."""

    def refuse() -> None:
        lib.secp256k1_ec_pubkey_negate(library._CONTEXT, unset_point())

    thread = Thread(target=refuse)
    thread.start()
    thread.join()
    assert library.combined([point(1), point(ORDER - 1)]) is None


@pytest.mark.parametrize("scalar", [ZERO, TOO_LARGE, b"\xff" * 32])
def test_what_is_no_secret_scalar_aborts_every_operation(take: Take, scalar: bytes) -> None:
    """Step 1.8.4: every return is checked."""
    good, out = filled(take(32), ONE), take(33)
    with good.open() as one, out.open() as target:
        for operation in (
            lambda bad: library.negate(bad),
            lambda bad: library.multiply(bad, ONE),
            lambda bad: library.point_of(bad),
            lambda bad: library.diffie_hellman(target, point(1), bad),
        ):
            with filled(take(64), scalar + scalar).open() as bad:
                with pytest.raises(ProtocolAbort, match="of a secret scalar") as abort:
                    operation(bad)
                assert abort.value.culprits == ()
        if scalar != ZERO:
            with filled(take(32), scalar).open() as bad, pytest.raises(ProtocolAbort):
                library.add(one, bad)


def test_a_zero_sum_aborts_and_leaves_zeros(take: Take) -> None:
    """Step 1.8.4."""
    minus_one = (ORDER - 1).to_bytes(32, "big")
    with filled(take(32), ONE).open() as one, filled(take(32), minus_one).open() as other:
        with pytest.raises(ProtocolAbort, match="addition of a secret scalar"):
            library.add(one, other)
        assert at(one, 32) == ZERO


@pytest.mark.parametrize("highest", [ZERO, TOO_LARGE])
def test_a_highest_coefficient_that_is_no_scalar_aborts(take: Take, highest: bytes) -> None:
    """Step 1.8.8."""
    with (
        filled(take(64), ONE + highest).open() as first,
        take(32).open() as out,
        pytest.raises(ProtocolAbort, match="multiplication"),
    ):
        library.horner(out, first, 2, ONE)


def test_a_zero_sum_on_the_way_of_horner_aborts(take: Take) -> None:
    """Step 1.8.8: a_1·x + a_0 = 0."""
    coefficients = (ORDER - 3).to_bytes(32, "big") + ONE
    with (
        filled(take(64), coefficients).open() as first,
        take(32).open() as out,
        pytest.raises(ProtocolAbort, match="addition"),
    ):
        library.horner(out, first, 2, (3).to_bytes(32, "big"))


@pytest.mark.parametrize("factor", [ZERO, TOO_LARGE])
def test_a_public_factor_that_is_none_is_an_error(factor: bytes) -> None:
    with pytest.raises(HsmMpcError, match="the factor is no scalar"):
        library.multiplied(point(1), factor)
    with pytest.raises(HsmMpcError, match="the factor is no scalar"):
        library.base_multiplied(factor)


def test_the_context_is_blinded_or_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 1.8.2."""

    class Unblinded:
        def __getattr__(self, name: str) -> object:
            original = getattr(lib, name)
            return (lambda *_: 0) if name == "secp256k1_context_randomize" else original

    monkeypatch.setattr("hsm_mpc.groups.libsecp256k1.lib", Unblinded())
    with pytest.raises(HsmMpcError, match="cannot be blinded"):
        library._new_context()


def test_the_shared_point_is_compressed_with_its_parity(take: Take) -> None:
    """Step 2.3.3: both parities, and nothing beyond the 33 bytes."""
    seen = set()
    for scalar in range(1, 9):
        expected = SECP256K1.base_multiple(scalar * 5)
        own, room = filled(take(32), scalar.to_bytes(32, "big")), filled(take(35), b"\xee" * 35)
        with own.open() as secret, room.open() as out:
            library.diffie_hellman(out + 1, point(5), secret)
            assert at(out, 35) == b"\xee" + (expected or b"") + b"\xee"
            seen.add(at(out + 1, 1))
    assert seen == {b"\x02", b"\x03"}


def test_the_blinding_bytes_are_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 1.8.2: the 32 fresh bytes do not stay on the heap."""
    seen: list[tuple[int, bytes]] = []

    class Watched:
        def __getattr__(self, name: str) -> object:
            return self.randomize if name == "secp256k1_context_randomize" else getattr(lib, name)

        def randomize(self, context: object, seed: object) -> int:
            kept.append(seed)
            address = int(ffi.cast("uintptr_t", seed))
            seen.append((address, ctypes.string_at(address, 32)))
            return int(lib.secp256k1_context_randomize(context, seed))

    kept: list[object] = []
    monkeypatch.setattr("hsm_mpc.groups.libsecp256k1.lib", Watched())
    library._new_context()
    [(address, fresh)] = seen
    assert fresh != ZERO
    assert ctypes.string_at(address, 32) == ZERO


def test_a_signature_of_another_message_does_not_verify() -> None:
    """BIP 340."""
    key = PrivateKey(ONE)
    x_only, signature = key.public_key.format()[1:], key.sign_schnorr(ZERO)
    assert library.schnorr_verified(x_only, ZERO, signature)
    assert not library.schnorr_verified(x_only, ONE, signature)
    assert not library.schnorr_verified(b"\xff" * 32, ZERO, signature)


def test_nothing_is_recovered_from_what_does_not_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library would go on with whatever stands there; today that is zeros, and no signature."""

    class Watched:
        def __getattr__(self, name: str) -> object:
            assert name != "secp256k1_ecdsa_recover"
            return getattr(lib, name)

    monkeypatch.setattr("hsm_mpc.groups.libsecp256k1.lib", Watched())
    assert library.recovered(TOO_LARGE, 0, ONE, ONE) is None
    assert library.recovered(ONE, 0, TOO_LARGE, ONE) is None
