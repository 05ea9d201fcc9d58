"""`doctor`: every precondition of a holder, one finding each, with the mend."""

from __future__ import annotations

import importlib.metadata
import platform
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from hsm_mpc.agent import landlock
from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.app.admin import asked
from hsm_mpc.app.holder import OpenHolder, opened
from hsm_mpc.app.status import Status
from hsm_mpc.config import HolderConfig, load_holder
from hsm_mpc.errors import BackendError, BadConfig, HsmMpcError
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.capabilities import KEY_CLASSES
from hsm_mpc.hsm.giveaways import giveaways
from hsm_mpc.hsm.listing import listing
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.register_objects import usable_form
from hsm_mpc.hsm.selftest import Finding as Capability
from hsm_mpc.hsm.selftest import self_test
from hsm_mpc.secure import libcrypto
from hsm_mpc.secure.aead import Aes256Gcm
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.mapping import memfd_secret_exists
from hsm_mpc.secure.process import is_hardened, started_with_bind_now

Level = Literal["ok", "warn", "fail"]

_LEAST_FREE_BYTES: Final = 64 << 20
_LEANED_ON: Final = ("python-pkcs11", "coincurve", "PyNaCl", "cryptography", "asn1crypto", "grpcio")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was found, and what to do about it."""

    level: Level
    check: str
    message: str
    mend: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings; 0 with nothing worse than a warning, 2 or 4 by what failed (both: 2)."""

    findings: tuple[Finding, ...]
    exit_code: int


def diagnose(config_path: Path, prompt: bool) -> Diagnosis:
    """Look at host, memory, module, token and keys; a failure never stops the next look.

    Raises:
        BadConfig: the configuration itself cannot be read.
    """
    config = load_holder(config_path)
    findings = [*_host(), *_memory(config), *_module(config), _store_room(config), _front(config)]
    findings += _holder(config_path, prompt)
    codes = {finding.exit_code for finding in findings if finding.level == "fail"}
    exit_code = 0 if not codes else BadConfig.exit_code if BadConfig.exit_code in codes else 4
    return Diagnosis(tuple(findings), exit_code)


def _host() -> list[Finding]:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LEANED_ON)
    kernel = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    hardened = started_with_bind_now() and is_hardened()
    return [
        Finding("ok", "host", kernel),
        Finding("ok", "libraries", f"{versions}, {_libcrypto_version()}"),
        Finding("ok", "process", "no core dumps, not traceable, symbols bound at start")
        if hardened
        else _failed("process", "core dumps or tracing are possible", "start by `hsm-mpc`"),
        _swap(),
    ]


def _libcrypto_version() -> str:
    try:
        return libcrypto.version()
    except BackendError as missing:
        return str(missing)


def _swap() -> Finding:
    try:
        lines = Path("/proc/swaps").read_text("utf-8", "replace").splitlines()[1:]
    except OSError as failure:
        return Finding("warn", "swap", f"not told by this host: {failure.strerror}")
    if not lines:
        return Finding("ok", "swap", "off")
    return Finding(
        "warn",
        "swap",
        f"on ({lines[0].split()[0]}); secrets are locked, but libraries' short copies are not",
        "swapoff -a, or encrypted swap",
    )


def _memory(config: HolderConfig) -> list[Finding]:
    try:
        arena = Arena(config.memory.kib * 1024, config.memory.backend)
    except HsmMpcError as failure:
        return [Finding("fail", "memory", str(failure), exit_code=failure.exit_code)]
    kind = arena.kind
    arena.close()
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    room = "no limit" if limit == resource.RLIM_INFINITY else f"limit {limit // 1024} KiB"
    cipher = Aes256Gcm().name
    found = Finding("ok", "memory", f"{config.memory.kib} KiB of {kind}, {room}; AES by {cipher}")
    if kind == "memfd_secret":
        return [found]
    why = "configured" if memfd_secret_exists() else "this kernel has no memfd_secret"
    message = f"{found.message}; {why}: root of this host can read open secrets"
    return [Finding("warn", "memory", message)]


def _module(config: HolderConfig) -> list[Finding]:
    try:
        module = Module.load(config.hsm.module, config.hsm.environment, config.hsm.parameters)
    except HsmMpcError as failure:
        return [Finding("fail", "module", str(failure), exit_code=failure.exit_code)]
    found = Finding("ok", "module", f"{module.path}: loaded, with locks")
    try:
        token = module.find(config.hsm.token, config.hsm.serial)
    except HsmMpcError as failure:
        return [found, Finding("fail", "token", str(failure), exit_code=failure.exit_code)]
    described = f"{token.label!r}, serial {token.serial_text}, {token.manufacturer} {token.model}"
    return [found, Finding("ok", "token", f"{described}; PIN state: {token.pin_state.value}")]


