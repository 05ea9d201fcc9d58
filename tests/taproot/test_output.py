from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path as File
from typing import Any

import pytest

from hsm_mpc.encoding import u8
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.ids import EpochHash
from hsm_mpc.tags import Tag
from hsm_mpc.taproot import output
from hsm_mpc.taproot.derivation import ExtendedKey, Path, chain_code_of, derived
from hsm_mpc.taproot.encodings import Network
from hsm_mpc.taproot.output import SpendingKey, tap_tweaked
from hsm_mpc.taproot.sighash import with_compact_size
from tests.taproot.base58 import extended_key


def root_of(secret: int) -> ExtendedKey:
    key = SECP256K1.base_multiple(secret)
    assert key is not None
    return ExtendedKey(key, chain_code_of(EpochHash(b"\x07" * 32)))


def tree_hash(tree: Any) -> bytes:
    """Step 5.1.6. The product has no scripts."""
    if tree is None:
        return b""
    if isinstance(tree, dict):
        script = with_compact_size(bytes.fromhex(tree["script"]))
        return tagged("TapLeaf", u8(tree["leafVersion"]) + script)
    return tagged("TapBranch", b"".join(sorted(tree_hash(node) for node in tree)))


def tagged(tag: str, message: bytes) -> bytes:
    prefix = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(prefix + prefix + message).digest()


def test_the_seven_outputs_of_bip_341_are_reproduced_with_their_trees(vectors: File) -> None:
    """Steps 5.1.6 and 5.1.7."""
    document = json.loads((vectors / "bips" / "bip-0341-wallet-test-vectors.json").read_bytes())
    cases = document["scriptPubKey"]
    assert len(cases) == 7
    for case in cases:
        root = tree_hash(case["given"]["scriptTree"])
        assert root.hex() == (case["intermediary"]["merkleRoot"] or "")
        key, tweak = tap_tweaked(bytes.fromhex(case["given"]["internalPubkey"]), root)
        assert tweak.x_only
        assert tweak.value.hex() == case["intermediary"]["tweak"]
        assert key[1:].hex() == case["intermediary"]["tweakedPubkey"]
        spending = SpendingKey(Path(), b"", key[1:], (tweak, tweak, tweak))
        assert spending.script_pubkey.hex() == case["expected"]["scriptPubKey"]
        assert spending.address(Network.MAIN) == case["expected"]["bip350Address"]


def test_the_three_addresses_of_bip_86_are_reproduced(vectors: File) -> None:
    """From the account's xpub: children, internal key, output key, address."""
    text = (vectors / "bips" / "bip-0086-test-vectors.txt").read_text(encoding="utf-8")
    (account,) = re.findall(r"root = m/86'/0'/0'\nxprv = \w+\nxpub = (\w+)", text)
    case = re.compile(
        r"= m/86'/0'/0'/(\d)/(\d)\n.*\nxpub\s+= (\w+)\ninternal_key = (\w+)\n"
        r"output_key   = (\w+)\nscriptPubKey = (\w+)\naddress      = (\w+)"
    )
    cases = case.findall(text)
    assert len(cases) == 3
    for change, index, xpub, internal, output_key, script, address in cases:
        root = extended_key(account)
        spending = SpendingKey.derive(root, Path(int(change), int(index)))
        leaf = root.child(int(change)).child(int(index))
        assert leaf.xpub(Network.MAIN) == xpub
        assert spending.internal_key.hex() == internal
        assert spending.output_key.hex() == output_key
        assert spending.script_pubkey.hex() == script
        assert spending.address(Network.MAIN) == address


@pytest.mark.parametrize("script_root", [b"", b"\x2a" * 32])
def test_the_tweaks_of_a_session_are_change_then_index_then_output(script_root: bytes) -> None:
    """Section 5.2."""
    root, path = root_of(11), Path(1, 7)
    spending = SpendingKey.derive(root, path, script_root)
    branch, branch_chain_code, change = derived(root.key, root.chain_code, 1)
    leaf, _, index = derived(branch, branch_chain_code, 7)
    key, last = tap_tweaked(leaf[1:], script_root)
    assert spending.tweaks == (change, index, last)
    assert [tweak.x_only for tweak in spending.tweaks] == [False, False, True]
    assert (spending.internal_key, spending.output_key) == (leaf[1:], key[1:])


def test_a_script_root_leads_to_another_address() -> None:
    with_scripts = SpendingKey.derive(root_of(1), Path(), b"\x01" * 32)
    assert with_scripts.output_key != SpendingKey.derive(root_of(1), Path()).output_key


@pytest.mark.parametrize("length", [1, 31, 33, 64])
def test_a_script_root_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(BadInput, match="empty or 32 bytes"):
        SpendingKey.derive(root_of(1), Path(), bytes(length))


@pytest.mark.parametrize("internal_key", [b"", bytes(31), bytes(33), b"\xff" * 32])
def test_an_internal_key_that_is_no_abscissa_is_refused(internal_key: bytes) -> None:
    with pytest.raises(BadEncoding):
        tap_tweaked(internal_key)


def test_raw_threshold_key_is_never_an_address() -> None:
    """Step 5.1.1: neither P nor P with a tweak of its own is an output key, at any path."""
    for secret in range(1, 9):
        root = root_of(secret)
        raw = root.key[1:]
        bare = {raw, tap_tweaked(raw)[0][1:]}
        for path in (Path(0, 0), Path(0, 1), Path(1, 0)):
            spending = SpendingKey.derive(root, path)
            assert not bare & {spending.output_key, spending.internal_key}


def inject_tweak(monkeypatch: pytest.MonkeyPatch, tau: int) -> None:
    def injected(tag: Tag, message: bytes) -> bytes:
        assert tag is Tag.TAP_TWEAK
        return tau.to_bytes(32, "big")

    monkeypatch.setattr(output, "tagged_hash", injected)


@pytest.mark.parametrize("tau", [SECP256K1.order, 2**256 - 1])
def test_an_output_tweak_above_the_order_is_refused(
    tau: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 5.1.6, with an injected hash."""
    internal_key = root_of(1).key[1:]
    inject_tweak(monkeypatch, tau)
    with pytest.raises(BadInput, match="no output key"):
        tap_tweaked(internal_key)


def test_an_output_key_that_would_be_the_identity_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """even(K) = G and τ = −1."""
    inject_tweak(monkeypatch, SECP256K1.order - 1)
    with pytest.raises(BadInput, match="no output key"):
        tap_tweaked(root_of(1).key[1:])
