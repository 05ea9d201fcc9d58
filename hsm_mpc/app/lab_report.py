"""How a lab is doing: what `lab up` and `lab status` tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.app.admin import asked
from hsm_mpc.app.status import Status
from hsm_mpc.config import HolderConfig, load_holder
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.lab import control, sockets
from hsm_mpc.lab.control import Kept, Order
from hsm_mpc.lab.folder import COORDINATOR, LabFolder, LabState
from hsm_mpc.lab.processes import RunningProcess


@dataclass(frozen=True, slots=True)
class CoordinatorReport:
    """The one coordinator; pid is null while it does not run."""

    pid: int | None
    address: str


@dataclass(frozen=True, slots=True)
class HolderReport:
    """One holder; pids are null while it does not run.

    `state`: "ready" (its front listens), "starting", "stopped", "down" (with the lab).
    """

    name: str
    front_pid: int | None
    signer_pid: int | None
    config: Path
    store: Path
    token: str
    hsm: str
    """The kind of its token."""
    module: Path
    state: str


@dataclass(frozen=True, slots=True)
class LabReport:
    """A lab as it is now."""

    dir: Path
    supervisor_pid: int | None
    client_config: Path
    coordinator: CoordinatorReport
    holders: tuple[HolderReport, ...]


def report(lab: LabFolder, state: LabState) -> LabReport:
    """Ask the supervisor and the signers."""
    supervisor = RunningProcess.remembered(lab.supervisor)
    place = Path(state.sockets)
    kept = control.ask(sockets.supervisor(place), Order.STATUS) if supervisor else {}
    coordinator = kept.get(COORDINATOR)
    return LabReport(
        dir=lab.path,
        supervisor_pid=supervisor.pid if supervisor else None,
        client_config=lab.client_config,
        coordinator=CoordinatorReport(
            pid=coordinator.pid if coordinator else None,
            address=f"unix:{sockets.coordinator(place)}",
        ),
        holders=tuple(_holder(lab, state, name, kept.get(name)) for name in state.holders),
    )


def _holder(lab: LabFolder, state: LabState, name: str, kept: Kept | None) -> HolderReport:
    config = load_holder(lab.holder_config(name))
    running = _signer(config) if kept is not None and kept.pid is not None else None
    if kept is None:
        word = "down"
    elif not kept.wanted:
        word = "stopped"
    else:
        word = "ready" if running is not None and running.state == "ready" else "starting"
    return HolderReport(
        name=name,
        front_pid=running.front_pid if running else None,
        signer_pid=kept.pid if kept else None,
        config=lab.holder_config(name),
        store=config.store,
        token=config.hsm.token,
        hsm=state.kind(name).name,
        module=Path(config.hsm.module),
        state=word,
    )


def _signer(config: HolderConfig) -> Status | None:
    """What the signer says of itself; None while it does not answer."""
    try:
        return asked(config, AdminMethod.STATUS, Status)
    except HsmMpcError:
        return None