def _store_room(config: HolderConfig) -> Finding:
    folder = next(path for path in (config.store, *config.store.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if free < _LEAST_FREE_BYTES:
        return _failed(
            "disk",
            f"{free >> 20} MiB free at {folder}",
            "make room: nothing is signed without its audit line",
            code=BackendError.exit_code,
        )
    return Finding("ok", "disk", f"{free >> 20} MiB free at {folder}")


def _front(config: HolderConfig) -> Finding:
    """What a front that somebody took over could reach (architecture, section 1)."""
    if config.front is None:
        mend = "front: {socket: PATH} in holder.yaml"
        return Finding("warn", "front", "not configured: `agent run` cannot start", mend)
    version, user = landlock.abi(), config.front.user
    kept_apart = f"as user {user}" if user else "as the signer's user"
    if landlock.closes_network():
        return Finding("ok", "front", f"{kept_apart}, under Landlock {version}: no file, no TCP")
    if user:
        return Finding("ok", "front", f"{kept_apart}; this kernel has Landlock {version}")
    reach = "no file, but the network" if version else "all that this user reaches"
    return Finding(
        "warn",
        "front",
        f"{kept_apart}, Landlock {version}: whoever takes it over reaches {reach}",
        "front.user in holder.yaml, or Linux 6.12 with Landlock",
    )


def _holder(config_path: Path, prompt: bool) -> list[Finding]:
    try:
        running = asked(load_holder(config_path), AdminMethod.STATUS, Status)
        if running is not None:
            return [_signer(running)]
        with opened(config_path, prompt=prompt) as holder:
            return [
                Finding("ok", "store", f"{holder.config.store}: whole, modes right"),
                Finding("ok", "pin", "accepted"),
                *_capabilities(holder),
                _registers(holder),
                *_giveaways(holder),
                *_keys(holder),
            ]
    except HsmMpcError as failure:
        return [Finding("fail", "holder", str(failure), exit_code=_code(failure))]


def _signer(running: Status) -> Finding:
    """It has the store and the token's login: it looks for itself."""
    message = f"runs as process {running.signer_pid}: {running.message}"
    if running.exit_code == 0:
        return Finding("ok", "signer", message)
    code = BackendError.exit_code
    return Finding("fail", "signer", message, "see its log", exit_code=code)


def _capabilities(holder: OpenHolder) -> list[Finding]:
    return [_capability(tried) for tried in self_test(holder.token).findings]


def _capability(tried: Capability) -> Finding:
    if tried.failure:
        return _failed("capability", f"{tried.capability}: {tried.failure}", "use another token")
    message = f"{tried.capability}: tried, works"
    if not tried.instead_of:
        return Finding("ok", "capability", message)
    return Finding(
        "warn", "capability", f"{message}; used because of {'; '.join(tried.instead_of)}"
    )


def _registers(holder: OpenHolder) -> Finding:
    """In which form (step 6.2.1a); that they work, the self-test has shown."""
    try:
        return Finding("ok", "registers", usable_form(holder.token).words)
    except BackendError as failure:
        return _failed("registers", str(failure), "use another token")


def _giveaways(holder: OpenHolder) -> list[Finding]:
    accepted = holder.config.hsm.accept_findings
    mend = "use another token, or accept it: hsm.accept_findings in holder.yaml"
    return [
        Finding("warn", "giveaway", f"{found.name}, accepted: {found.meaning}")
        if found.name in accepted
        else _failed("giveaway", f"{found.name}: {found.meaning}", mend)
        for found in giveaways(holder.token)
    ] or [Finding("ok", "giveaway", "none: wrapping out a key that must stay was tried")]


def _keys(holder: OpenHolder) -> list[Finding]:
    init = "hsm-mpc holder init"
    findings = []
    for name, found in (
        (keys.IDENTITY, keys.find_identity_key(holder.token)),
        (keys.CANARY, _canary_key(holder)),
    ):
        findings.append(
            _failed("key", f"{name}: not made yet", init)
            if found is None
            else Finding("ok", "key", f"{name}: found, once")
        )
    if holder.token.canary is not None and not canary_answers(holder):
        findings.append(_failed("key", "the canary does not decrypt", init, code=4))
    different = [key for key in listing(holder.token) if key.differences]
    findings += [
        _failed("attributes", f"{key.label}: {', '.join(key.differences)}", "replace this key")
        for key in different
    ]
    if not different:
        findings.append(Finding("ok", "attributes", "of all keys as they must be"))
    return findings


def _canary_key(holder: OpenHolder) -> keys.Key | None:
    found = (keys.find_canary_key(holder.token, object_class) for object_class in KEY_CLASSES)
    return next((key for key in found if key is not None), None)


def canary_answers(holder: OpenHolder) -> bool:
    """Whether the token decrypts what it encrypted at login."""
    armed = holder.token.canary
    return armed is not None and armed.is_decrypted_by(holder.token)


def _failed(check: str, message: str, mend: str, code: int = BadConfig.exit_code) -> Finding:
    return Finding("fail", check, message, mend, code)


def _code(failure: HsmMpcError) -> int:
    """Doctor answers 2 or 4 only: what a backend does not give is 4, all else is to be mended."""
    return 4 if isinstance(failure, BackendError) else BadConfig.exit_code
