"""`status`: is this holder ready?"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.app.admin import asked
from hsm_mpc.app.holder import OpenHolder, opened
from hsm_mpc.config import load_holder
from hsm_mpc.errors import BackendError, HsmMpcError, NotReady


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
            return Status(config.name, "ready", f"token {holder.token.label} answers", False, 0)
    except HsmMpcError as failure:
        return _failed(config.name, failure)


def of_running(holder: OpenHolder, front_pid: int | None) -> Status:
    """The state of this very process, a signer; `front_pid` of a front that listens."""
    pids = (os.getpid(), front_pid)
    try:
        canary = holder.token.canary
        if canary is None or not canary.is_decrypted_by(holder.token):
            raise BackendError(f"token {holder.token.label} does not answer")
        if front_pid is None:
            raise NotReady("the front does not listen")
    except HsmMpcError as failure:
        return _failed(holder.config.name, failure, *pids)
    message = f"token {holder.token.label} answers, the front listens"
    return Status(holder.config.name, "ready", message, False, 0, *pids)


def _failed(name: str, failure: HsmMpcError, *pids: int | None) -> Status:
    return Status(name, failure.kind, str(failure), failure.retryable, failure.exit_code, *pids)
