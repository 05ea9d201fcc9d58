"""What an Ed25519 key must not sign as a message: Solana's and SSH's own bytes are recognised."""

from __future__ import annotations

import base64
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from hsm_mpc.policy.lookalikes import is_more_than_a_message
from tests.programs import program

PAYER, TARGET = Pubkey(bytes([1] * 32)), Pubkey(bytes([2] * 32))
BLOCKHASH = Hash(bytes([3] * 32))


def string(content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + content


def solana_messages(instructions: list[Instruction]) -> list[bytes]:
    """The same as a legacy message and as one of version 0."""
    legacy = Message.new_with_blockhash(instructions, PAYER, BLOCKHASH)
    versioned = MessageV0.try_compile(PAYER, instructions, [], BLOCKHASH)
    return [bytes(legacy), to_bytes_versioned(versioned)]


pay = transfer(TransferParams(from_pubkey=PAYER, to_pubkey=TARGET, lamports=5))


@pytest.mark.parametrize("count", [0, 1, 2, 130])
def test_a_solana_message_is_recognised_and_nothing_less_than_all_of_it(count: int) -> None:
    for message in solana_messages([pay] * count):
        assert is_more_than_a_message(message)
        assert not is_more_than_a_message(message[:-1])
        assert not is_more_than_a_message(message + b"\0")


@given(
    st.lists(
        st.tuples(st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.booleans())),
                  st.binary(max_size=300)),
        min_size=1,
        max_size=5,
    )
)  # fmt: skip
def test_solana_messages_of_any_shape_are_recognised(
    shapes: list[tuple[list[tuple[bytes, bool]], bytes]],
) -> None:
    instructions = [
        Instruction(
            TARGET, content, [AccountMeta(Pubkey(key), signs, True) for key, signs in accounts]
        )
        for accounts, content in shapes
    ]
    try:
        messages = solana_messages(instructions)
    except Exception:  # too many keys for a message
        return
    assert all(is_more_than_a_message(message) for message in messages)


def test_a_message_with_tables_of_addresses_is_recognised() -> None:
    table = AddressLookupTableAccount(Pubkey(bytes([4] * 32)), [TARGET])
    versioned = MessageV0.try_compile(PAYER, [pay], [table], BLOCKHASH)
    assert versioned.address_table_lookups
    assert is_more_than_a_message(to_bytes_versioned(versioned))


def test_what_ssh_signs_is_recognised() -> None:
    login = string(b"h" * 32) + bytes([50]) + string(b"root") + string(b"ssh-connection")
    certificate = string(b"ssh-ed25519-cert-v01@openssh.com") + string(b"nonce")
    for content in (b"SSHSIG" + string(b"git"), login, certificate):
        assert is_more_than_a_message(content)
    for length in (20, 32, 48, 64):  # an exchange hash is signed as it is
        assert is_more_than_a_message(bytes(length))


def test_a_certificate_of_ssh_keygen_is_recognised(tmp_path: Path) -> None:
    """What its authority signed: the certificate's blob without the signature at its end."""
    keygen = program("ssh-keygen")
    for name in ("authority", "user"):
        make = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(make, check=True)
    sign = [keygen, "-q", "-s", "authority", "-I", "id", "-n", "root", "user.pub"]
    subprocess.run(sign, check=True, cwd=tmp_path)
    blob = base64.b64decode((tmp_path / "user-cert.pub").read_text().split()[1])
    signature = 4 + struct.unpack(">I", blob[-87:-83])[0]
    assert signature == 87
    assert is_more_than_a_message(blob[:-signature])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        b"pay 5 to somebody",
        b"{}" * 500,
        b"\xffsolana offchain" + bytes(50),
        string(b"ssh-ed25519") + string(b"k" * 32),
        bytes(97),
        bytes(Keypair.from_seed(bytes(32)).pubkey()) * 3,
    ],
)
def test_other_bytes_are_a_message(content: bytes) -> None:
    assert not is_more_than_a_message(content)


@given(st.binary(max_size=400))
def test_any_bytes_are_judged(content: bytes) -> None:
    assert isinstance(is_more_than_a_message(content), bool)
