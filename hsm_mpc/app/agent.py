"""`agent run`: the signer of a holder, with its front, until somebody ends it."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.agent.admin import AdminMethod, AdminServer
from hsm_mpc.agent.clockwork import Clockwork, Duty
from hsm_mpc.agent.dispatch import Dispatch
from hsm_mpc.agent.keeper import FrontKeeper, FrontPlace, FrontUser
from hsm_mpc.agent.signer import supervise, watch_signals
from hsm_mpc.agent.sockets import clear_stale
from hsm_mpc.agent.workers import Workers
from hsm_mpc.app import checkpoint, consents, doctor, inventory, rotation, shares, status
from hsm_mpc.app.acting import Desks, at_work
from hsm_mpc.app.admin import answering, ticket
from hsm_mpc.app.audit_log import Checkpoint
from hsm_mpc.app.holder import OTHER_KEY, OpenHolder, now, opened, shielded
from hsm_mpc.config import FrontConfig, HolderConfig, load_holder
from hsm_mpc.errors import BackendError, BadConfig, PinRefused
from hsm_mpc.hsm.pin import PinSource

CHECKPOINT_SECONDS: Final = 3600.0
EXPIRY_SECONDS: Final = 1.0
LATENESS_SECONDS: Final = 5.0
_PATIENCE: Final = 5.0
"""Seconds that calls under way have to end."""
_INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Running:
    """A signer that is ready: its front listens."""

    holder: str
    signer_pid: int
    front_pid: int | None
    socket: str


def run(config_path: Path, *, prompt: bool, ready: Callable[[Running], None]) -> int:
    """Be a holder's signer until SIGTERM (0), SIGINT or SIGHUP (130); the exit code. Main thread.

    Raises:
        BadConfig: no front is configured, or something else in the configuration is refused.
        PinRefused: refused by the token; or it came from a descriptor or a prompt, died with the
            signer before, and nobody is there to give it again.
        BackendError: store, HSM or sockets cannot be had; or the HSM went away and nothing that
            this process can do brings it back: its supervisor starts it anew.
    """
    config = load_holder(config_path)
    place = _place(config)
    _require_pin(config, prompt)
    with opened(config_path, prompt=prompt) as holder:
        watch_signals()
        with _at_work(holder) as desks:
            if holder.is_replaced():
                _log(f"the roster has another identity key of {config.name}: {OTHER_KEY}")
            return _serve(holder, desks, place, ready)


def _serve(
    holder: OpenHolder, desks: Desks, place: FrontPlace, ready: Callable[[Running], None]
) -> int:
    """Start what answers, in an order in which each finds what it needs; end it the other way."""
    config = holder.config
    clear_stale(place.socket)
    with ExitStack() as ending:
        dispatch = Dispatch(desks.coordinators_desk().methods(), _report)
        workers = Workers(dispatch.answer, config.workers)
        ending.callback(workers.end, _PATIENCE)
        front = FrontKeeper(place, workers, time.monotonic, _log)
        ending.callback(front.end)
        admin = AdminServer(
            config.admin_socket, ticket(config), _admin_desk(holder, desks, front).answer
        )
        ending.callback(admin.end, _PATIENCE)
        clockwork = Clockwork(duties(holder, desks), time.monotonic, _log, _report)
        ending.callback(clockwork.end, _PATIENCE)
        ended_by = supervise(
            front,
            time.monotonic,
            lambda: ready(Running(config.name, os.getpid(), front.pid, str(place.socket))),
            lambda: _given_up(holder),
        )
    return 0 if ended_by is signal.SIGTERM else _INTERRUPTED


def _given_up(holder: OpenHolder) -> BackendError | None:
    """Why the token cannot be had any more by this process, said aloud."""
    reason = holder.token.recovery.given_up
    if reason is not None:
        _log(f"this signer ends: {reason}")
    return reason


@contextmanager
def _at_work(holder: OpenHolder) -> Iterator[Desks]:
    """The desks, after a signed checkpoint of the audit log; wiped at the end (step 3.4.15)."""

    def begin() -> Desks:
        desks = at_work(holder)
        checkpoint.sign_end(holder)
        return desks

    desks = shielded(begin)
    try:
        yield desks
    finally:
        shielded(desks.close)


def _admin_desk(holder: OpenHolder, desks: Desks, front: FrontKeeper) -> Dispatch:
    """What the operator's verbs may ask (agent/admin.py)."""

    def state() -> status.Status:
        return status.of_running(holder, front.pid if front.listens else None)

    def discard(wallet: str) -> shares.Discarded:
        return shares.discarded(holder, desks, wallet)

    def rewrap(wallet: str) -> shares.Rewrapped:
        return shares.rewrapped(holder, desks, wallet)

    def plans() -> consents.Plans:
        return consents.of(desks.ceremonies.consents)

    def admit(digest: str) -> consents.Decided:
        return consents.agreed(desks.ceremonies.consents, digest)

    def decline(digest: str) -> consents.Decided:
        return consents.declined(desks.ceremonies.consents, digest)

    def diagnosis(config_path: str, asked_under: str) -> doctor.Diagnosis:
        path = Path(config_path)
        return doctor.of_running(holder, desks.holder, state(), path, asked_under)

    return Dispatch(
        {
            AdminMethod.STATUS: answering(status.Status, state),
            AdminMethod.SHARES: answering(shares.Shares, lambda: shares.of(holder)),
            AdminMethod.INVENTORY: answering(inventory.Inventory, lambda: inventory.of(holder)),
            AdminMethod.DISCARD: answering(shares.Discarded, discard),
            AdminMethod.CHECKPOINT: answering(Checkpoint, lambda: checkpoint.sign_end(holder)),
            AdminMethod.PLANS: answering(consents.Plans, plans),
            AdminMethod.ADMIT: answering(consents.Decided, admit),
            AdminMethod.DECLINE: answering(consents.Decided, decline),
            AdminMethod.ROTATION_UNDER_WAY: answering(bool, desks.rotations.is_under_way),
            AdminMethod.ROTATE_IDENTITY: answering(
                rotation.Rotated, lambda: rotation.rotated(desks)
            ),
            AdminMethod.REWRAP: answering(shares.Rewrapped, rewrap),
            AdminMethod.DOCTOR: answering(doctor.Diagnosis, diagnosis),
        },
        _report,
    )


