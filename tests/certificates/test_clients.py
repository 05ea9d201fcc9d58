from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.certificates.clients import Client, ClientList
from hsm_mpc.encoding import lv16, u16be, u32be
from hsm_mpc.errors import BadEncoding, BadInput, Refused
from hsm_mpc.ids import WalletId
from hsm_mpc.tags import Tag, tagged_hash
from tests.software_identity import ed25519_key

WALLET = WalletId(bytes(range(16)))


def client(number: int) -> Client:
    return Client(f"c{number}", ed25519_key(bytes([number]) * 32).public)


FIRST = ClientList(WALLET, 1, bytes(32), (client(1), client(2)))
SECOND = ClientList(WALLET, 2, FIRST.hash, (client(1),))


def test_the_bytes_of_a_list_are_those_of_the_specification() -> None:
    """Step 1.6.9, written out."""
    expected = WALLET + u32be(1) + bytes(32) + u16be(2)
    for number in (1, 2):
        expected += lv16(b"c%d" % number) + b"\x02" + lv16(client(number).key.encoded)
    assert FIRST.to_bytes() == expected
    assert FIRST.hash == tagged_hash(Tag.CLIENTS, expected)


@given(
    st.integers(2, 2**32 - 1),
    st.binary(min_size=32, max_size=32).filter(any),
    st.sets(st.integers(0, 255), max_size=5),
)
def test_any_list_is_read_back_as_it_was_written(
    version: int, predecessor: bytes, numbers: set[int]
) -> None:
    clients = ClientList(WALLET, version, predecessor, tuple(map(client, numbers)))
    assert ClientList.from_bytes(clients.to_bytes()) == clients


def test_a_client_is_found_by_its_key() -> None:
    assert FIRST.client_of(client(2).key).name == "c2"


def test_a_client_removed_from_the_list_is_unknown() -> None:
    SECOND.check_succeeds(FIRST)
    with pytest.raises(Refused) as refusal:
        SECOND.client_of(client(2).key)
    assert refusal.value.rule == "unknown-client"


@pytest.mark.parametrize("older", [FIRST, SECOND])
def test_an_older_client_list_is_refused(older: ClientList) -> None:
    """Step 1.6.9: at or below the pinned version."""
    with pytest.raises(Refused) as refusal:
        older.check_succeeds(SECOND)
    assert refusal.value.rule == "client-list-old"


@pytest.mark.parametrize(
    "new",
    [
        replace(SECOND, version=3),
        replace(SECOND, predecessor=b"\x01" * 32),
        replace(SECOND, wallet_id=WalletId(bytes(16))),
    ],
)
def test_a_client_list_with_gap_is_refused(new: ClientList) -> None:
    with pytest.raises(Refused) as refusal:
        new.check_succeeds(FIRST)
    assert refusal.value.rule == "client-list-gap"


def test_one_name_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="one name"):
        replace(FIRST, clients=(client(1), replace(client(2), name="c1")))


def test_one_key_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="one key"):
        replace(FIRST, clients=(client(1), replace(client(1), name="c2")))


def test_a_bad_name_is_refused() -> None:
    with pytest.raises(BadInput, match="a name is"):
        replace(FIRST, clients=(replace(client(1), name="C"),))


@pytest.mark.parametrize(
    "changes",
    [
        {"wallet_id": bytes(15)},
        {"version": 2, "predecessor": b"\x01" * 31},
        {"version": 0, "predecessor": b"\x01" * 32},
        {"version": 2},
        {"predecessor": b"\x01" * 32},
    ],
)
def test_a_list_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="client list"):
        replace(FIRST, **changes)


def test_bytes_of_a_list_that_breaks_a_rule_are_a_bad_encoding() -> None:
    changed = FIRST.to_bytes().replace(lv16(b"c2"), lv16(b"c1"))
    with pytest.raises(BadEncoding, match="one name"):
        ClientList.from_bytes(changed)
