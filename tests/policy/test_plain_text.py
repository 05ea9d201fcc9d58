"""What an Ed25519 key must not sign as a message: Solana's and SSH's own bytes."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from hsm_mpc.policy.plain_text import is_plain_text
from tests.programs import program

PAYER, TARGET = Pubkey(hashlib.sha256(b"payer").digest()), Pubkey(bytes([2] * 32))
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
def test_a_solana_message_is_raw(count: int) -> None:
    """Also of a version to come: its first byte is 0x80 and the version."""
    for message in solana_messages([pay] * count):
        assert not is_plain_text(message)
        for version in range(128):
            assert not is_plain_text(bytes([0x80 | version]) + message[1:])


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(st.binary(min_size=32, max_size=32), st.booleans())),
            st.binary(max_size=300),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_solana_messages_of_any_shape_are_raw(
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
    assert not any(is_plain_text(message) for message in messages)


def test_a_message_with_tables_of_addresses_is_raw() -> None:
    table = AddressLookupTableAccount(Pubkey(bytes([4] * 32)), [TARGET])
    versioned = MessageV0.try_compile(PAYER, [pay], [table], BLOCKHASH)
    assert versioned.address_table_lookups
    assert not is_plain_text(to_bytes_versioned(versioned))


LOGIN = bytes([50]) + string(b"root") + string(b"ssh-connection") + string(b"publickey")


@pytest.mark.parametrize(
    "content",
    [
        b"SSHSIG" + string(b"git"),
        string(b"h" * 32) + LOGIN,
        b"h" * 32 + LOGIN,  # as old clients sign it: no length before the session
        string(b"ssh-ed25519-cert-v01@openssh.com") + string(b"nonce"),
        hashlib.sha256(b"ssh:").digest() + b"\1" + bytes(4) + hashlib.sha256(b"data").digest(),
        string(b"hostkeys-prove-00@openssh.com") + string(b"session"),
        b"SSHKRL\n\0" + bytes(20),
        *(b"a" * length for length in (20, 32, 48, 64)),  # an exchange hash is signed as it is
    ],
)
def test_what_ssh_signs_is_raw(content: bytes) -> None:
    assert not is_plain_text(content)


def test_a_certificate_of_ssh_keygen_is_raw(tmp_path: Path) -> None:
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
    assert not is_plain_text(blob[:-signature])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"pay 5 to somebody",
        "zahle 5 € an jemanden\r\n\tsofort\n".encode(),
        b"eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJtZSJ9",
        b"{}" * 500,
    ],
)
def test_text_is_a_message(content: bytes) -> None:
    assert is_plain_text(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\0",
        b"text\x1b[2J",
        b"text\x7f",
        "text\x85".encode(),
        b"\xff" + b"solana offchain",
        b"\xc3(",
        bytes(97),
        os.urandom(1000),
    ],
)
def test_what_nobody_reads_is_raw(content: bytes) -> None:
    assert not is_plain_text(content)


@given(st.text())
def test_text_is_a_message_unless_it_controls_something(text: str) -> None:
    content = text.encode("utf-8", "ignore")
    controls = any((ord(c) < 32 and c not in "\t\n\r") or 127 <= ord(c) < 160 for c in text)
    by_length = len(content) in (20, 32, 48, 64)
    assert is_plain_text(content) == (not controls and not by_length)
