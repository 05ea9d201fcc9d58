from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hsm_mpc
from hsm_mpc.errors import BadInput
from hsm_mpc.taproot.encodings import Network, base58check, taproot_address, with_checksum
from tests.taproot.base58 import decoded

BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


@given(st.binary(max_size=90), st.integers(0, 4))
def test_base58check_keeps_every_byte_and_leading_zero(payload: bytes, zeros: int) -> None:
    payload = bytes(zeros) + payload
    assert decoded(base58check(payload)) == payload


def test_base58check_is_the_one_that_addresses_use() -> None:
    """The address of the first block's coinbase: version 0 and a hash of 20 bytes."""
    payload = bytes.fromhex("0062e907b15cbf27d5425399ebf6f0fb50ebb88f18")
    assert base58check(payload) == "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"


def test_the_example_of_bip_350_is_reproduced() -> None:
    """The x coordinate of the generator, on two networks."""
    key = bytes.fromhex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    assert taproot_address(key, Network.MAIN) == (
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
    )


@given(st.binary(min_size=32, max_size=32), st.sampled_from(Network))
def test_an_address_gives_its_key_back_and_its_checksum_holds(key: bytes, network: Network) -> None:
    """An independent reading of BIP 350."""
    prefix, data = taproot_address(key, network).rsplit("1", 1)
    assert prefix == network.value
    symbols = [BECH32.index(character) for character in data]
    number = 0
    for symbol in symbols[1:-6]:
        number = number << 5 | symbol
    assert symbols[0] == 1
    assert (number >> 4).to_bytes(32, "big") == key
    assert number & 15 == 0
    check = 1
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    generators = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    for symbol in expanded + symbols:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ symbol
        for bit in range(5):
            check ^= generators[bit] if top >> bit & 1 else 0
    assert check == 0x2BC830A3


@pytest.mark.parametrize("length", [0, 20, 31, 33])
def test_a_key_of_another_length_has_no_address(length: int) -> None:
    with pytest.raises(BadInput, match="32 bytes"):
        taproot_address(bytes(length), Network.MAIN)


@pytest.mark.parametrize(
    "descriptor, checksum",
    [
        ("raw(deadbeef)", "89f8spxm"),
        ("pk(0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798)", "gn28ywm7"),
        ("pkh(02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5)", "8fhd9pwu"),
        ("wpkh(02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9)", "8zl0zxma"),
    ],
)
def test_the_checksum_of_a_descriptor_is_the_published_one(descriptor: str, checksum: str) -> None:
    """The example of BIP 380 and three of Bitcoin Core's documentation."""
    assert with_checksum(descriptor) == f"{descriptor}#{checksum}"


def test_only_the_taproot_package_turns_a_key_into_an_address() -> None:
    """Step 5.1.1: everyone else has to come through a path."""
    package = Path(hsm_mpc.__file__).parent
    users = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id == "taproot_address")
        or (isinstance(node, ast.Attribute) and node.attr == "taproot_address")
        or (isinstance(node, ast.alias) and node.name == "taproot_address")
    }
    assert users == {"taproot"}
