"""Where a PIN comes from, and how it gets into protected memory without a Python object.

    file:PATH          a regular file that only its owner can read
    fd:NUMBER          a descriptor that the parent opened; read to its end once, then closed
    credential:NAME    a systemd credential, in $CREDENTIALS_DIRECTORY
    prompt             the terminal, without echo

The bytes go by read(2) straight into a slot. One newline at the end is not part of the PIN.
"""

from __future__ import annotations

import ctypes
import os
import re
import select
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from hsm_mpc.errors import BadConfig
from hsm_mpc.hsm import terminal
from hsm_mpc.secure.arena import Arena, Secret, move_bytes

MOST_PIN_BYTES: Final = 255

Kind = Literal["file", "fd", "credential", "prompt"]
Fingerprint = tuple[int, int]
"""Inode and modification time (ns) of the file that was opened: which state of it was read."""

_FORMS: Final[dict[Kind, re.Pattern[str]]] = {
    "file": re.compile(r"file:(.+)"),
    "fd": re.compile(r"fd:(0|[1-9][0-9]{0,5})"),
    "credential": re.compile(r"credential:([A-Za-z0-9_-][A-Za-z0-9._-]*)"),
    "prompt": re.compile(r"(prompt)"),
}
_OUTPUTS: Final = frozenset({"1", "2"})
_BITS_OF_OTHERS: Final[dict[Kind, int]] = {"file": 0o077, "credential": 0o037}
"""systemd lets the service read a credential by an ACL, which shows as the group's read bit; the
folder is private."""
_ROOT: Final = 0

_libc = ctypes.CDLL(None, use_errno=True)
_libc.read.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
_libc.read.restype = ctypes.c_ssize_t


@dataclass(frozen=True, slots=True)
class Pin:
    """A PIN that was read, as long as its slot; the caller releases it after the login."""

    secret: Secret
    fingerprint: Fingerprint | None
    """None of a descriptor or a prompt: such a PIN dies with the process (decision 10); None of a
    credential too: systemd copies it anew for every start, which would make each look changed."""


@dataclass(frozen=True, slots=True)
class PinSource:
    """Where a PIN comes from; made by `parse`."""

    kind: Kind
    name: str

    @classmethod
    def parse(cls, text: str) -> PinSource:
        """`file:PATH`, `fd:NUMBER`, `credential:NAME` or `prompt`.

        Raises:
            BadConfig: anything else.
        """
        for kind, form in _FORMS.items():
            found = form.fullmatch(text)
            if found is not None and not (kind == "fd" and found[1] in _OUTPUTS):
                return cls(kind, found[1])
        # What stands there is not repeated: people write the PIN itself there.
        raise BadConfig(
            "PIN source: file:PATH, fd:NUMBER (not 1 or 2), credential:NAME or prompt is wanted"
        )

    @property
    def can_be_read_again(self) -> bool:
        """Whether the PIN is still there after `read`: a descriptor's or a prompt's is not."""
        return self.kind in ("file", "credential")

    def fingerprint(self) -> Fingerprint | None:
        """What `read` would read now, without reading it; None of all but a file (`Pin`).

        Raises:
            BadConfig: the file is absent, or others could read it.
        """
        if self.kind != "file":
            return None
        with self._file() as descriptor:
            return _fingerprint(descriptor)

    def read(self, arena: Arena, question: str = "PIN: ") -> Pin:
        """The PIN, 1 to 255 bytes without control characters, in a slot of its length.

        Raises:
            BadConfig: the source is absent, others could read it, or it holds no PIN.
            BackendError: protected memory is full.
        """
        if self.kind == "prompt":
            return Pin(terminal.asked(question, lambda tty: _pin(arena, tty, lines=True)), None)
        if self.kind == "fd":
            return Pin(_read_once(arena, int(self.name)), None)
        with self._file() as descriptor:
            pin = _pin(arena, descriptor)
            return Pin(pin, _fingerprint(descriptor) if self.kind == "file" else None)

    @contextmanager
    def _file(self) -> Iterator[int]:
        """The file, opened and checked: what is checked is what is read."""
        path = Path(self.name) if self.kind == "file" else _credential(self.name)
        try:
            # Without O_NONBLOCK, opening a FIFO would wait for a writer.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise BadConfig(f"PIN file {path}: {error.strerror}") from error
        try:
            self._check(os.fstat(descriptor), path)
            yield descriptor
        finally:
            os.close(descriptor)

    def _check(self, state: os.stat_result, path: Path) -> None:
        if not stat.S_ISREG(state.st_mode):
            raise BadConfig(f"PIN file {path}: not a regular file")
        if state.st_uid not in (os.geteuid(), _ROOT):
            raise BadConfig(f"PIN file {path}: it belongs to another user; mend: chown it")
        if state.st_mode & _BITS_OF_OTHERS[self.kind]:
            raise BadConfig(f"PIN file {path}: others may use it; mend: chmod 600 {path}")


def _credential(name: str) -> Path:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise BadConfig(
            f"PIN credential {name}: no $CREDENTIALS_DIRECTORY; mend: LoadCredential= in the unit"
        )
    return Path(folder) / name


def _fingerprint(descriptor: int) -> Fingerprint:
    state = os.fstat(descriptor)
    return state.st_ino, state.st_mtime_ns


def _read_once(arena: Arena, descriptor: int) -> Secret:
    try:
        os.fstat(descriptor)
    except OSError as error:
        raise BadConfig(f"PIN source fd:{descriptor}: not an open descriptor") from error
    try:
        return _pin(arena, descriptor)
    finally:
        os.close(descriptor)


def _pin(arena: Arena, descriptor: int, *, lines: bool = False) -> Secret:
    """What `descriptor` gives until its end; of a terminal one read, which is one line."""
    with arena.scope() as take:
        scratch = take(MOST_PIN_BYTES + 2)
        wait = select.poll()
        wait.register(descriptor, select.POLLIN)
        length = 0
        while length < scratch.size:
            wait.poll()  # no window is open while somebody types
            with scratch.open() as pointer:
                got = _libc.read(descriptor, pointer + length, scratch.size - length)
            if got < 0:
                raise BadConfig(f"PIN: {os.strerror(ctypes.get_errno())}")
            length += got
            if got == 0 or lines:
                break
        with scratch.open() as pointer:
            length = _length_of_pin(pointer, length)
            pin = arena.take(length)
            with pin.open() as target:
                move_bytes(target, pointer, length)
    return pin


def _length_of_pin(pointer: int, length: int) -> int:
    """Without one newline at the end. Looks at one byte at a time (step 1.8.5)."""
    content = (ctypes.c_ubyte * length).from_address(pointer)
    if length and content[length - 1] == ord("\n"):
        length -= 1
    if not 1 <= length <= MOST_PIN_BYTES:
        raise BadConfig(f"PIN: 1 to {MOST_PIN_BYTES} bytes are wanted")
    # A line end of another system would make a right PIN a wrong one, and cost a try.
    if any(content[at] < 0x20 or content[at] == 0x7F for at in range(length)):
        raise BadConfig("PIN: it holds a control character (an editor's line end?)")
    return length
