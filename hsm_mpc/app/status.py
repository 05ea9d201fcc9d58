"""`status`: is this holder ready, and how old are its shares?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.app import shares
from hsm_mpc.app.admin import asked
from hsm_mpc.app.holder import OpenHolder, opened
from hsm_mpc.config import load_holder
from hsm_mpc.errors import BackendError, HsmMpcError, NotReady, Tampered
from hsm_mpc.store.record import EpochState

_ADOPTED: Final = EpochState.ADOPTED.name.lower()
_LOOKS: Final = 3


@dataclass(frozen=True, slots=True)
class HeldShare:
    """A share of an epoch that signs, or will. One that is not retired has its successor beside it:
    it waits for what `wallet show` names.
    """

    wallet: str
    epoch: int
    state: str
    """As `share list` says it."""
    sealed_at: datetime
    """When it was sealed for its present wrapping key."""
    retires: bool
    """A successor is adopted here: this one goes once enough holders have adopted that."""


@dataclass(frozen=True, slots=True)
class Status:
    """`state` is "ready", or the kind of what stands in the way. Pids: of a running signer."""

    holder: str
    state: str
    message: str
    retryable: bool
    exit_code: int
    signer_pid: int | None = None
    front_pid: int | None = None
    shares: tuple[HeldShare, ...] = ()
    """The oldest first; none where the holder is not ready."""


def look(config_path: Path, prompt: bool) -> Status:
    """Ask the running signer; without one, open everything it needs, and say what came of it.

    Raises:
        BadConfig: the configuration itself cannot be used.
    """
    config = load_holder(config_path)
    try:
        running = asked(config, AdminMethod.STATUS, Status)
        if running is not None:
            return running
        with opened(config_path, prompt=prompt) as holder:
            holder.identity()
            message = f"token {holder.token.label} answers"
            held = held_shares(holder)
            return Status(config.name, "ready", message, False, 0, shares=held)
    except HsmMpcError as failure:
        return _failed(config.name, failure)


def of_running(holder: OpenHolder, front_pid: int | None) -> Status:
    """The state of this very process, a signer; `front_pid` of a front that listens."""
    name, signer_pid = holder.config.name, os.getpid()
    try:
        canary = holder.token.canary
        if canary is None or not canary.is_decrypted_by(holder.token):
            raise BackendError(f"token {holder.token.label} does not answer")
        if front_pid is None:
            raise NotReady("the front does not listen")
        held = held_shares(holder)
    except HsmMpcError as failure:
        return _failed(name, failure, signer_pid, front_pid)
    message = f"token {holder.token.label} answers, the front listens"
    return Status(name, "ready", message, False, 0, signer_pid, front_pid, held)


def held_shares(holder: OpenHolder) -> tuple[HeldShare, ...]:
    """All of a store, the oldest first.

    Raises:
        Tampered: a record or a blob is not what it must be.
    """
    listed = _listed(holder)
    replaced = {(each.wallet, each.epoch - 1) for each in listed if each.state == _ADOPTED}
    held = [
        HeldShare(
            each.wallet,
            each.epoch,
            each.state,
            each.sealed_at,
            retires=(each.wallet, each.epoch) in replaced,
        )
        for each in listed
    ]
    return tuple(sorted(held, key=lambda each: (each.sealed_at, each.wallet, each.epoch)))


def _listed(holder: OpenHolder) -> tuple[shares.ListedShare, ...]:
    """Read again where a file went while it was looked for: shares are replaced all the time."""
    for _ in range(_LOOKS - 1):
        try:
            return shares.of(holder).shares
        except Tampered:
            continue
    return shares.of(holder).shares


def _failed(
    name: str,
    failure: HsmMpcError,
    signer_pid: int | None = None,
    front_pid: int | None = None,
) -> Status:
    return Status(
        name,
        failure.kind,
        str(failure),
        failure.retryable,
        failure.exit_code,
        signer_pid,
        front_pid,
    )
