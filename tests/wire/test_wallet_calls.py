"""What clients and coordinators say to each other, as bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.certificates.clients import Client
from hsm_mpc.errors import BadEncoding
from hsm_mpc.ids import Scheme
from hsm_mpc.wire.envelope import bundle
from hsm_mpc.wire.wallet_calls import (
    Chain,
    Shown,
    ShownSuccession,
    Wish,
    indices_from_bytes,
    indices_to_bytes,
)
from tests.software_identity import ed25519_key

CLIENTS = tuple(Client(f"c{n}", ed25519_key(bytes([n]) * 32).public) for n in (1, 2, 3))
WISH = Wish("treasury", Scheme.TAPROOT, 2, CLIENTS[:1])

wishes = st.builds(
    Wish,
    st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True),
    st.sampled_from(Scheme),
    st.integers(0, 0xFFFF),
    st.lists(st.sampled_from(CLIENTS), max_size=3).map(tuple),
)


def test_the_bytes_of_a_wish_are_those_of_the_specification() -> None:
    key = b"\2" + b"\0\x20" + CLIENTS[0].key.encoded
    clients = b"\0\1" + b"\0\2c1" + key
    assert WISH.to_bytes() == b"\0\x08treasury" + b"\1" + b"\0\2" + clients + b"\0\0"
    assert replace(WISH, holders=(1, 3)).to_bytes().endswith(b"\0\4\0\1\0\3")


@given(wishes)
def test_a_wish_reads_back(wish: Wish) -> None:
    assert Wish.from_bytes(wish.to_bytes()) == wish


@given(st.data())
def test_a_truncated_or_longer_wish_is_refused(data: st.DataObject) -> None:
    whole = WISH.to_bytes()
    with pytest.raises(BadEncoding):
        Wish.from_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(BadEncoding):
        Wish.from_bytes(whole + data.draw(st.binary(min_size=1, max_size=4)))


@pytest.mark.parametrize("number", [0, 4, 255])
def test_an_unknown_scheme_is_refused(number: int) -> None:
    whole = bytearray(WISH.to_bytes())
    whole[10] = number
    with pytest.raises(BadEncoding, match=f"scheme {number} is unknown"):
        Wish.from_bytes(bytes(whole))


def test_an_impossible_name_is_refused() -> None:
    whole = bytearray(WISH.to_bytes())
    whole[2] = ord("T")
    with pytest.raises(BadEncoding, match="a name is"):
        Wish.from_bytes(bytes(whole))


@given(st.binary(), st.lists(st.binary(), max_size=4).map(tuple))
def test_a_shown_wallet_reads_back(certificate: bytes, dones: tuple[bytes, ...]) -> None:
    shown = Shown(certificate, dones, dones[:1])
    assert Shown.from_parts(shown.to_parts()) == shown


def test_nothing_is_no_wallet() -> None:
    with pytest.raises(BadEncoding, match="a wallet in 0 parts"):
        Shown.from_parts(())


@given(
    st.binary(), st.lists(st.binary(), max_size=3).map(tuple), st.binary(), st.binary(min_size=1)
)
def test_a_wallet_with_a_successor_reads_back(
    certificate: bytes, dones: tuple[bytes, ...], retirement: bytes, destroyed: bytes
) -> None:
    newer = ShownSuccession(certificate, dones, retirement, (destroyed,))
    shown = Shown(b"the first", (b"done",), (), newer, b"another key")
    assert Shown.from_parts(shown.to_parts()) == shown


@pytest.mark.parametrize("count", [5, 7, 9])
def test_half_a_successor_is_refused(count: int) -> None:
    parts = (*Shown(b"", (), (), ShownSuccession(b"", (), b"", ())).to_parts(), b"")
    with pytest.raises(BadEncoding, match=f"a succession in {count - 4} parts"):
        Shown.from_parts(parts[:count])


def test_a_chain_has_a_first_epoch() -> None:
    with pytest.raises(BadEncoding, match="a chain in 1 parts"):
        Chain.from_bytes(bundle([b"certificate"]))


@given(st.lists(st.integers(0, 0xFFFF)).map(tuple))
def test_indices_read_back(indices: tuple[int, ...]) -> None:
    assert indices_from_bytes(indices_to_bytes(indices)) == indices


def test_half_an_index_is_refused() -> None:
    with pytest.raises(BadEncoding):
        indices_from_bytes(b"\0\1\0")
