"""`lab …`: a whole wallet on one machine: n holders on software tokens, a coordinator, a client."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hsm_mpc.app import holder as holder_app
from hsm_mpc.app import token
from hsm_mpc.app.lab_report import LabReport, report
from hsm_mpc.app.lab_running import (
    end,
    order,
    start_all,
    stop,
    wait_until_ready,
    write_settings,
)
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.errors import BackendError, BadInput, NotReady, Tampered
from hsm_mpc.ids import Scheme
from hsm_mpc.lab import making
from hsm_mpc.lab.control import Order
from hsm_mpc.lab.folder import LabFolder, LabState
from hsm_mpc.lab.holder_folder import make_holder_folder
from hsm_mpc.lab.kinds import DEFAULT, checked_kind
from hsm_mpc.lab.processes import RunningProcess
from hsm_mpc.secure.arena import Arena

Say = Callable[[str], None]

HOLDERS: Final = 3
"""How many a lab has unless said otherwise."""


@dataclass(frozen=True, slots=True)
class PreparedHolder:
    """A folder with a token, PIN files and a configuration; `holder init` comes next."""

    config: Path
    token: str
    serial: str


def prepare_holder(folder: Path, name: str, hsm: str = DEFAULT) -> PreparedHolder:
    """A private token of the kind `hsm` with random PINs in a new folder.

    Raises:
        BadInput: the folder is there already, `name` is no name, or `hsm` no kind.
        BadConfig: no module of this kind is known.
    """
    arena = Arena()
    made = make_holder_folder(folder, name, checked_kind(hsm), arena)
    arena.close()
    created = token.create(made.config, made.so_pin_source, prompt=False)
    return PreparedHolder(made.config, created.label, created.serial)


def make_holder(folder: Path, name: str, hsm: str = DEFAULT) -> holder_app.Created:
    """`prepare_holder`, then `holder init`."""
    return holder_app.init(prepare_holder(folder, name, hsm).config, prompt=False)


# The whole lab


def up(folder: Path, holders: int | None, say: Say, hsm: Sequence[str] | None = None) -> LabReport:
    """Make a lab, or start one again, with all wallets as they were; returns when it is ready.

    Args:
        hsm: kinds of tokens that the holders stand on, in turn.

    Raises:
        BadInput: the folder has other things in it, the lab has another number of holders or
            stands on other tokens, or a kind is none.
        Tampered: a holder's folder is gone.
        BackendError: something does not start; it says what.
    """
    lab = LabFolder(folder.absolute())
    kinds = None if hsm is None else tuple(checked_kind(name).name for name in hsm)
    _claim(lab, holders, kinds)
    with lab.locked():
        state = lab.load()
        if holders is not None and holders != len(state.holders):
            raise BadInput(f"{lab.path} is a lab of {len(state.holders)} holders, not {holders}")
        if kinds is not None and kinds != state.kinds:
            raise BadInput(f"{lab.path} is a lab on {','.join(state.kinds)}")
        if not state.made:
            state = _made(lab, state, say)
        _require_folders(lab, state)
        state = start_all(lab, state, say)
        wait_until_ready(lab, state, state.holders)
        return report(lab, state)


def status(folder: Path) -> LabReport:
    """What runs.

    Raises:
        BadInput: no lab's folder.
    """
    lab = LabFolder(folder.absolute())
    return report(lab, lab.load())


def down(folder: Path) -> LabReport:
    """End all processes; everything stays on disk.

    Raises:
        BadInput: no lab's folder.
        BackendError: the supervisor does not end.
    """
    lab = LabFolder(folder.absolute())
    state = lab.load()
    with lab.locked():
        end(lab, state)
        return report(lab, state)


def destroy(folder: Path) -> Path:
    """End all processes and delete the folder, with all wallets in it.

    Raises:
        BadInput: no lab's folder.
        BackendError: the supervisor does not end, or the folder cannot be deleted.
    """
    lab = LabFolder(folder.absolute())
    state = lab.load()
    with lab.locked():
        end(lab, state)
        try:
            shutil.rmtree(lab.path)
        except OSError as failure:
            raise BackendError(f"{lab.path}: {failure.strerror}", retryable=False) from failure
    return lab.path


# One holder of a lab


def stop_holder(folder: Path, name: str) -> LabReport:
    """End a holder's signer and front, until `start_holder` or `up`.

    Raises:
        BadInput: no lab's folder, or no such holder.
        NotReady: the lab is down.
    """
    lab = LabFolder(folder.absolute())
    with lab.locked():
        state = _running(lab, name)
        stop(state, name)
        return report(lab, state)


def start_holder(folder: Path, name: str) -> LabReport:
    """Start a holder again; returns when it is ready.

    Raises:
        BadInput: no lab's folder, or no such holder.
        NotReady: the lab is down.
        BackendError: it does not start.
    """
    lab = LabFolder(folder.absolute())
    with lab.locked():
        state = _running(lab, name)
        _require_folders(lab, replace(state, holders=(name,)))
        order(state, Order.START, (name,))
        wait_until_ready(lab, state, (name,))
        return report(lab, state)


def replace_holder(folder: Path, name: str) -> LabReport:
    """A new empty token and folder for a holder, as if its host had burnt down; where the lab runs,
    it is started. It has no share before `wallet repair` gives it one.

    Raises:
        BadInput: no lab's folder, or no such holder.
        BackendError: the new one cannot be made, or does not start.
    """
    lab = LabFolder(folder.absolute())
    with lab.locked():
        state = _known(lab, name)
        runs = RunningProcess.remembered(lab.supervisor) is not None
        if runs:
            stop(state, name)
        making.make_holders(lab, {name: state.kind(name)})
        shutil.copyfile(lab.roster, lab.holder(name) / "roster")
        if runs:
            write_settings(lab, state)
            order(state, Order.START, (name,))
            wait_until_ready(lab, state, (name,))
        return report(lab, state)


# Making


def _claim(lab: LabFolder, holders: int | None, kinds: tuple[str, ...] | None) -> None:
    """Mark an empty or new folder as a lab's."""
    wanted = max(HOLDERS, len(kinds or ())) if holders is None else holders
    try:
        lab.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not lab.is_lab():
            QuorumSizes.default(wanted, 2).check_policy(Scheme.TAPROOT)
            if any(lab.path.iterdir()):
                raise BadInput(f"{lab.path} has other things in it: name a new folder")
            names = tuple(f"h{number}" for number in range(1, wanted + 1))
            lab.path.chmod(0o700)
            lab.save(LabState(names, made=False, sockets="", kinds=kinds or (DEFAULT,)))
    except OSError as failure:
        raise BadInput(f"{lab.path}: {failure.strerror}") from failure


def _made(lab: LabFolder, state: LabState, say: Say) -> LabState:
    """Nothing of an earlier try is kept but keys: without a roster there is no wallet."""
    say(f"making {len(state.holders)} holders, each with its own token")
    making.make_keys(lab)
    making.make_holders(lab, {name: state.kind(name) for name in state.holders})
    making.make_roster(lab, state.holders)
    state = replace(state, made=True)
    lab.save(state)
    return state


def _known(lab: LabFolder, name: str) -> LabState:
    state = lab.load()
    if name not in state.holders or not state.made:
        raise BadInput(f"no holder of this lab is called {name!r}: {', '.join(state.holders)}")
    return state


def _running(lab: LabFolder, name: str) -> LabState:
    state = _known(lab, name)
    if RunningProcess.remembered(lab.supervisor) is None:
        raise NotReady(f"the lab is down: hsm-mpc lab up --dir {lab.path}")
    return state


def _require_folders(lab: LabFolder, state: LabState) -> None:
    for name in state.holders:
        if not (lab.holder(name) / "store").is_dir():
            raise Tampered(
                f"{lab.holder(name)}: the holder's store is gone; "
                f"a new one: hsm-mpc lab replace-holder {name} --dir {lab.path}"
            )
