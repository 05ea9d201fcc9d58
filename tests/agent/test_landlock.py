"""What a confined process can no longer do. Each test confines a child."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm_mpc.agent import landlock
from tests.conftest import NO_LANDLOCK
from tests.secure.children import fate_of

pytestmark = pytest.mark.skipif(not landlock.abi(), reason=NO_LANDLOCK)

Action = Callable[[], object]


@pytest.fixture
def sockets(tmp_path: Path) -> Path:
    folder = tmp_path / "sockets"
    folder.mkdir()
    (tmp_path / "secret").write_text("a PIN, say")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "module").write_text("code")
    return folder


def confined(sockets: Path, action: Action) -> str:
    """How `action` ends in a process that is confined to sockets in `sockets`."""

    def work() -> object:
        landlock.confine(sockets, [sockets.parent / "public", Path("/dev/urandom")])
        return action()

    return fate_of(work)


def test_it_opens_no_file(sockets: Path) -> None:
    secret = sockets.parent / "secret"
    assert confined(sockets, secret.read_text).startswith("PermissionError")
    assert confined(sockets, lambda: os.listdir(sockets.parent)).startswith("PermissionError")
    assert confined(sockets, lambda: secret.write_text("x")).startswith("PermissionError")
    assert confined(sockets, lambda: secret.unlink()).startswith("PermissionError")
    assert fate_of(secret.read_text) == "a PIN, say"


def test_it_writes_no_file_beside_its_sockets(sockets: Path) -> None:
    assert confined(sockets, lambda: (sockets / "file").write_text("x")).startswith("Permission")


def test_it_reads_what_it_was_left(sockets: Path) -> None:
    module = sockets.parent / "public" / "module"
    assert confined(sockets, module.read_text) == "code"
    assert confined(sockets, lambda: len(os.listdir(module.parent))) == "1"
    assert confined(sockets, lambda: module.write_text("x")).startswith("PermissionError")
    assert confined(sockets, lambda: os.open("/dev/urandom", os.O_RDONLY) > 0) == "True"


def test_it_starts_no_program(sockets: Path) -> None:
    def start() -> object:
        return os.posix_spawn("/bin/sh", ["sh", "-c", ":"], {})

    assert confined(sockets, start).startswith("PermissionError")


def test_it_makes_and_removes_its_sockets(sockets: Path) -> None:
    def make() -> str:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(sockets / "s"))
            listener.listen()
            (sockets / "s").unlink()
        return "done"

    assert confined(sockets, make) == "done"


def test_it_makes_no_socket_elsewhere(sockets: Path) -> None:
    def make() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(sockets.parent / "s"))

    assert confined(sockets, make).startswith("PermissionError")


@pytest.mark.skipif(not landlock.closes_network(), reason=NO_LANDLOCK)
def test_it_connects_and_listens_by_no_tcp(sockets: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()

        def connect() -> None:
            socket.create_connection(address).close()

        def listen() -> None:
            socket.create_server(("127.0.0.1", 0)).close()

        assert confined(sockets, connect).startswith("PermissionError")
        assert confined(sockets, listen).startswith("PermissionError")
        assert fate_of(connect) == "None"


@pytest.mark.skipif(not landlock.closes_network(), reason=NO_LANDLOCK)
def test_it_signals_nobody_outside(sockets: Path) -> None:
    parent = os.getpid()
    assert confined(sockets, lambda: os.kill(parent, 0)).startswith("PermissionError")
    assert confined(sockets, lambda: os.kill(os.getpid(), 0)) == "None"


def test_open_descriptors_stay_usable(sockets: Path) -> None:
    with (sockets.parent / "secret").open() as file:
        assert confined(sockets, file.read) == "a PIN, say"


def test_it_gains_no_privileges_any_more(sockets: Path) -> None:
    status = Path("/proc/self/status").open

    def privileges() -> str:
        with status() as file:
            return next(line for line in file if line.startswith("NoNewPrivs"))

    def work() -> str:
        file = status()
        landlock.confine(sockets, [])
        with file:
            return next(line for line in file if line.startswith("NoNewPrivs"))

    assert fate_of(privileges).split()[1] == "0"
    assert fate_of(work).split()[1] == "1"


def test_it_leaves_no_descriptor_open(sockets: Path) -> None:
    def next_descriptor() -> int:
        descriptor = os.dup(0)
        os.close(descriptor)
        return descriptor

    def work() -> bool:
        before = next_descriptor()
        landlock.confine(sockets, [sockets])
        return next_descriptor() == before

    assert fate_of(work) == "True"


def test_threads_that_run_already_would_stay_free_so_it_is_refused(sockets: Path) -> None:
    def work() -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        landlock.confine(sockets, [])

    assert fate_of(work).startswith("BackendError: confined too late")


def test_a_folder_that_is_not_there_is_named(sockets: Path) -> None:
    assert "no folder" in fate_of(lambda: landlock.confine(sockets / "no folder", []))


def test_a_kernel_without_landlock_is_told(monkeypatch: pytest.MonkeyPatch, sockets: Path) -> None:
    monkeypatch.setattr(landlock, "_CREATE_RULESET", 100_000)  # no such system call
    assert landlock.abi() == 0
    assert not landlock.closes_network()
    assert fate_of(lambda: landlock.confine(sockets, [])).startswith("BackendError: landlock")
