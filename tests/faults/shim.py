"""The module that does what a test orders (shim.c): built, and told what to do while it works."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, get_args

SOURCE: Final = Path(__file__).with_name("shim.c")

NUMBERS: Final = {
    "C_Initialize": 0,
    "C_Finalize": 1,
    "C_GetInfo": 2,
    "C_GetSlotList": 4,
    "C_GetSlotInfo": 5,
    "C_GetTokenInfo": 6,
    "C_GetMechanismList": 7,
    "C_GetMechanismInfo": 8,
    "C_InitToken": 9,
    "C_InitPIN": 10,
    "C_OpenSession": 12,
    "C_CloseSession": 13,
    "C_GetSessionInfo": 15,
    "C_Login": 18,
    "C_Logout": 19,
    "C_CreateObject": 20,
    "C_DestroyObject": 22,
    "C_GetAttributeValue": 24,
    "C_SetAttributeValue": 25,
    "C_FindObjectsInit": 26,
    "C_FindObjects": 27,
    "C_FindObjectsFinal": 28,
    "C_EncryptInit": 29,
    "C_Encrypt": 30,
    "C_DecryptInit": 33,
    "C_Decrypt": 34,
    "C_SignInit": 42,
    "C_Sign": 43,
    "C_GenerateKey": 58,
    "C_GenerateKeyPair": 59,
    "C_WrapKey": 60,
    "C_UnwrapKey": 61,
    "C_GenerateRandom": 64,
}
"""Places of the functions in CK_FUNCTION_LIST."""

ANY: Final = "any function"

FOREVER: Final = (1 << 64) - 1
"""Until something else is ordered."""
UNTIL_INITIALISED: Final = FOREVER - 1
"""Until the module is finalised and initialised, which works."""

Moment = Literal["instead", "afterwards"]
"""The real module is not asked; or it is, and its answer is lost."""

OwnIv = Literal["nowhere", "over the caller's", "over zeros", "behind the output"]
_OWN_IV: Final = get_args(OwnIv)

_FIELDS: Final = ("calls", "struck", "first", "times", "code", "moment", "delay", "cut")
_WORD: Final = struct.Struct("=Q")
_HEAD: Final = ("sessions", "own_iv", "untaken", "unnamed")
_FUNCTIONS: Final = 68
_BYTES: Final = _WORD.size * (len(_HEAD) + len(_FIELDS) * (1 + _FUNCTIONS))


def built(folder: Path, source: Path = SOURCE) -> Path:
    """The module that `source` is, compiled into `folder`."""
    compiler = shutil.which("cc")
    assert compiler is not None, (
        f"no cc, which builds {source.name}; mend: install a C compiler (gcc)"
    )
    module = folder / source.with_suffix(".so").name
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1"]
    command = [compiler, *flags, "-shared", "-fPIC", "-o", str(module), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return module


class Shim:
    """One copy of the module in `folder`, before a private copy of the `real` one.

    Private, for a library that other tests of this process have loaded would be the same one.
    """

    def __init__(self, folder: Path, real: str) -> None:
        self.module = built(folder)
        private = folder / "real.so"
        shutil.copy(real, private)
        control = folder / "control"
        control.write_bytes(bytes(_BYTES))
        self.environment = {"SHIM_MODULE": str(private), "SHIM_CONTROL": str(control)}
        with control.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _BYTES)

    def close(self) -> None:
        self._memory.close()

    @property
    def sessions(self) -> int:
        """Sessions that are open at the real module."""
        return self._word(_HEAD.index("sessions"))

    @property
    def unnamed_keys(self) -> int:
        """How many keys were to be made without id or label, since all orders were taken back."""
        return self._word(_HEAD.index("unnamed"))

    def calls(self, function: str = ANY) -> int:
        """How often it was called, since the last order for it."""
        return self._word(self._at(function, "calls"))

    def struck(self, function: str = ANY) -> int:
        """How often a call of it got the code of the last order."""
        return self._word(self._at(function, "struck"))

    def answer(
        self,
        code: int,
        function: str = ANY,
        *,
        after: int = 0,
        times: int = 1,
        moment: Moment = "instead",
    ) -> None:
        """After `after` calls from now on, `times` calls of the function answer `code`."""
        self._set(function, times=0)  # no call shall see half of an order
        number = ("instead", "afterwards").index(moment)
        self._set(function, calls=0, struck=0, first=after, code=code, moment=number)
        self._set(function, times=times)

    def obey_no_more(self) -> None:
        """Every order is taken back, and every count of calls begins anew."""
        self.make_own_iv("nowhere")
        self.take_no(None)
        self._set_head("unnamed", 0)
        for function in (ANY, *NUMBERS):
            self._set(function, times=0)
            self._set(function, **dict.fromkeys(_FIELDS, 0))

    def delay(self, function: str, seconds: float) -> None:
        """Every call of the function takes longer by so much."""
        self._set(function, delay=round(seconds * 1_000_000))

    def cut(self, function: str, count: int) -> None:
        """The module says that so many bytes less came out: C_Encrypt, C_Decrypt, C_Sign."""
        self._set(function, cut=count)

    def make_own_iv(self, where: OwnIv = "over the caller's") -> None:
        """AES-GCM encrypts under an IV that the module makes, 12 bytes, 16 behind the output."""
        self._set_head("own_iv", _OWN_IV.index(where))

    def take_no(self, kind: int | None) -> None:
        """No template of a new object may hold this attribute: CKR_ATTRIBUTE_VALUE_INVALID."""
        self._set_head("untaken", 0 if kind is None else kind + 1)

    @contextmanager
    def away(self, code: int) -> Iterator[None]:
        """While the body runs, every function answers `code`."""
        self.answer(code, times=FOREVER)
        try:
            yield
        finally:
            self.answer(0, times=0)

    def _at(self, function: str, field: str) -> int:
        order = 0 if function == ANY else 1 + NUMBERS[function]
        return len(_HEAD) + order * len(_FIELDS) + _FIELDS.index(field)

    def _word(self, at: int) -> int:
        (value,) = _WORD.unpack_from(self._memory, at * _WORD.size)
        return int(value)

    def _set_head(self, field: str, value: int) -> None:
        _WORD.pack_into(self._memory, _HEAD.index(field) * _WORD.size, value)

    def _set(self, function: str, **fields: int) -> None:
        for field, value in fields.items():
            _WORD.pack_into(self._memory, self._at(function, field) * _WORD.size, value)
