"""A coordinator and a client in one process with the holders of a `World`; every link can fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hsm_mpc.agent.dispatch import Dispatch
from hsm_mpc.client.known import KnownWallets
from hsm_mpc.client.signing import VerifiedSignature
from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.destruction import Destroyer
from hsm_mpc.coordinator.evidence import EvidenceFolder
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.ordering import Orderer
from hsm_mpc.coordinator.recovery import Recovery
from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.coordinator.repair import Repairer
from hsm_mpc.coordinator.reshare import Resharer
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.service import CoordinatorService
from hsm_mpc.errors import BackendError
from hsm_mpc.ids import Scheme
from hsm_mpc.requests import RequestType
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.taproot.derivation import Path as KeyPath
from hsm_mpc.wire.calls import Call, HolderMethod, parts_of
from hsm_mpc.wire.rounds import FIRST_COORDINATOR
from tests.agent.calling import dispatch_of
from tests.agent.simulate import LAB_POLICY, Party, World

Parts = Sequence[bytes]
Tamper = Callable[[HolderMethod, Parts, Callable[[Parts], tuple[bytes, ...]]], tuple[bytes, ...]]
"""Stands on a link: gets method, arguments and the honest holder, and answers as it likes."""


@dataclass
class LocalLink:
    """A `Transport` to a holder of the world, as long as nothing is wrong with it."""

    world: World
    index: int
    down: bool = False
    tamper: Tamper | None = None
    asked: list[HolderMethod] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    late: int = 0
    """How many calls ran out of time while it was stalled."""
    closed: bool = False
    answering: tuple[Party, Dispatch] | None = None
    """What the holder answers with, as long as it is not started anew."""

    def __post_init__(self) -> None:
        self.stalled.set()

    def call(self, method: int, parts: Parts, timeout: float) -> tuple[bytes, ...]:
        self.asked.append(HolderMethod(method))
        if self.down:
            raise BackendError("nobody answers")
        if not self.stalled.wait(timeout):
            self.late += 1
            raise BackendError("too late")
        honest = partial(self._honest, method)
        if self.tamper is not None:
            return self.tamper(HolderMethod(method), parts, honest)
        return honest(parts)

    def close(self) -> None:
        self.closed = True

    def _honest(self, method: int, parts: Parts) -> tuple[bytes, ...]:
        party = self.world.parties[self.index]
        if self.answering is None or self.answering[0] is not party:
            self.answering = party, dispatch_of(party)
        _, dispatch = self.answering
        call = Call(method, tuple(parts)).to_bytes()
        return parts_of(run_shielded(lambda: dispatch.answer(call)))


@dataclass
class LocalCoordinator:
    """A `Transport` to the service; `answers` may be what a liar answers instead."""

    service: CoordinatorService
    lie: Callable[[int, Parts, Callable[[], tuple[bytes, ...]]], tuple[bytes, ...]] | None = None

    def call(self, method: int, parts: Parts, timeout: float) -> tuple[bytes, ...]:
        def honest() -> tuple[bytes, ...]:
            return parts_of(self.service.answer(Call(method, tuple(parts)).to_bytes()))

        return honest() if self.lie is None else self.lie(method, parts, honest)

    def close(self) -> None:
        """Nothing to give up."""


@dataclass
class Office:
    """One coordinator, its links, and one client of it."""

    world: World
    folder: Path
    links: dict[int, LocalLink]
    holders: HolderLinks
    registry: Registry
    recovery: Recovery
    refresher: Refresher
    service: CoordinatorService
    coordinator: LocalCoordinator
    client: WalletClient
    reports: list[str]
    """What it has said of rotations that do not go on."""

    @classmethod
    @contextmanager
    def opened(cls, world: World, folder: Path, seconds: float = 10.0) -> Iterator[Office]:
        """A coordinator with an empty registry, or the one in `folder`."""
        folder.mkdir(exist_ok=True)
        reports = list[str]()
        links = {index: LocalLink(world, index) for index in world.parties}
        holders = HolderLinks(world.roster, links, seconds)
        registry = Registry(folder / "registry.sqlite")
        recovery = Recovery(holders, registry, world.clock)
        channels = AnnouncedChannels(holders, world.clock)
        evidence = EvidenceFolder(folder / "evidence", world.roster)
        refresher = Refresher(
            holders,
            registry,
            channels,
            FIRST_COORDINATOR,
            world.coordinator.sign,
            world.clock,
            reports.append,
            evidence,
        )
        service = CoordinatorService(
            links=holders,
            registry=registry,
            number=FIRST_COORDINATOR,
            sign=world.coordinator.sign,
            clock=world.clock,
            recovery=recovery,
            evidence=evidence,
            channels=channels,
            refresher=refresher,
            destroyer=Destroyer(
                holders, registry, FIRST_COORDINATOR, world.coordinator.sign, world.clock
            ),
            repairer=Repairer(
                holders,
                registry,
                refresher,
                FIRST_COORDINATOR,
                world.coordinator.sign,
                world.clock,
                evidence,
            ),
            resharer=Resharer(
                holders, registry, Rosters(channels.keys, registry), refresher, world.clock
            ),
            orderer=Orderer(
                holders,
                registry,
                refresher,
                FIRST_COORDINATOR,
                world.coordinator.sign,
                world.clock,
            ),
        )
        transport = LocalCoordinator(service)
        client = WalletClient(
            transport,
            world.roster,
            "me",
            world.client.public,
            world.client.sign,
            world.clock,
            KnownWallets(folder / "client.wallets"),
        )
        yield cls(
            world,
            folder,
            links,
            holders,
            registry,
            recovery,
            refresher,
            service,
            transport,
            client,
            reports,
        )
        for link in links.values():
            link.stalled.set()
        recovery.end()
        holders.close()
        registry.close()

    def made(
        self, name: str = "treasury", t: int = 2, policy_file: bytes = LAB_POLICY
    ) -> VerifiedWallet:
        """A wallet."""
        return self.client.create(name, Scheme.TAPROOT, t, policy_file)

    def signed(
        self, wallet: VerifiedWallet, message: bytes = b"pay", signers: Sequence[int] = ()
    ) -> VerifiedSignature:
        """A signature, which the client has verified."""
        return self.client.sign(wallet, RequestType.MESSAGE, message, KeyPath(), signers)

    def evidence(self) -> list[Path]:
        """The cases that were kept."""
        folder = self.folder / "evidence"
        return sorted(folder.iterdir()) if folder.exists() else []


def soon(condition: Callable[[], bool]) -> bool:
    """Whether it comes about within a few seconds."""
    until = time.monotonic() + 5
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
