from __future__ import annotations

from collections.abc import Callable

import pytest

from hsm_mpc.bench import peers, refresh, repair, schemes, sign
from hsm_mpc.bench.dkg import Holders
from hsm_mpc.bench.measure import side_by_side
from hsm_mpc.bench.refresh import Epoch
from hsm_mpc.bench.repair import Loss
from hsm_mpc.bench.schemes import ED25519, TAPROOT, MeasuredScheme
from hsm_mpc.bench.sign import Signers
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.groups.ed25519 import verify_ed25519
from hsm_mpc.groups.secp256k1 import verify_bip340
from hsm_mpc.secure.arena import Arena

each_scheme = pytest.mark.parametrize("scheme", schemes.ALL, ids=lambda scheme: scheme.name)


@pytest.mark.parametrize(
    ("scheme", "verify"), [(TAPROOT, verify_bip340), (ED25519, verify_ed25519)]
)
def test_the_measured_signature_is_one(
    scheme: MeasuredScheme, verify: Callable[[bytes, bytes, bytes], None], arena: Arena
) -> None:
    signers = Signers(scheme, 2, 3, arena)
    signers.open_shares(1)
    verify(signers.public_key, b"message", signers.sign(b"message"))
    signers.close()


@each_scheme
def test_nothing_secret_is_left_behind(scheme: MeasuredScheme, arena: Arena) -> None:
    free = arena.free_bytes
    signers = Signers(scheme, 2, 3, arena)
    signers.open_shares(2)
    signers.sign_anew()
    signers.close()
    holders = Holders(scheme.suite, 2, 3, arena)
    keeps = holders.generate()
    holders.close()
    del keeps
    epoch = Epoch(scheme.suite, 2, 3, arena)
    epoch.renew()
    epoch.close()
    loss = Loss(scheme.suite, 2, 3, arena)
    loss.repair()
    loss.close()
    assert arena.free_bytes == free


@each_scheme
def test_the_measured_refresh_renews_every_share_and_keeps_the_key(
    scheme: MeasuredScheme, arena: Arena
) -> None:
    epoch = Epoch(scheme.suite, 2, 3, arena)
    renewed = epoch.renew()
    epoch.close()
    assert list(renewed) == [1, 2, 3]
    for each in renewed.values():
        assert each.commitments == renewed[1].commitments
        assert each.commitments[0] == epoch.commitments[0]
        assert each.commitments[1] != epoch.commitments[1]


@pytest.mark.long
@each_scheme
def test_a_refresh_has_a_row_with_its_floor(scheme: MeasuredScheme, arena: Arena) -> None:
    row = refresh.row(scheme, 2, 3, arena, rounds=1)
    assert (row.name, row.t, row.n) == (f"{scheme.name}.refresh", 2, 3)
    assert row.floor_us == pytest.approx(sum(line.us for line in row.floor), abs=0.1)
    assert row.cpu_us and row.floor_us and row.cpu_us > row.floor_us
    assert "target 1.3" in row.note


@pytest.mark.long
@each_scheme
def test_a_repair_has_a_row_with_its_floor(scheme: MeasuredScheme, arena: Arena) -> None:
    row = repair.row(scheme, 2, 3, arena, rounds=1)
    assert (row.name, row.t, row.n) == (f"{scheme.name}.repair", 2, 3)
    assert row.floor_us == pytest.approx(sum(line.us for line in row.floor), abs=0.1)
    assert row.cpu_us and row.floor_us and row.cpu_us > row.floor_us
    assert "target 1.3" in row.note


def test_a_coordinator_that_does_nothing_is_an_error() -> None:
    with pytest.raises(HsmMpcError, match="opens no list"):
        sign._sign_list([])
    with pytest.raises(HsmMpcError, match="publishes no signature"):
        sign._published([])


@each_scheme
@pytest.mark.skipif(peers._FROST is None, reason="frost_rs is not installed")
def test_the_peer_signs(scheme: MeasuredScheme) -> None:
    measured = peers.signature(scheme.peer, 2, 3, b"message", repeats=1)
    assert list(measured) == ["frost_rs", "frost_rs_without_verify"]
    for cost in side_by_side(list(measured.values()), rounds=1):
        assert cost.cpu_us > 0
    assert list(peers.key_generation(scheme.peer, 2, 3)) == ["frost_rs"]


@each_scheme
def test_without_the_peer_there_is_none(
    scheme: MeasuredScheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "_FROST", None)
    assert peers.signature(scheme.peer, 2, 3, b"message", repeats=1) == {}
    assert peers.key_generation(scheme.peer, 2, 3) == {}
