"""Modes and owners: of what a holder reads and runs, and of everything in its store."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from hsm_mpc.app.doctor.findings import Finding, fail, ok
from hsm_mpc.config import HolderConfig
from hsm_mpc.store.files import FILE_MODE, FOLDER_MODE

_WRITE: Final = 0o022
_ANYTHING: Final = 0o077
_ROOT: Final = 0
_OWN_MAP: Final = "0 0 4294967295"
UID_MAP = Path("/proc/self/uid_map")
OVERFLOW_UID = Path("/proc/sys/kernel/overflowuid")


class _Wanted(NamedTuple):
    """One file or folder that others must not touch."""

    what: str
    path: Path
    forbidden: int
    """Mode bits."""


def files(config_path: Path, config: HolderConfig) -> list[Finding]:
    """What is read or run: whoever else could write it would be this holder."""
    there = [
        (wanted, state)
        for wanted in _all_wanted(config_path, config)
        if (state := _state(wanted.path)) is not None
    ]
    wrong = [*_of_others(there), *_open_to_others(there)]
    return wrong or [
        ok("files", "configuration, roster, module, folders of sockets: nobody else writes them")
    ]


def _all_wanted(config_path: Path, config: HolderConfig) -> Iterator[_Wanted]:
    yield _Wanted("configuration", config_path, _WRITE)
    yield _Wanted("folder of the configuration", config_path.parent, _WRITE)
    if config.roster is not None:
        yield _Wanted("roster", config.roster, _WRITE)
    yield _Wanted("module", Path(config.hsm.module).resolve(), _WRITE)
    for name, value in config.hsm.environment.items():
        if os.path.isabs(value):
            yield _Wanted(f"file of {name}", Path(value), _WRITE)
    yield _Wanted("folder of admin_socket", config.admin_socket.parent, _ANYTHING)
    if config.front is not None:
        yield _Wanted("folder of front.socket", config.front.socket.parent, _WRITE)


def _state(path: Path) -> os.stat_result | None:
    """None of what is not there: others say what is missing."""
    try:
        return path.stat()
    except OSError:
        return None


def _of_others(there: Sequence[tuple[_Wanted, os.stat_result]]) -> Iterator[Finding]:
    """One finding for each other owner: often everything is his, and this is root."""
    trusted = trusted_owners()
    for uid in sorted({state.st_uid for _, state in there} - trusted):
        named = [f"{wanted.what} {wanted.path}" for wanted, state in there if state.st_uid == uid]
        owner = _user(uid)
        mend = f"run this as {owner}, as its signer does; or chown them"
        yield fail("files", f"not of this user or root, but of {owner}: {', '.join(named)}", mend)


def _open_to_others(there: Sequence[tuple[_Wanted, os.stat_result]]) -> Iterator[Finding]:
    for wanted, state in there:
        if state.st_mode & wanted.forbidden:
            verb, bits = ("write", "go-w") if wanted.forbidden == _WRITE else ("use", "go-rwx")
            message = f"{wanted.what} {wanted.path}: others may {verb} it"
            yield fail("files", message, f"chmod {bits} {wanted.path}")


def trusted_owners() -> set[int]:
    """This user and root. In a user namespace root of the host shows as nobody in particular."""
    trusted = {os.geteuid(), _ROOT}
    if " ".join(UID_MAP.read_text("ascii").split()) != _OWN_MAP:
        trusted.add(int(OVERFLOW_UID.read_text("ascii")))
    return trusted


def store(config: HolderConfig) -> list[Finding]:
    """Every file (0600) and folder (0700) of the store is this user's alone."""
    if not (config.store / "format").exists():
        mend = "hsm-mpc holder init"
        return [fail("store", f"there is no holder's store in {config.store}", mend)]
    count = 0
    for path in (config.store, *config.store.rglob("*")):
        try:
            state = path.lstat()
        except FileNotFoundError:  # a running signer replaces files
            continue
        wrong = _wrong_in_store(path, state)
        if wrong is not None:
            return [wrong]
        count += 1
    return [ok("store", f"{config.store}: {count} files and folders, this user's alone")]


def _wrong_in_store(path: Path, state: os.stat_result) -> Finding | None:
    if stat.S_ISDIR(state.st_mode):
        mode = FOLDER_MODE
    elif stat.S_ISREG(state.st_mode):
        mode = FILE_MODE
    else:
        mend = "move it away: a store holds files and folders only"
        return fail("store", f"{path}: neither a file nor a folder", mend)
    if state.st_uid != os.geteuid():
        mend = f"run this as {_user(state.st_uid)}, or chown the whole store"
        return fail("store", f"{path}: belongs to {_user(state.st_uid)}", mend)
    if stat.S_IMODE(state.st_mode) != mode:
        message = f"{path}: its mode is {stat.S_IMODE(state.st_mode):o}, not {mode:o}"
        return fail("store", message, f"chmod {mode:o} {path}")
    return None


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
