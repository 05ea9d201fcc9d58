"""Landlock: a process gives up for good what it does not need. Linux 5.13 or later, without root.

https://docs.kernel.org/userspace-api/landlock.html. What a kernel cannot close yet stays open;
`abi` says how far it goes, and `doctor` tells the operator.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hsm_mpc.errors import BackendError

# The same numbers on every architecture.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446

_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38

_READ_FILE: Final = 1 << 2
_READ_FOLDER: Final = 1 << 3
_REMOVE_FILE: Final = 1 << 5
_MAKE_SOCKET: Final = 1 << 9
_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many kinds of file access each version knows: the lowest bits, in their order."""
_MOST_FILE_RIGHTS: Final = 16

_TCP_SINCE: Final = 4
_BIND_AND_CONNECT_TCP: Final = 3
_SCOPES_SINCE: Final = 6
_ABSTRACT_SOCKETS_AND_SIGNALS: Final = 3

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _Ruleset(ctypes.Structure):
    """`struct landlock_ruleset_attr`; an older kernel takes it while what it lacks is zero."""

    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    """`struct landlock_path_beneath_attr`."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("path", ctypes.c_int32))


def abi() -> int:
    """Which version of Landlock this kernel has; 0: none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)))


def closes_network() -> bool:
    """Whether `confine` also closes TCP, and signals to processes outside."""
    return abi() >= _SCOPES_SINCE


def confine(sockets: Path, readable: Sequence[Path]) -> None:
    """From now on this process makes and removes sockets in one folder, and reads a few paths.

    It opens no other file, makes and accepts no TCP connection and signals nobody outside, where
    the kernel can close that. Open descriptors stay usable. Before the first thread is started:
    other threads would stay as they are.

    Raises:
        BackendError: there are threads already, the kernel has no Landlock, or a path is absent.
    """
    if len(os.listdir("/proc/self/task")) != 1:
        raise BackendError("confined too late: there are threads already", retryable=False)
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    version = abi()
    wanted = _Ruleset(
        files=(1 << _FILE_RIGHTS.get(version, _MOST_FILE_RIGHTS)) - 1,
        network=_BIND_AND_CONNECT_TCP if version >= _TCP_SINCE else 0,
        scopes=_ABSTRACT_SOCKETS_AND_SIGNALS if version >= _SCOPES_SINCE else 0,
    )
    size = ctypes.c_size_t(ctypes.sizeof(wanted))
    rules = _checked(_libc.syscall(_CREATE_RULESET, ctypes.byref(wanted), size, 0), "create")
    try:
        _allow(rules, sockets, _MAKE_SOCKET | _REMOVE_FILE)
        for path in readable:
            _allow(rules, path, _READ_FILE | (_READ_FOLDER if path.is_dir() else 0))
        _checked(_libc.syscall(_RESTRICT_SELF, rules, 0), "restrict")
    finally:
        os.close(rules)


def _allow(rules: int, path: Path, rights: int) -> None:
    """`path`, and what is beneath it."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as absent:
        raise BackendError(f"{path}: {absent.strerror}", retryable=False) from absent
    try:
        rule = _Beneath(allowed=rights, path=descriptor)
        _checked(_libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0), "rule")
    finally:
        os.close(descriptor)


def _checked(result: int, call: str) -> int:
    if result < 0:
        reason = os.strerror(ctypes.get_errno())
        raise BackendError(f"landlock ({call}): {reason}", retryable=False)
    return result
