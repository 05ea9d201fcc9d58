"""The front: a process without any secret that listens for coordinators and hands on their calls.

    python -m hsm_mpc.agent.front DESCRIPTOR SIGNER-PID SOCKET GROUP

It is started by the signer, which has the other end of the socket pair DESCRIPTOR, and never
outlives it. GROUP (a number, or "-") may dial besides the own user. Of what it carries it looks at
nothing but the length.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Final

from hsm_mpc.agent import landlock
from hsm_mpc.agent.sockets import clear_stale
from hsm_mpc.errors import BackendError, BadEncoding, HsmMpcError
from hsm_mpc.wire.calls import MOST_BYTES, failure_of
from hsm_mpc.wire.frames import FrameCaller
from hsm_mpc.wire.grpc_transport import HOLDER, LIBRARY, GrpcServer, socket_address

CALLS_AT_ONCE: Final = 16
LONGEST_CALL: Final = 60.0
"""Seconds that the signer may take for an answer."""
NO_GROUP: Final = "-"

_ENDING: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_PR_SET_PDEATHSIG: Final = 1
_READABLE: Final = (Path(os.__file__).parent, LIBRARY, Path("/dev/urandom"))
"""What Python and gRPC load when they first need it."""
_LISTENING: Final = b""
"""As hsm_mpc.agent.workers.LISTENING, which this process does not import."""


class Relay:
    """Hands calls on to the signer, and its answers back."""

    def __init__(self, signer: FrameCaller) -> None:
        self._signer = signer

    def answer(self, call: bytes) -> bytes:
        """The signer's answer, byte for byte, or the status that says why there is none."""
        try:
            if not 0 < len(call) <= MOST_BYTES:
                raise BadEncoding(f"a call has 1 to {MOST_BYTES} bytes, not {len(call)}")
            return self._signer.call(call, LONGEST_CALL)
        except (BadEncoding, BackendError) as refused:
            return failure_of(refused)


def run(connection: socket.socket, path: Path, group: int | None) -> None:
    """Listen at `path` until the signer is gone or ends this process.

    Raises:
        BadConfig, BackendError: it cannot listen there.
    """
    clear_stale(path)
    os.umask(0o177 if group is None else 0o117)
    if landlock.abi():
        landlock.confine(path.parent, _READABLE)
    signer = FrameCaller(connection)
    server = GrpcServer(HOLDER, socket_address(path), Relay(signer).answer, CALLS_AT_ONCE)
    try:
        if group is not None:
            _open_to(group, path)
        signer.call(_LISTENING, LONGEST_CALL)
        threading.Thread(target=_end_with, args=(signer,), daemon=True).start()
        signal.sigwait(_ENDING)
    finally:
        server.stop()  # the socket goes with it


def _open_to(group: int, path: Path) -> None:
    try:
        os.chown(path, -1, group)
    except OSError as failure:
        raise BackendError(f"{path}: group {group}: {failure.strerror}") from failure


def _end_with(signer: FrameCaller) -> None:
    signer.ended.wait()
    os.kill(os.getpid(), signal.SIGTERM)


def _die_with(parent: int) -> None:
    """SIGTERM when the signer ends, however it ends; at once if it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def main() -> None:
    """The process."""
    descriptor, parent, path, group = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_SETMASK, _ENDING)
    _die_with(int(parent))
    code = 0
    try:
        run(socket.socket(fileno=int(descriptor)), Path(path), _group(group))
    except HsmMpcError as failure:
        sys.stderr.write(f"front: {failure}\n")
        code = failure.exit_code
    os._exit(code)  # without waiting for calls that nobody answers any more


def _group(text: str) -> int | None:
    return None if text == NO_GROUP else int(text)


if __name__ == "__main__":
    main()
