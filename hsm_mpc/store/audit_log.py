"""The audit log on disk: one writer, under the store's lock (step 3.4.15).

    <store>/audit/log      the lines (hsm_mpc/audit.py)
                  state    where the log ended: after the last append, and at the last checkpoint

A line costs one fsync, that of `log`. A slot of `state` is
`u64be(seq) ‖ line_hash[32] ‖ SHA-256(all before)[0:8]`; the two lie on different pages, so that a
torn write leaves the other. The slot of checkpoints is synced; the kernel writes the other within
seconds, so after a loss of power `state` may be older than `log`. It is never ahead of it: a log
that ends before it was cut.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from hsm_mpc import audit
from hsm_mpc.audit import CHECKPOINT, EMPTY, Chain, Json, Line, Sign, Tail
from hsm_mpc.encoding import u64be
from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.steps import step
from hsm_mpc.store import files

STEPS = (
    *files.steps_of_folder("audit-folder"),
    *files.steps_of_new("audit-log"),
    *files.steps_of_new("audit-state"),
    "audit.cut",
    "audit.line",
    "audit.state",
    "audit.checkpoint",
)

_SLOT = 48
_SLOT_DISTANCE = 4096
_AFTER_LINE = 0
_AT_CHECKPOINT = _SLOT_DISTANCE


class AuditLog:
    """Appends to the log; `append` and `checkpoint` may be called from several threads."""

    __slots__ = ("_end", "_lock", "_log", "_path", "_state", "_tail", "_torn")

    def __init__(self, path: Path, log: int, state: int, chain: Chain) -> None:
        """Takes over both descriptors. Use `open`."""
        self._path = path
        self._log = log
        self._state = state
        self._tail = chain.tail
        self._end = chain.size
        self._torn = False  # there may be bytes behind `_end` that no line needs
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path) -> AuditLog:
        """Check the whole chain; cut a torn write at its end.

        Raises:
            Tampered: anything else is wrong (audit.Chain, the state file, owners and modes).
            BackendError: the disk fails.
        """
        with ExitStack() as undo, files.disk_errors(f"opening {folder / 'log'}"):
            state = files.open_checked(folder / "state", os.O_RDWR)
            undo.callback(os.close, state)
            log = files.open_checked(folder / "log", os.O_RDWR)
            undo.callback(os.close, log)
            chain = Chain(os.fdopen(log, "rb", closefd=False), _read_state(state, folder / "state"))
            for _ in chain:
                pass
            if chain.unfinished:
                with step("audit.cut"):
                    os.ftruncate(log, chain.size)
                    os.fsync(log)
            undo.pop_all()
            return cls(folder / "log", log, state, chain)

    @property
    def tail(self) -> Tail:
        """Where the log ends."""
        return self._tail

    def append(self, event: str, time: datetime, fields: Mapping[str, Json]) -> Line:
        """Write a line; when this returns it is durable and what it tells of may take effect.

        Raises:
            BackendError: the disk fails or is full: no effect. The log is as it was, unless only
                the state file failed: then the line stands.
            BadInput: audit.append_line; a checkpoint.
            Tampered: somebody else changed the size of the file.
        """
        if event == CHECKPOINT:
            raise BadInput("audit line: checkpoints are made by `checkpoint`")
        with self._lock:
            return self._write(audit.append_line(self._tail, event, time, fields))

    def checkpoint(self, time: datetime, sign: Sign) -> Line:
        """Sign where the log ends, in a line of its own.

        Raises: as `append`; what `sign` raises.
        """
        with self._lock:
            line = self._write(audit.append_checkpoint(self._tail, time, sign))
            with files.disk_errors(f"appending to {self._path}"), step("audit.checkpoint"):
                os.fdatasync(self._state)  # never both slots on their way at once
                files.write_all(self._state, _slot(line.tail), _AT_CHECKPOINT)
                os.fdatasync(self._state)
            return line

    def close(self) -> None:
        """Nothing is lost without it: every line was durable when `append` returned."""
        os.close(self._log)
        os.close(self._state)

    def _write(self, line: Line) -> Line:
        with files.disk_errors(f"appending to {self._path}"):
            with step("audit.line"):
                self._drop_torn()
                self._write_durably(line.in_file)
            self._tail, self._end = line.tail, self._end + len(line.in_file)
            with step("audit.state"):
                files.write_all(self._state, _slot(line.tail), _AFTER_LINE)
        return line

    def _write_durably(self, in_file: bytes) -> None:
        self._torn = True
        try:
            files.write_all(self._log, in_file, self._end)
            os.fdatasync(self._log)
        except OSError:
            self._drop_torn()
            raise
        self._torn = False

    def _drop_torn(self) -> None:
        size = os.fstat(self._log).st_size
        if size != self._end:
            if not self._torn:
                raise Tampered(f"{self._path} has {size} bytes, {self._end} were written")
            os.ftruncate(self._log, self._end)
        self._torn = False


def create(folder: Path) -> None:
    """Make the folder of an empty log; what is there already is left as it is.

    Raises: BackendError, Tampered.
    """
    files.create_folder(folder, "audit-folder")
    log, state = folder / "log", folder / "state"
    if not files.present(log):
        files.write_new(log, b"", "audit-log")
    if not files.present(state):
        if log.stat().st_size:
            raise Tampered(f"{state} is missing")
        slot = _slot(EMPTY)
        files.write_new(state, slot + bytes(_SLOT_DISTANCE - _SLOT) + slot, "audit-state")


def open_to_read(folder: Path) -> tuple[BinaryIO, Tail]:
    """The log, and the place that it must still hold; also while its writer runs.

    For `audit.verify`, `audit.export` and `audit.last_lines`. Raises: BackendError, Tampered.
    """
    state = files.open_checked(folder / "state", os.O_RDONLY)
    try:
        with files.disk_errors(f"reading {folder / 'state'}"):
            floor = _read_state(state, folder / "state")
    finally:
        os.close(state)
    return os.fdopen(files.open_checked(folder / "log", os.O_RDONLY), "rb"), floor


def _slot(tail: Tail) -> bytes:
    content = u64be(tail.seq) + tail.line_hash
    return content + hashlib.sha256(content).digest()[:8]


def _read_state(descriptor: int, path: Path) -> Tail:
    """The higher of the slots that are whole. Raises: OSError, Tampered."""
    whole = []
    for offset in (_AFTER_LINE, _AT_CHECKPOINT):
        slot = os.pread(descriptor, _SLOT, offset)
        tail = Tail(int.from_bytes(slot[:8], "big"), slot[8:40])
        if slot == _slot(tail):
            whole.append(tail)
    if not whole:
        raise Tampered(f"{path} does not say where the audit log ends")
    return max(whole, key=lambda tail: tail.seq)
