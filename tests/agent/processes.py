"""A holder on its own SoftHSM token, and its signer as a real process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hsm_mpc.card import Card, roster_of_cards
from hsm_mpc.wire.grpc_transport import HOLDER, GrpcTransport, socket_address
from tests.conftest import ROOT
from tests.memory_folder import IN_MEMORY
from tests.software_identity import ed25519_key

COORDINATOR = ed25519_key(b"1" * 32)
CLIENT = ed25519_key(b"2" * 32)
COMMAND = [sys.executable, "-m", "hsm_mpc.cli.main"]
PATIENCE = 20.0
"""Seconds; this machine may be busy."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that comes about by itself."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"it did not come about: {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended; the dead that nobody buried are dead."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@dataclass(frozen=True)
class Place:
    """A holder's folder after `holder init`, with a roster; short, for it holds a socket."""

    folder: Path

    @classmethod
    @contextmanager
    def made(cls, n: int) -> Iterator[tuple[Place, ...]]:
        """The holders of one lab roster, each with a token of its own."""
        above = Path(tempfile.mkdtemp(prefix="hm-", dir=IN_MEMORY))
        try:
            places = tuple(cls._initialised(above / f"h{index}") for index in range(1, n + 1))
            roster = roster_of_cards([place.card() for place in places], in_lab=True).to_bytes()
            for place in places:
                place.roster.write_bytes(roster)
            yield places
        finally:
            shutil.rmtree(above)

    @classmethod
    def _initialised(cls, folder: Path) -> Place:
        place = cls(folder)
        run("lab", "holder", "--dir", str(folder), "--name", folder.name)
        place.ran("holder", "init")
        document = yaml.safe_load(place.config.read_text("utf-8")) | {
            "front": {"socket": "run/front"},
            "admin_socket": "admin/socket",
            "coordinators": [{"number": 0x8000, "key": COORDINATOR.public.encoded.hex()}],
            "clients": [{"name": "me", "key": CLIENT.public.encoded.hex()}],
        }
        place.config.write_text(yaml.safe_dump(document), "utf-8")
        return place

    def card(self) -> Card:
        return Card.from_bytes((self.folder / "store" / "card").read_bytes())

    @property
    def config(self) -> Path:
        return self.folder / "holder.yaml"

    @property
    def roster(self) -> Path:
        return self.folder / "roster"

    @property
    def front_socket(self) -> Path:
        return self.folder / "run" / "front"

    @property
    def admin_socket(self) -> Path:
        return self.folder / "admin" / "socket"

    def dialled(self) -> GrpcTransport:
        return GrpcTransport(HOLDER, socket_address(self.front_socket))

    def sockets(self) -> list[Path]:
        """What a signer that has ended must not leave."""
        return [path for path in self.folder.rglob("*") if path.is_socket()]

    def ran(self, *verb: str) -> Any:
        """What a verb of this holder prints, as a JSON document. It must succeed."""
        return run("--config", str(self.config), *verb)

    def state(self) -> str:
        """What `status` says, whatever its exit code."""
        command = [*COMMAND, "--config", str(self.config), "--json", "status"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
        return str(json.loads(done.stdout)["state"])

    def failed(self, *verb: str, **options: Any) -> tuple[int, Any]:
        """Exit code of a verb that fails, and its error."""
        command = [*COMMAND, "--config", str(self.config), "--json", *verb]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, **options)
        assert done.returncode != 0
        return done.returncode, json.loads(done.stdout)["error"]


def run(*arguments: str) -> Any:
    """The JSON document that `hsm-mpc` prints; it must succeed."""
    command = [*COMMAND, "--json", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)


class Signer:
    """`agent run` of a place, from its ready line on."""

    def __init__(self, place: Place, **options: Any) -> None:
        command = [*COMMAND, "--config", str(place.config), "--json", "agent", "run"]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=self._log, **options
        )
        assert self.process.stdout is not None
        self.ready = json.loads(self._first_document(self.process.stdout.fileno()))

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def front(self) -> int:
        """The pid of the first front."""
        return int(self.ready["front_pid"])

    def log(self) -> str:
        """Its stderr so far, and its front's."""
        self._log.seek(0)
        return self._log.read().decode()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Its exit code after this signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
        return code

    def _first_document(self, descriptor: int) -> str:
        said = b""
        while not said.endswith(b"}\n"):
            part = os.read(descriptor, 4096)
            assert part, (said, self.process.wait(PATIENCE), self.log())
            said += part
        return said.decode()


@contextmanager
def signer_of(place: Place, **options: Any) -> Iterator[Signer]:
    """A signer, ended at the end if the body did not end it."""
    signer = Signer(place, **options)
    try:
        yield signer
    finally:
        signer.end()
