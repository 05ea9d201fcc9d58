"""All looks together: by this command, or by the signer that runs, which knows what it has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.app.admin import asked
from hsm_mpc.app.doctor import clock, files, front, host, keys, memory, module, peers, token
from hsm_mpc.app.doctor.findings import (
    Diagnosis,
    Finding,
    Look,
    fail,
    failed,
    has_failed,
    looked,
    ok,
    warn,
)
from hsm_mpc.app.holder import OpenHolder, now, opened
from hsm_mpc.app.status import Status
from hsm_mpc.config import HolderConfig, load_holder
from hsm_mpc.errors import BackendError, HsmMpcError, PinRefused, Tampered
from hsm_mpc.store.lock import StoreLock

_NOT_LOOKED_AT: Final = "capabilities, registers, room, giveaways, keys, card, roster, peers, time"


def diagnose(config_path: Path, prompt: bool) -> Diagnosis:
    """Look at every precondition of a holder; a failure never stops the next look.

    A signer that runs looks for itself. Without one this command logs in as a start would, under
    the same rules of refused PINs.

    Raises:
        BadConfig: the configuration itself cannot be read.
    """
    config_path = config_path.absolute()
    config = load_holder(config_path)
    try:
        running = asked(config, AdminMethod.DOCTOR, Diagnosis, str(config_path), digest(config))
    except HsmMpcError as failure:
        mend = "restart it, or run this as its user"
        return Diagnosis.of([*_outside(config_path, config), failed("signer", failure, mend)])
    if running is not None:
        return running
    in_use = _in_use(config)
    if in_use is not None:
        return Diagnosis.of([*_outside(config_path, config), in_use])
    before = [
        *_outside(config_path, config),
        *memory.tried(config),
        *module.module(config),
        *module.pin_source(config, prompt),
    ]
    return Diagnosis.of([*before, *_inside(config_path, prompt, before)])


def of_running(
    holder: OpenHolder, acting: ActingHolder, state: Status, config_path: Path, asked_under: str
) -> Diagnosis:
    """What the signer that this process is finds of itself.

    Args:
        asked_under: `digest` of the configuration as it stands in its file now.
    """
    before = [
        *_outside(config_path, holder.config),
        _configuration(holder.config, config_path, asked_under),
        *memory.in_use(holder.config, holder.arena),
        *module.module(holder.config),
        *module.kept_pin_source(holder.config),
    ]
    skipped = _skipped(before, _BEFORE_A_LOOK)
    inside = _logged_in(holder, acting) if skipped is None else [skipped]
    return Diagnosis.of([*before, *inside, _signer(state)])


def digest(config: HolderConfig) -> str:
    """What tells one content of a configuration from another, in hex."""
    return hashlib.sha256(config.model_dump_json().encode()).hexdigest()


def _outside(config_path: Path, config: HolderConfig) -> list[Finding]:
    """What needs neither HSM nor PIN."""
    return [
        *host.host(),
        clock.clock(),
        *host.disk(config),
        *files.files(config_path, config),
        *files.store(config),
        *front.front(config),
    ]


def _in_use(config: HolderConfig) -> Finding | None:
    """Somebody has the store and does not answer: nothing more can be looked at."""
    if not (config.store / "format").exists():
        return None
    try:
        StoreLock.take(config.store / "lock").release()
    except BackendError as busy:
        return failed("signer", busy, "a signer is starting, or another command runs: wait for it")
    except Tampered:  # a wrong mode, which has a line of its own
        return None
    return None


def _inside(config_path: Path, prompt: bool, before: Sequence[Finding]) -> list[Finding]:
    """What needs the login, if nothing stands in its way."""
    skipped = _skipped(before, _BEFORE_A_LOGIN)
    if skipped is not None:
        return [skipped]
    try:
        with opened(config_path, prompt=prompt) as holder:
            return [ok("login", "the PIN was accepted"), *_logged_in(holder, None)]
    except PinRefused as refused:
        mend = "put the right PIN into hsm.pin_source, then: hsm-mpc holder login"
        return [failed("login", refused, mend)]
    except HsmMpcError as failure:
        return [failed("login", failure, "docs/operations.md, What to back up, and After a crash")]


_BEFORE_A_LOOK: Final = frozenset({"architecture", "module", "token"})
_BEFORE_A_LOGIN: Final = _BEFORE_A_LOOK | {"store", "memory", "pin", "pin-source"}


def _skipped(before: Sequence[Finding], needed: frozenset[str]) -> Finding | None:
    """Why what needs the login is not looked at, if something that it needs is not well."""
    in_the_way = [
        finding.check
        for finding in before
        if finding.check in needed
        and (finding.level == "fail" or (finding.check, finding.level) == ("pin-source", "warn"))
    ]
    if not in_the_way:
        return None
    named = ", ".join(dict.fromkeys(in_the_way))
    return warn("login", f"not looked at, as they need it: {_NOT_LOOKED_AT}", f"first {named}")


def _logged_in(holder: OpenHolder, acting: ActingHolder | None) -> list[Finding]:
    """What whoever is logged in finds.

    Args:
        acting: the signer that runs, which knows more.
    """
    channels = None if acting is None else peers.heard(acting)
    standing = looked(
        (("card", lambda: peers.card(holder)), ("roster", lambda: peers.roster(holder)))
    )
    looks: list[tuple[str, Look]] = [
        ("capability", lambda: token.capabilities(holder.token)),
        ("room", lambda: token.room(holder.token)),
        ("giveaway", lambda: token.giveaways(holder.token)),
        ("key", lambda: keys.identity(holder.token)),
        ("key", lambda: keys.canary(holder.token)),
        ("time", lambda: clock.times(holder.config, (channels or {}).items(), now())),
    ]
    if acting is not None:
        looks.append(("channel", lambda: peers.channel(acting)))
    if has_failed(standing):  # records are signed by this holder, as one of the roster
        skipped = [warn("inventory", "not looked at, nor are peers", "first card and roster")]
        return [*looked(looks), *standing, *skipped]
    looks.append(("inventory", lambda: keys.in_token(holder)))
    return [
        *looked(looks),
        *standing,
        *looked((("peers", lambda: peers.agreement(holder, channels)),)),
    ]


def _configuration(config: HolderConfig, config_path: Path, asked_under: str) -> Finding:
    if digest(config) == asked_under:
        return ok("configuration", f"{config_path}: as the signer read it at its start")
    message = f"{config_path} was changed since the signer started, which goes by the old one"
    return warn("configuration", message, "restart the signer")


def _signer(state: Status) -> Finding:
    message = f"process {state.signer_pid} runs: {state.message}; it looked at all of the above"
    if state.exit_code == 0:
        return ok("signer", message)
    return fail("signer", message, "see its log", BackendError.exit_code)
