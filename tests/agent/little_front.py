"""Stands in for a front: what it does is the name of the socket that it is given."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

from hsm_mpc.wire.frames import FrameCaller


def main() -> None:
    descriptor, _, path, _ = sys.argv[1:]
    connection = socket.socket(fileno=int(descriptor))
    manner = Path(path).name
    if manner == "dies":
        sys.exit(7)
    if manner == "is slow":
        signal.pause()
    if manner == "babbles":
        connection.sendall(b"\xff" * 12)
        signal.pause()
    if manner == "is deaf":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Path(path).touch()
    FrameCaller(connection).call(b"", 10)
    signal.pause()


if __name__ == "__main__":
    main()
