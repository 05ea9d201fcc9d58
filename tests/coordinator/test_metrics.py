"""What a monitoring system reads: numbers of epochs, their ages, and who is waited for."""

from __future__ import annotations

import socket
import urllib.request

import pytest

from hsm_mpc.coordinator.metrics import WalletMetrics, told_at
from hsm_mpc.errors import BackendError
from tests.app.test_coordinator import free_port
from tests.coordinator.office import Office, soon


def metrics_of(office: Office) -> WalletMetrics:
    return WalletMetrics(office.registry, office.refresher, office.world.clock)


def told(office: Office) -> dict[str, dict[tuple[str, ...], float]]:
    """By metric and labels."""
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in metrics_of(office).collect()
    }


def test_each_wallet_has_an_epoch_an_age_and_those_it_waits_for(office: Office) -> None:
    office.made("first")
    office.made("second")
    began = office.world.clock()
    assert told(office) == {
        "hsm_mpc_wallet_epoch": {("first",): 0, ("second",): 0},
        "hsm_mpc_wallet_epoch_first_seen_seconds": {("first",): began, ("second",): began},
        "hsm_mpc_wallet_retirement_waits": {},
    }
    office.world.now[0] += 1000
    office.links[3].down = True
    office.client.refresh("first", (3,))
    found = told(office)
    assert found["hsm_mpc_wallet_epoch"] == {("first",): 1, ("second",): 0}
    assert found["hsm_mpc_wallet_epoch_first_seen_seconds"] == {
        ("first",): began + 1000,
        ("second",): began,
    }
    assert found["hsm_mpc_wallet_retirement_waits"] == {("first", "h3"): 1}
    office.links[3].down = False
    wallet = office.registry.named("first")
    assert wallet is not None
    office.refresher.advance(wallet)
    assert told(office)["hsm_mpc_wallet_retirement_waits"] == {}


def test_a_wallet_that_is_not_confirmed_is_not_told_of(office: Office) -> None:
    office.made("first")
    wallet = office.registry.named("first")
    assert wallet is not None
    office.registry.confirm(wallet.wallet_id, ())
    assert all(not samples for samples in told(office).values())


def test_they_are_read_over_http_on_loopback_as_long_as_the_coordinator_runs(
    office: Office,
) -> None:
    port = free_port()
    office.made("first")
    address = f"http://127.0.0.1:{port}/metrics"
    with told_at(port, metrics_of(office)):
        with urllib.request.urlopen(address) as answer:
            lines = answer.read().decode().splitlines()
        assert 'hsm_mpc_wallet_epoch{wallet="first"} 0.0' in lines
        with (
            pytest.raises(BackendError, match=f"metrics: 127.0.0.1:{port}"),
            told_at(port, metrics_of(office)),
        ):
            pass
    assert soon(lambda: not listens(port))


def listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
