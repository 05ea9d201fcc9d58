"""`coordinator init` and `coordinator run`: one coordinator, from its key to its server."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc import seed_file
from hsm_mpc.agent.sockets import clear_stale
from hsm_mpc.app.peers import pinned_roster
from hsm_mpc.config import CoordinatorConfig, RefreshConfig, load_coordinator
from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.destruction import Destroyer
from hsm_mpc.coordinator.evidence import EvidenceFolder
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.metrics import WalletMetrics, told_at
from hsm_mpc.coordinator.ordering import Orderer
from hsm_mpc.coordinator.recovery import Recovery
from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.refresh_keeper import RefreshKeeper
from hsm_mpc.coordinator.refresh_scheduler import RefreshScheduler
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.coordinator.repair import Repairer
from hsm_mpc.coordinator.reshare import Resharer
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.schedule import QuietHours, Schedule
from hsm_mpc.coordinator.service import CoordinatorService
from hsm_mpc.errors import BadConfig
from hsm_mpc.roster import Roster
from hsm_mpc.secure.arena import Arena
from hsm_mpc.wire.grpc_transport import (
    COORDINATOR,
    HOLDER,
    GrpcServer,
    GrpcTransport,
    socket_address,
)

_ARENA_BYTES: Final = 16 * 1024
_CALLS_AT_ONCE: Final = 64
_ENDING: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


@dataclass(frozen=True, slots=True)
class CoordinatorKey:
    """What a holder's configuration needs to know of a coordinator."""

    number: int
    key: str
    """Ed25519 public key in hex."""


@dataclass(frozen=True, slots=True)
class Running:
    """A coordinator that listens."""

    number: int
    pid: int
    socket: Path


def init(config_path: Path) -> CoordinatorKey:
    """Draw the key that coordinator.yaml names.

    Raises:
        NameTaken: there is one.
    """
    config = load_coordinator(config_path)
    arena = Arena(_ARENA_BYTES)
    made = seed_file.create(config.key, arena)
    arena.close()
    return CoordinatorKey(config.number, made.key.encoded.hex())


def run(config_path: Path, ready: Callable[[Running], None]) -> None:
    """Serve clients until SIGTERM, SIGINT or SIGHUP. Main thread, before any other is started.

    Raises:
        BadConfig: key, roster or addresses cannot be used.
        BackendError: another process listens there, or the registry cannot be opened.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    config = load_coordinator(config_path)
    with _serving(config):
        ready(Running(config.number, os.getpid(), config.listen))
        signal.sigwait(_ENDING)


@contextmanager
def _serving(config: CoordinatorConfig) -> Iterator[None]:
    roster = pinned_roster(config.roster)
    with ExitStack() as ending:
        arena = Arena(_ARENA_BYTES)
        ending.callback(arena.close)
        key = seed_file.load(config.key, arena)
        registry = Registry(config.registry)
        ending.callback(registry.close)
        links = HolderLinks(roster, _transports(config, roster))
        ending.callback(links.close)
        recovery = Recovery(links, registry, _seconds)
        ending.callback(recovery.end)
        channels = AnnouncedChannels(links, _seconds)
        evidence = EvidenceFolder(config.registry.parent / "evidence", roster)
        refresher = Refresher(
            links, registry, channels, config.number, key.sign, _seconds, _log, evidence
        )
        keeper = RefreshKeeper(refresher, registry, _log)
        ending.callback(keeper.end)
        service = CoordinatorService(
            links=links,
            registry=registry,
            number=config.number,
            sign=key.sign,
            clock=_seconds,
            recovery=recovery,
            evidence=evidence,
            channels=channels,
            refresher=refresher,
            destroyer=Destroyer(links, registry, config.number, key.sign, _seconds),
            repairer=Repairer(
                links, registry, refresher, config.number, key.sign, _seconds, evidence
            ),
            orderer=Orderer(links, registry, refresher, config.number, key.sign, _seconds),
            resharer=Resharer(
                links, registry, Rosters(channels.keys, registry), refresher, _seconds
            ),
        )
        clear_stale(config.listen)
        os.umask(0o177)  # the socket is this user's
        address = socket_address(config.listen)
        server = GrpcServer(COORDINATOR, address, service.answer, _CALLS_AT_ONCE)
        ending.callback(server.stop)
        recovery.begin()
        keeper.begin()
        if config.metrics_port is not None:
            metrics = WalletMetrics(registry, refresher, _seconds)
            ending.enter_context(told_at(config.metrics_port, metrics))
        if config.refresh is not None:
            scheduler = _scheduler(config.refresh, refresher, registry)
            ending.callback(scheduler.end)
            scheduler.begin()
        yield


def _scheduler(config: RefreshConfig, refresher: Refresher, registry: Registry) -> RefreshScheduler:
    quiet = tuple(QuietHours.parse(each) for each in config.quiet_hours)
    schedule = Schedule(config.interval, config.jitter, quiet)
    return RefreshScheduler(schedule, refresher, registry, _seconds, _log)


def _transports(config: CoordinatorConfig, roster: Roster) -> dict[int, GrpcTransport]:
    names = {member.name for member in roster.members}
    if unknown := sorted(config.holders.keys() - names):
        raise BadConfig(f"holders: {unknown[0]} does not stand in the roster")
    return {
        roster.index_of(name): GrpcTransport(HOLDER, socket_address(path))
        for name, path in config.holders.items()
    }


def _log(line: str) -> None:
    """Where it cannot be written, a full disk or a pipe that nobody reads, the work goes on."""
    with suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _seconds() -> int:
    return int(time.time())
