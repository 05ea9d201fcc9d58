"""What a holder needs of its host, and what this host leaves open."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Final

import hsm_mpc
from hsm_mpc.app.doctor.findings import Finding, fail, ok, warn
from hsm_mpc.config import HolderConfig
from hsm_mpc.errors import BackendError
from hsm_mpc.secure import libcrypto
from hsm_mpc.secure.process import is_hardened, started_with_bind_now

_LEAST_FREE_BYTES: Final = 64 << 20
_LEAST_FREE_FILES: Final = 1000
_LEANED_ON: Final = (
    *("python-pkcs11", "coincurve", "PyNaCl", "cryptography"),
    *("asn1crypto", "cffi", "pydantic", "PyYAML", "grpcio"),
)
"""What secrets, signatures, messages and the configuration go through."""
PINNED = Path(hsm_mpc.__file__).parents[1] / "requirements" / "run.txt"
"""The versions that were tested; an installed wheel has the list in its metadata."""
SWAPS = Path("/proc/swaps")
CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")


def host() -> list[Finding]:
    """Of the host as a whole, and of the process that asks."""
    kernel = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return [
        ok("host", f"{kernel}, {platform.machine()}"),
        _libraries(),
        _process(),
        _swap(),
        _core_dumps(),
        _ptrace(),
    ]


def _libraries() -> Finding:
    installed = {name: importlib.metadata.version(name) for name in _LEANED_ON}
    listed = ", ".join(f"{name} {version}" for name, version in installed.items())
    said = f"{listed}, {_libcrypto_version()}"
    tested = _tested_versions()
    if not tested:
        return warn("libraries", f"{said}; which versions were tested is not known here")
    different = [
        f"{name} {version} instead of {tested[name.lower()]}"
        for name, version in installed.items()
        if tested.get(name.lower(), version) != version
    ]
    if different:
        message = f"not the versions that were tested: {', '.join(different)}"
        return warn("libraries", message, "install requirements/run.txt, as scripts/setup does")
    return ok("libraries", f"{said}: as tested")


def _tested_versions() -> dict[str, str]:
    """By name in lower case; empty where there is no list."""
    if PINNED.is_file():
        listed = PINNED.read_text("utf-8")
    else:
        installed = importlib.metadata.distribution("hsm-mpc")
        listed = installed.read_text("extra_metadata/run.txt") or ""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\\n]+)", listed, re.MULTILINE)
    return {name.lower(): version for name, version in pins}


def _libcrypto_version() -> str:
    try:
        return libcrypto.version()
    except BackendError as missing:
        return str(missing)


def _process() -> Finding:
    if started_with_bind_now() and is_hardened():
        return ok("process", "no core dumps, not traceable, symbols bound at start")
    return fail("process", "core dumps or tracing are possible", "start it by `hsm-mpc`")


def _swap() -> Finding:
    try:
        lines = SWAPS.read_text("utf-8", "replace").splitlines()[1:]
    except OSError as failure:
        return warn("swap", f"not told by this host: {failure.strerror}")
    if not lines:
        return ok("swap", "off")
    return warn(
        "swap",
        f"on ({lines[0].split()[0]}); secrets are locked, but libraries' short copies are not",
        "swapoff -a, or encrypted swap",
    )


def _core_dumps() -> Finding:
    """A program that gets dumps through a pipe gets them whatever RLIMIT_CORE is (core(5))."""
    try:
        pattern = CORE_PATTERN.read_text("utf-8", "replace").strip()
    except OSError as failure:
        return warn("core-dumps", f"not told by this host: {failure.strerror}")
    if not pattern.startswith("|"):
        return ok("core-dumps", "switched off for this process; none is handed to a program")
    program = pattern.removeprefix("|").split(maxsplit=1)[0]
    return warn(
        "core-dumps",
        f"this host hands dumps to {program}, which no limit stops: the signer is kept out of "
        "them by one flag alone, and a daemon of the HSM perhaps not at all",
        "sysctl kernel.core_pattern=core, for good in /etc/sysctl.d",
    )


def _ptrace() -> Finding:
    """The signer cannot be traced; before it says so to the kernel, any process of its user could
    begin to."""
    try:
        scope = PTRACE_SCOPE.read_text("ascii").strip()
    except OSError:
        scope = "none"
    if scope in ("1", "2", "3"):
        return ok("ptrace", f"restricted by this host (Yama, ptrace_scope {scope})")
    found, mend = (
        "has ptrace_scope 0",
        "sysctl kernel.yama.ptrace_scope=1, for good in /etc/sysctl.d",
    )
    if scope == "none":
        found, mend = (
            "has no Yama",
            "a kernel with Yama (yama in its lsm=), or a user for each holder",
        )
    message = f"this host {found}: while a signer starts, any process of its user could trace it"
    return warn("ptrace", message, mend)


def disk(config: HolderConfig) -> list[Finding]:
    """Room where the store lies, or will lie."""
    folder = next(path for path in (config.store, *config.store.parents) if path.exists())
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    room = f"{free >> 20} MiB free at {folder}"
    code = BackendError.exit_code
    if found.f_flag & os.ST_RDONLY:
        return [fail("disk", f"{folder} can only be read", "mount it read-write", code)]
    if free < _LEAST_FREE_BYTES:
        return [fail("disk", room, "make room: nothing is signed without its audit line", code)]
    if found.f_files and found.f_favail < _LEAST_FREE_FILES:
        message = f"{room}, but only for {found.f_favail} more files"
        return [fail("disk", message, "delete small files, or use another file system", code)]
    return [ok("disk", room)]
