"""From the path of a shared library to the functions of a PKCS#11 module, or a clear reason.

The dynamic linker calls a library for another processor "no such file", so the ELF header is read
first and compared with that of this interpreter.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from hsm_mpc.errors import BackendError, BadConfig
from hsm_mpc.hsm import cryptoki, failures
from hsm_mpc.hsm.cryptoki import ffi

_HEADER_BYTES: Final = 20
_MACHINES: Final = {3: "x86", 40: "arm", 62: "x86-64", 183: "aarch64", 243: "riscv"}


class _Architecture(NamedTuple):
    """ELF class (1: 32 bits, 2: 64), byte order (1: little), and processor."""

    elf_class: int
    byte_order: int
    machine: int

    def __str__(self) -> str:
        machine = _MACHINES.get(self.machine, f"processor {self.machine}")
        return f"{machine}, {32 * self.elf_class} bits"


class Library(NamedTuple):
    """A loaded library. `handle` keeps it loaded; `calls` has one attribute for each function."""

    handle: Any
    functions: Any
    """The function list itself."""
    calls: SimpleNamespace


def real_path(path: str) -> str:
    """`path` without symbolic links.

    Raises:
        BadConfig: not an absolute path.
    """
    if not os.path.isabs(path):
        raise BadConfig(f"pkcs11 module {path!r}: an absolute path is wanted")
    return os.path.realpath(path)


def load(path: str) -> Library:
    """Load the module at `path`; nothing of it is initialised yet.

    Raises:
        BackendError: no such file, not a shared library for this processor, one that the linker
            refuses, or one that is no PKCS#11 module.
    """
    wanted = _architecture(Path("/proc/self/exe"))
    found = _architecture(Path(path))
    if found != wanted:
        raise _unusable(path, f"made for {found}; this Python runs on {wanted}")
    try:
        handle = ffi.dlopen(path, ffi.RTLD_NOW | ffi.RTLD_LOCAL)
    except OSError as error:
        raise _unusable(path, f"the linker refuses it: {error}") from error
    functions = _functions(handle, path)
    return Library(handle, functions, _calls(functions, path))


def _architecture(path: Path) -> _Architecture:
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        mend = "install the module, or correct `hsm.module` in the configuration"
        raise _unusable(str(path), f"{error.strerror}; mend: {mend}") from error
    if len(header) < _HEADER_BYTES or header[:4] != b"\x7fELF":
        raise _unusable(str(path), "not a shared library")
    machine = int.from_bytes(header[18:20], "big" if header[5] == 2 else "little")
    return _Architecture(header[4], header[5], machine)


def _functions(handle: Any, path: str) -> Any:
    table = ffi.new("CK_FUNCTION_LIST **")
    try:
        code = handle.C_GetFunctionList(table)
    except AttributeError as error:
        raise _unusable(path, "a library, but not a PKCS#11 module") from error
    failures.check(code, "C_GetFunctionList", f"pkcs11 module {path}")
    if table[0] == ffi.NULL:
        raise _unusable(path, "its function list is nowhere")
    return table[0]


def _calls(functions: Any, path: str) -> SimpleNamespace:
    calls = SimpleNamespace(**{name: getattr(functions, name) for name in cryptoki.FUNCTIONS})
    absent = [name for name, function in vars(calls).items() if function == ffi.NULL]
    if absent:
        raise _unusable(path, f"it has no {', '.join(absent)}")
    return calls


def _unusable(path: str, reason: str) -> BackendError:
    return BackendError(f"pkcs11 module {path} cannot be loaded: {reason}", retryable=False)
