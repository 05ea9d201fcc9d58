from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.hello import Hello, check_hellos, session_id_of
from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.ids import EpochHash
from hsm_mpc.tags import Tag, tagged_hash
from tests.certificates.ceremony import Ceremony, point

HELLOS = Ceremony().hellos()
FIRST, SECOND, THIRD = HELLOS


def test_the_bytes_of_a_hello_are_those_of_the_specification() -> None:
    """Step 2.6.2."""
    expected = FIRST.nonce + FIRST.static_key + FIRST.delivery_key + FIRST.kek_digest
    assert FIRST.to_bytes() == expected
    assert len(expected) == 130
    assert Hello.from_bytes(expected, SECP256K1) == FIRST


@pytest.mark.parametrize("offset", [32, 65])
def test_a_hello_with_an_invalid_key_is_refused(offset: int) -> None:
    source = bytearray(FIRST.to_bytes())
    source[offset] = 4
    with pytest.raises(BadEncoding, match="point"):
        Hello.from_bytes(bytes(source), SECP256K1)


def test_fresh_hellos_are_accepted() -> None:
    """Step 2.6.3."""
    check_hellos(HELLOS, 3)


@pytest.mark.parametrize("hellos", [HELLOS[:2], [*HELLOS, FIRST], []])
def test_a_missing_hello_is_refused(hellos: list[Hello]) -> None:
    with pytest.raises(BadInput, match="of 3 holders"):
        check_hellos(hellos, 3)


@pytest.mark.parametrize(
    "copy",
    [
        replace(SECOND, static_key=FIRST.static_key),
        replace(SECOND, static_key=FIRST.delivery_key),
        replace(SECOND, delivery_key=FIRST.static_key),
        replace(SECOND, delivery_key=FIRST.delivery_key),
    ],
)
def test_a_copied_key_aborts_and_names_nobody(copy: Hello) -> None:
    """All 2n are pairwise distinct; who copied whom is not proven."""
    with pytest.raises(ProtocolAbort, match="one key") as abort:
        check_hellos([FIRST, copy, THIRD], 3)
    assert abort.value.culprits == ()


def test_one_key_in_both_places_names_its_holder() -> None:
    twice = [replace(hello, delivery_key=hello.static_key) for hello in (SECOND, THIRD)]
    with pytest.raises(ProtocolAbort, match="both places") as abort:
        check_hellos([FIRST, *twice], 3)
    assert abort.value.culprits == (2, 3)


def test_a_reused_nonce_aborts() -> None:
    with pytest.raises(ProtocolAbort, match="nonce"):
        check_hellos([FIRST, replace(SECOND, nonce=FIRST.nonce), THIRD], 3)


def test_the_session_is_named_by_whole_messages_in_their_order() -> None:
    """Step 2.6.3."""
    ph, messages = b"\x0b" * 32, [b"one", b"two", b"three"]
    digests = b"".join(hashlib.sha256(message).digest() for message in messages)
    session_id = session_id_of(ph, messages)
    assert session_id == tagged_hash(Tag.SESSION, ph + digests)
    others = (
        session_id_of(bytes(32), messages),
        session_id_of(ph, messages[::-1]),
        session_id_of(ph, [b"one", b"two", b"three!"]),
    )
    assert session_id not in others


SCALARS = st.integers(1, SECP256K1.order - 1)
DIGESTS = st.binary(min_size=32, max_size=32)


@given(DIGESTS, SCALARS, SCALARS, DIGESTS)
def test_any_hello_is_read_back_as_it_was_written(
    nonce: bytes, static: int, delivery: int, kek_digest: bytes
) -> None:
    hello = Hello(nonce, point(static), point(delivery), kek_digest)
    assert Hello.from_bytes(hello.to_bytes(), SECP256K1) == hello


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**16 - 1), DIGESTS, SCALARS, DIGESTS, DIGESTS)
def test_any_done_is_read_back_as_it_was_written(
    counter: int,
    initiator: int,
    epoch_hash: bytes,
    delivery: int,
    kek_digest: bytes,
    blob_digest: bytes,
) -> None:
    attempt = Attempt(counter, initiator)
    done = Done(attempt, EpochHash(epoch_hash), point(delivery), kek_digest, blob_digest)
    assert Done.from_bytes(done.to_bytes(), SECP256K1) == done
