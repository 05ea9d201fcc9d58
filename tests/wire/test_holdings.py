"""What a holder tells of a wallet, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.errors import BadEncoding
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.wire.holdings import Holding

HELD = Holding(
    name="treasury",
    wallet_id=WalletId(b"w" * 16),
    epoch=2,
    epoch_hash=EpochHash(b"h" * 32),
    state=3,
    certificate=b"certificate",
    done=b"done 1",
    dones=(b"done 1", b"done 2"),
    policy_file=b"",
    retirement=b"over",
    destroyed=b"",
    ended=b"gone",
    lineage=b"another key",
)


def test_the_bytes_are_those_of_the_specification() -> None:
    assert HELD.to_bytes() == (
        b"\0\x08treasury" + b"w" * 16 + b"\0\0\0\2" + b"h" * 32 + b"\3"
        b"\0\0\0\x0bcertificate" + b"\0\0\0\x06done 1"
        b"\0\2\0\0\0\x06done 1\0\0\0\x06done 2" + b"\0\0\0\0"
        b"\0\0\0\4over" + b"\0\0\0\0" + b"\0\0\0\4gone"
        b"\0\0\0\x0banother key"
    )
    assert HELD.place == b"w" * 16 + b"\0\0\0\2" + b"h" * 32


@given(
    st.text("abc0._-", min_size=1, max_size=64),
    st.integers(0, 2**32 - 1),
    st.integers(0, 255),
    st.binary(max_size=30),
    st.lists(st.binary(max_size=30), max_size=4).map(tuple),
)
def test_it_is_read_back_as_it_was_written(
    name: str, epoch: int, state: int, document: bytes, dones: tuple[bytes, ...]
) -> None:
    held = Holding(
        name=name,
        wallet_id=HELD.wallet_id,
        epoch=epoch,
        epoch_hash=HELD.epoch_hash,
        state=state,
        certificate=document,
        done=document,
        dones=dones,
        policy_file=document,
        retirement=document,
        destroyed=document,
        ended=document,
        lineage=document,
    )
    assert Holding.from_bytes(held.to_bytes()) == held


@pytest.mark.parametrize(
    "source",
    [b"", HELD.to_bytes()[:-1], HELD.to_bytes() + b"x", b"\0\x08Treasury" + HELD.to_bytes()[10:]],
)
def test_anything_else_is_refused(source: bytes) -> None:
    with pytest.raises(BadEncoding):
        Holding.from_bytes(source)
