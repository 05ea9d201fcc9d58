from __future__ import annotations

import pytest

from hsm_mpc.bench import peers, sign
from hsm_mpc.bench.dkg import Holders
from hsm_mpc.bench.measure import side_by_side
from hsm_mpc.bench.sign import Signers
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.groups.secp256k1 import verify_bip340
from hsm_mpc.secure.arena import Arena


def test_the_measured_signature_is_one(arena: Arena) -> None:
    signers = Signers(2, 3, arena)
    signers.open_shares(1)
    verify_bip340(signers.public_key, b"message", signers.sign(b"message"))
    signers.close()


def test_nothing_secret_is_left_behind(arena: Arena) -> None:
    free = arena.free_bytes
    signers = Signers(2, 3, arena)
    signers.open_shares(2)
    signers.sign_anew()
    signers.close()
    holders = Holders(2, 3, arena)
    keeps = holders.generate()
    holders.close()
    del keeps
    assert arena.free_bytes == free


def test_a_coordinator_that_does_nothing_is_an_error() -> None:
    with pytest.raises(HsmMpcError, match="opens no list"):
        sign._sign_list([])
    with pytest.raises(HsmMpcError, match="publishes no signature"):
        sign._published([])


@pytest.mark.skipif(peers._FROST is None, reason="frost_rs is not installed")
def test_the_peer_signs() -> None:
    measured = peers.signature(2, 3, b"message", repeats=1)
    assert list(measured) == ["frost_rs", "frost_rs_without_verify"]
    for cost in side_by_side(list(measured.values()), rounds=1):
        assert cost.cpu_us > 0
    assert list(peers.key_generation(2, 3)) == ["frost_rs"]


def test_without_the_peer_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_FROST", None)
    assert peers.signature(2, 3, b"message", repeats=1) == {}
    assert peers.key_generation(2, 3) == {}
