"""What the lab's verbs say to the supervisor: one line of JSON each way over a unix socket."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from hsm_mpc.errors import BackendError

_MOST: Final = 64 * 1024
_SECONDS: Final = 5.0
_PEER: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid


class Order(str, Enum):
    """What a supervisor is told to do."""

    STATUS = "status"
    START = "start"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Kept:
    """One program that a supervisor keeps running."""

    pid: int | None
    wanted: bool
    starts: int
    """How often it was started since the supervisor, or somebody, wanted it."""
    last_exit: int | None


def ask(path: Path, order: Order, names: Sequence[str] = ()) -> dict[str, Kept]:
    """Give an order; what is kept running after it, by name.

    Raises:
        BackendError: no supervisor answers.
    """
    request = json.dumps({"order": order.value, "names": list(names)}) + "\n"
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(str(path))
            connection.sendall(request.encode())
            answer = json.loads(_line(connection))
    except (OSError, ValueError) as failure:
        raise BackendError(f"the lab's supervisor does not answer: {failure}") from failure
    return {name: Kept(**kept) for name, kept in answer.items()}


def heard(connection: socket.socket) -> tuple[Order, tuple[str, ...]]:
    """The supervisor's side: the order on a new connection.

    Raises:
        OSError, ValueError: none came.
    """
    connection.settimeout(_SECONDS)
    document = json.loads(_line(connection))
    return Order(document["order"]), tuple(str(name) for name in document["names"])


def answered(connection: socket.socket, kept: dict[str, Kept]) -> None:
    """The supervisor's side: its answer."""
    document = {name: asdict(each) for name, each in kept.items()}
    connection.sendall((json.dumps(document) + "\n").encode())


def peer_uid(connection: socket.socket) -> int:
    """Whose process is at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, uid, _ = _PEER.unpack(credentials)
    return int(uid)


def _line(connection: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        part = connection.recv(4096)
        if not part or len(received) > _MOST:
            raise ValueError("no line came")
        received += part
    return received
