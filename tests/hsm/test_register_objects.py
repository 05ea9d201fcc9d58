"""Registers where the token keeps no data objects: secret keys with telling labels (6.2.1a)."""

from __future__ import annotations

from typing import Any

import pytest

from hsm_mpc.errors import BackendError, Tampered
from hsm_mpc.hsm import objects, register_objects
from hsm_mpc.hsm.cryptoki import DATA_OBJECT, Attribute, ObjectClass, ffi
from hsm_mpc.hsm.listing import listing
from hsm_mpc.hsm.register import Register, Registers
from hsm_mpc.hsm.register_objects import DATA, LABEL
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash, WalletId
from tests.hsm.lying import Answer

WALLET = WalletId(b"wallet of a test")
NAME = f"hsm-mpc/register/{WALLET.hex()}".encode()
FRESH = Register(EpochHash(b"h" * 32))
PROMISED = Register(EpochHash(b"h" * 32), promised=b"p" * 10)


@pytest.fixture
def no_data_objects(token: Token, answer: Answer) -> None:
    """The token answers as NSS does."""
    honest = token.calls.C_CreateObject

    def picky(session: int, template: Any, count: int, handle: Any) -> int:
        kind = ffi.cast("CK_ULONG *", template[0].pValue)[0]
        code: int = 0x13 if kind == DATA_OBJECT else honest(session, template, count, handle)
        return code

    answer("C_CreateObject", picky)


def stored(token: Token, label: bytes) -> None:
    objects.create(token, {**LABEL.template(NAME, b""), Attribute.LABEL: label}, "register")


def test_the_form_is_that_of_what_was_made(token: Token) -> None:
    registers = Registers(token)
    registers.write(WALLET, FRESH)
    assert registers.form_of(WALLET) is DATA
    registers.destroy(WALLET)
    assert register_objects.named(token, NAME) == ()


@pytest.mark.usefixtures("no_data_objects")
def test_without_data_objects_registers_are_labels(token: Token) -> None:
    for wanted in (FRESH, PROMISED):
        Registers(token).write(WALLET, wanted)
        assert Registers(token).form_of(WALLET) is LABEL
        assert Registers(token).read(WALLET) == wanted
    assert Registers(token).wallet_ids() == (WALLET,)
    (only,) = register_objects.named(token, NAME)
    with token.session() as session:
        label = objects.read_attribute(token, session, only.handle, Attribute.LABEL)
    assert label == PROMISED.to_bytes(2).hex().encode()
    Registers(token).destroy(WALLET)
    assert not Registers(token).exists(WALLET)


@pytest.mark.usefixtures("no_data_objects")
def test_a_register_of_this_form_is_no_key_to_list(token: Token) -> None:
    Registers(token).write(WALLET, FRESH)
    assert [key.label for key in listing(token)] == ["hsm-mpc/canary"]


def test_the_highest_seq_counts_across_the_forms(token: Token) -> None:
    """A module that learnt to keep data objects, or forgot it."""
    Registers(token).write(WALLET, FRESH)
    stored(token, PROMISED.to_bytes(7).hex().encode())
    assert Registers(token).read(WALLET) == PROMISED
    assert [found.form for found in register_objects.named(token, NAME)] == [LABEL]
    Registers(token).write(WALLET, FRESH)
    assert [found.form for found in register_objects.named(token, NAME)] == [DATA]


@pytest.mark.parametrize("label", [b"", b"not hex", "ünïcode".encode(), b"00"])
def test_a_label_that_is_no_register_is_damage(token: Token, label: bytes) -> None:
    stored(token, label)
    with pytest.raises(Tampered, match="damaged"):
        Registers(token).read(WALLET)


def test_a_failure_that_may_pass_does_not_change_the_form(token: Token, answer: Answer) -> None:
    calls = []

    def away(*_: Any) -> int:
        calls.append(1)
        return 0x30

    answer("C_CreateObject", away)
    with pytest.raises(BackendError, match="CKR_DEVICE_ERROR"):
        register_objects.create(token, NAME, b"value")
    assert len(calls) == 1


def test_keys_of_others_are_no_registers(token: Token) -> None:
    """The canary is a private secret key, too."""
    assert objects.matching(token, {Attribute.CLASS: objects.number(ObjectClass.SECRET_KEY)})
    assert Registers(token).wallet_ids() == ()
