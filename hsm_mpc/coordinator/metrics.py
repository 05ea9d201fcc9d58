"""What a monitoring system reads of a coordinator: how old epochs are, and who is waited for.

Nobody proves it: whoever must be sure asks `wallet show` or `wallet history`, which verify.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.errors import BackendError

_ADDRESS: Final = "127.0.0.1"


class WalletMetrics(Collector):
    """Looked up anew whenever somebody reads."""

    def __init__(self, registry: Registry, refresher: Refresher, clock: Callable[[], int]) -> None:
        """`clock` is seconds since 1970 UTC."""
        self._registry = registry
        self._refresher = refresher
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Of every wallet that all holders have confirmed, and none has destroyed."""
        epoch = GaugeMetricFamily(
            "hsm_mpc_wallet_epoch", "Number of the newest epoch of a wallet.", labels=["wallet"]
        )
        since = GaugeMetricFamily(
            "hsm_mpc_wallet_epoch_first_seen_seconds",
            "When this coordinator first saw that epoch, in seconds since 1970 UTC.",
            labels=["wallet"],
        )
        waited_for = GaugeMetricFamily(
            "hsm_mpc_wallet_retirement_waits",
            "1 for each holder for which the end of the epoch before that one waits.",
            labels=["wallet", "holder"],
        )
        for wallet in self._registry.living():
            if not wallet.dones:
                continue
            body, newest = self._refresher.newest(wallet)
            seen = self._registry.since(wallet.wallet_id, body.hash, self._clock())
            epoch.add_metric([wallet.name], body.epoch)
            since.add_metric([wallet.name], seen)
            for name in self._refresher.waited_for(newest):
                waited_for.add_metric([wallet.name, name], 1)
        yield from (epoch, since, waited_for)


@contextmanager
def told_at(port: int, metrics: WalletMetrics) -> Iterator[None]:
    """`http://127.0.0.1:PORT/metrics`, for this block.

    Raises:
        BackendError: another process listens there, or this one may not.
    """
    told = CollectorRegistry(auto_describe=False)
    told.register(metrics)
    try:
        server, thread = start_http_server(port, _ADDRESS, told)
    except OSError as failure:
        raise BackendError(
            f"metrics: {_ADDRESS}:{port}: {failure.strerror}", retryable=False
        ) from failure
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