def duties(holder: OpenHolder, desks: Desks) -> list[Duty]:
    """What a signer does by the clock, asked by nobody (steps 2.6.2, 3.3.1, 3.4.15)."""
    return [
        Duty("expiry of nonces", EXPIRY_SECONDS, desks.signing.expire),
        Duty("expiry of key generations", LATENESS_SECONDS, desks.ceremonies.expire),
        Duty("expiry of arrivals", LATENESS_SECONDS, desks.arrivals.expire),
        Duty("expiry of plans", LATENESS_SECONDS, desks.ceremonies.consents.tidy),
        Duty("audit checkpoint", CHECKPOINT_SECONDS, lambda: checkpoint.sign_end(holder)),
    ]


def _place(config: HolderConfig) -> FrontPlace:
    """Where the front shall listen, and as whom; its folder is made if it is not there."""
    front = config.front
    if front is None:
        raise BadConfig("no front is configured: holder.yaml wants `front: {socket: PATH}`")
    try:
        front.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as failure:
        raise BadConfig(f"folder of front.socket {front.socket}: {failure.strerror}") from failure
    return FrontPlace(front.socket, _group(front), _user(front))


def _group(front: FrontConfig) -> int | None:
    try:
        return None if front.group is None else grp.getgrnam(front.group).gr_gid
    except KeyError as absent:
        raise BadConfig(f"front.group: there is no group {front.group}") from absent


def _user(front: FrontConfig) -> FrontUser | None:
    if front.user is None:
        return None
    try:
        user = pwd.getpwnam(front.user)
    except KeyError as absent:
        raise BadConfig(f"front.user: there is no user {front.user}") from absent
    return FrontUser(user.pw_uid, user.pw_gid)


def _require_pin(config: HolderConfig, prompt: bool) -> None:
    """A PIN that was typed or handed over once is lost with the signer that had it (decision 10).

    Raises:
        PinRefused: nobody is there to give it again: not retryable.
    """
    source = PinSource.parse(config.hsm.pin_source)
    lost = (source.kind == "prompt" and not (prompt and _terminal_is_there())) or (
        source.kind == "fd" and not os.path.exists(f"/proc/self/fd/{source.name}")
    )
    if lost:
        raise PinRefused(
            f"the PIN comes from {config.hsm.pin_source} and is not there: "
            "start this signer by hand"
        )


def _terminal_is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _log(line: str) -> None:
    sys.stderr.write(f"{now():%Y-%m-%dT%H:%M:%SZ} {line}\n")
    sys.stderr.flush()


def _report(unexpected: Exception) -> None:
    """Its traceback holds no secret: secrets are no Python values."""
    _log(f"unexpected error, please report it: {type(unexpected).__name__}")
    traceback.print_exception(unexpected, file=sys.stderr)
    sys.stderr.flush()
