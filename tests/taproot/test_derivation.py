from __future__ import annotations

import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path as File

import pytest

from hsm_mpc.errors import BadInput
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.ids import EpochHash
from hsm_mpc.taproot import derivation
from hsm_mpc.taproot.derivation import ExtendedKey, Path, chain_code_of, derived
from hsm_mpc.taproot.encodings import Network
from tests.taproot.base58 import decoded, extended_key

GENERATOR = SECP256K1.base_multiple(1)
BIP_328_CHAIN_CODE = bytes.fromhex(
    "868087ca02a6f974c4598924c36b57762d32cb45717167e300622c7167e38965"
)


def root_of(secret: int) -> ExtendedKey:
    key = SECP256K1.base_multiple(secret)
    assert key is not None
    return ExtendedKey(key, chain_code_of(EpochHash(b"\x07" * 32)))


def test_the_six_public_steps_of_bip_32_are_reproduced(vectors: File) -> None:
    """Step 5.1.4: parent and child stand in the file as text."""
    text = (vectors / "bips" / "bip-0032-test-vectors.txt").read_text(encoding="utf-8")
    text = text.replace("<sub>H</sub>", "h")
    chain = re.compile(r"\* Chain (m[^\n]*)\n\*\* ext pub: (xpub\w+)")
    steps = 0
    for section in text.split("===Test vector"):
        for (_, parent), (path, child) in pairwise(chain.findall(section)):
            last = path.rsplit("/", 1)[1]
            if last.endswith("h"):
                continue
            child_key = extended_key(parent).child(int(last))
            assert child_key == extended_key(child)
            assert child_key.xpub(Network.MAIN) == child
            steps += 1
    assert steps == 6


def test_the_three_extended_keys_of_bip_328_are_reproduced(vectors: File) -> None:
    """Step 5.1.5: a root key has depth 0, no parent and number 0."""
    cases = json.loads((vectors / "bips" / "bip-0328-vectors.json").read_bytes())
    assert len(cases) == 3
    for case in cases:
        root = ExtendedKey(bytes.fromhex(case["aggregate_pubkey"]), BIP_328_CHAIN_CODE)
        assert root.xpub(Network.MAIN) == case["xpub"]


def test_the_chain_code_is_fixed_by_the_first_epoch() -> None:
    """Step 5.1.2."""
    tag = hashlib.sha256(b"hsm-mpc/v1/chaincode").digest()
    h_0 = EpochHash(b"\x22" * 32)
    assert chain_code_of(h_0) == hashlib.sha256(tag + tag + h_0).digest()


def test_the_tweak_leads_from_the_parent_to_the_child() -> None:
    """Also where the parent has odd y: BIP 32 takes the key with its true parity (5.3)."""
    for secret in range(1, 9):
        root = root_of(secret)
        child, _, tweak = derived(root.key, root.chain_code, 5)
        assert not tweak.x_only
        assert root.child(5).key == child
        assert child == SECP256K1.base_multiple(secret + int.from_bytes(tweak.value, "big"))


def test_a_test_network_has_a_prefix_of_its_own() -> None:
    """Step 5.1.5."""
    root = root_of(1)
    for network, prefix, text in [
        (Network.MAIN, "0488b21e", "xpub"),
        (Network.TEST, "043587cf", "tpub"),
        (Network.REGTEST, "043587cf", "tpub"),
    ]:
        xpub = root.xpub(network)
        assert xpub.startswith(text)
        assert decoded(xpub)[:4].hex() == prefix


def test_the_descriptor_names_both_branches_and_has_a_checksum() -> None:
    root = root_of(1)
    body, checksum = root.descriptor(Network.MAIN).split("#")
    assert body == f"tr({root.xpub(Network.MAIN)}/<0;1>/*)"
    assert re.fullmatch("[qpzry9x8gf2tvdw0s3jn54khce6mua7l]{8}", checksum)


@pytest.mark.parametrize("index", [2**31, 2**31 + 1, 2**32 - 1, 2**40, -1])
def test_a_hardened_index_is_refused(index: int) -> None:
    """Steps 5.1.3 and 5.1.4."""
    with pytest.raises(BadInput, match="not hardened"):
        Path(0, index)
    with pytest.raises(BadInput, match="not hardened"):
        root_of(1).child(index)


@pytest.mark.parametrize("change", [-1, 2, 2**31])
def test_a_change_other_than_0_or_1_is_refused(change: int) -> None:
    """Step 5.1.3."""
    with pytest.raises(BadInput, match="change is 0 or 1"):
        Path(change, 0)


@pytest.mark.parametrize(
    "text, path", [("m/0/0", Path()), ("m/1/5", Path(1, 5)), ("m/0/2147483647", Path(0, 2**31 - 1))]
)
def test_a_path_is_written_as_it_is_read(text: str, path: Path) -> None:
    assert Path.parse(text) == path
    assert str(path) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "m", "m/0", "0/0", "m/0/0/0", "m/2/0", "m/0/01", "m/0/0h", "m/0/0'", "m/0/-1"),
        *("m/0/٣", "m/0/2147483648", "m/0/99999999999", "M/0/0", " m/0/0", "m/0/0\n"),
    ],
)
def test_any_other_text_is_no_path(text: str) -> None:
    with pytest.raises(BadInput, match="path"):
        Path.parse(text)


@pytest.mark.parametrize("tau", [SECP256K1.order, SECP256K1.order + 1, 2**256 - 1])
def test_a_tweak_above_the_order_is_refused(tau: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 5.1.4, with an injected HMAC: no key is known for which it happens."""
    injected = tau.to_bytes(32, "big") + bytes(32)
    monkeypatch.setattr(derivation, "_hmac_sha512", lambda key, message: injected)
    with pytest.raises(BadInput, match="does not exist"):
        root_of(1).child(0)


def test_a_child_that_would_be_the_identity_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 5.1.4: K = 5·G and τ = −5."""
    injected = (SECP256K1.order - 5).to_bytes(32, "big") + bytes(32)
    monkeypatch.setattr(derivation, "_hmac_sha512", lambda key, message: injected)
    with pytest.raises(BadInput, match="does not exist"):
        root_of(5).child(0)
