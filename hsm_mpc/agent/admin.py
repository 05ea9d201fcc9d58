"""The admin socket: what a holder's own verbs ask of the running signer, on its host.

A unix socket in a private folder (0700). A peer is heard if its uid is the signer's or root's, and
if it hands over the store's lock file, opened for reading: a front has the signer's uid, but under
Landlock it opens no file. Then one call in a frame (wire/frames.py), one answer, and the end.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
import threading
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final

from hsm_mpc.agent.sockets import clear_stale, short_name
from hsm_mpc.errors import BackendError, BadConfig
from hsm_mpc.secure.process import shield_this_thread
from hsm_mpc.wire.calls import Call, parts_of
from hsm_mpc.wire.frames import FrameSocket
from hsm_mpc.wire.transport import Answer

LONGEST_CALL: Final = 60.0
"""Seconds that a verb waits for the signer's answer."""

_PATIENCE: Final = 5.0
"""Seconds that a peer has to say what it wants."""
_PAUSE: Final = 1.0
_BACKLOG: Final = 16
_PEER: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid
_ROOT: Final = 0
_TICKET: Final = b"\1"
"""Goes with the descriptor, which cannot travel alone."""


class AdminMethod(IntEnum):
    """What may be asked. Results are JSON documents, made and read by `app`."""

    STATUS = 1
    SHARES = 2
    INVENTORY = 3
    DISCARD = 4
    CHECKPOINT = 5
    DOCTOR = 6
    REWRAP = 7
    PLANS = 8
    ADMIT = 9
    DECLINE = 10
    ROTATE_IDENTITY = 11
    ROTATION_UNDER_WAY = 12


class AdminServer:
    """Answers one peer after another, on one thread, until `end`."""

    def __init__(self, path: Path, ticket: Path, answer: Answer) -> None:
        """Listen at `path`; `ticket` is the file that a peer must be able to open.

        Raises:
            BadConfig: the folder is not private.
            BackendError: another process listens there.
        """
        self._path = path
        self._ticket = ticket
        self._answer = answer
        _make_private(path.parent)
        clear_stale(path)
        self._listener = socket.socket(socket.AF_UNIX)
        with short_name(path) as name:
            self._listener.bind(name)
        path.chmod(0o600)
        self._listener.listen(_BACKLOG)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="admin", daemon=True)
        self._thread.start()

    def end(self, patience: float) -> bool:
        """Stop listening; whether the call under way ended within `patience` seconds."""
        self._ending.set()
        self._path.unlink(missing_ok=True)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(patience)
        self._listener.close()
        return not self._thread.is_alive()

    def _run(self) -> None:
        shield_this_thread()
        while not self._ending.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # the end, or no descriptor is free
                self._ending.wait(_PAUSE)
                continue
            with connection:
                self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        """One call. A peer that may not ask, or goes away, gets no answer."""
        connection.settimeout(_PATIENCE)
        try:
            if not _is_ours(connection, os.geteuid()) or not self._shows_ticket(connection):
                return
            frames = FrameSocket(connection)
            number, call = frames.receive()
            frames.send(number, self._answer(call))
        except (BackendError, OSError):
            return

    def _shows_ticket(self, connection: socket.socket) -> bool:
        said, descriptors, _, _ = socket.recv_fds(
            connection, len(_TICKET), 1, socket.MSG_CMSG_CLOEXEC
        )
        try:
            return said == _TICKET and any(_opens(each, self._ticket) for each in descriptors)
        finally:
            for each in descriptors:
                os.close(each)


def ask(path: Path, ticket: Path, method: AdminMethod, parts: Sequence[bytes]) -> bytes | None:
    """What the running signer answers; None if there is none.

    Raises:
        HsmMpcError: what the signer says went wrong.
        BackendError: this user may not ask, or the signer does not answer.
    """
    try:
        with ticket.open("rb") as shown, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LONGEST_CALL)
            with short_name(path) as name:
                connection.connect(name)
            if not _is_ours(connection, os.fstat(shown.fileno()).st_uid):
                raise BackendError(f"{path}: another user's process listens there", retryable=False)
            socket.send_fds(connection, [_TICKET], [shown.fileno()])
            frames = FrameSocket(connection)
            frames.send(1, Call(method, tuple(parts)).to_bytes())
            _, answer = frames.receive()
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except OSError as failure:
        raise BackendError(f"admin socket {path}: {failure.strerror}", retryable=False) from failure
    (result,) = parts_of(answer)
    return result


def _is_ours(connection: socket.socket, uid: int) -> bool:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, peer, _ = _PEER.unpack(credentials)
    return peer in (uid, _ROOT)


def _opens(descriptor: int, file: Path) -> bool:
    """Whether `descriptor` is `file`, opened so that it can be read.

    A descriptor that only names a file (O_PATH) says nothing: Landlock lets everybody have that.
    """
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_PATH:
        return False
    return os.path.samestat(os.fstat(descriptor), file.stat())


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.stat()
    if state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) & 0o077:
        raise BadConfig(f"{folder} is not private to this user; mend: chmod 700 {folder}")
