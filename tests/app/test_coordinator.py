"""A coordinator and a client from their configuration files."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from hsm_mpc.app import client, coordinator
from hsm_mpc.config import load_coordinator
from hsm_mpc.errors import BackendError, BadConfig, NameTaken
from hsm_mpc.lab.processes import environment
from tests.coordinator.test_links import ROSTER


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, as there are sockets in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        (Path(name) / "roster").write_bytes(ROSTER.to_bytes())
        yield Path(name)


def configured(folder: Path, **changes: object) -> Path:
    """A coordinator.yaml of the roster's holders, none of which listens."""
    path = folder / "coordinator.yaml"
    document = {
        "version": 1,
        "number": 0x8000,
        "key": "key",
        "roster": "roster",
        "registry": "registry.sqlite",
        "listen": "c.sock",
        "holders": {"h1": "h1.sock", "h2": "h2.sock", "h3": "h3.sock"},
    }
    path.write_text(yaml.safe_dump({**document, **changes}))
    return path


def client_configured(folder: Path) -> Path:
    path = folder / "client.yaml"
    names = {"name": "me", "key": "me.key", "roster": "roster", "coordinator": "c.sock"}
    path.write_text(yaml.safe_dump({"version": 1, **names}))
    return path


def test_a_coordinator_has_one_key(folder: Path) -> None:
    made = coordinator.init(configured(folder))
    assert made.number == 0x8000
    assert len(bytes.fromhex(made.key)) == 32
    with pytest.raises(NameTaken):
        coordinator.init(configured(folder))


def test_a_client_has_one_key_and_a_public_half_to_give_away(folder: Path) -> None:
    made = client.init(client_configured(folder))
    assert made.file.read_text() == f"me {made.key}\n"
    with pytest.raises(NameTaken):
        client.init(client_configured(folder))


def test_a_client_without_a_coordinator_says_so(folder: Path) -> None:
    path = client_configured(folder)
    client.init(path)
    with (
        pytest.raises(BackendError, match="nobody listens"),
        client.connected(path, patience=0.1),
    ):
        pass


def test_a_log_that_cannot_be_written_ends_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/full is a disk that is full; a pipe that nobody reads answers so, too."""
    told = []
    with (
        pytest.raises(OSError, match="No space left"),
        Path("/dev/full").open("w") as full,
        monkeypatch.context() as written,
    ):
        written.setattr(sys, "stderr", full)
        for epoch in (1, 2):
            coordinator._log(f"schedule: treasury is in epoch {epoch}")
            told.append(epoch)
    assert told == [1, 2]


def test_a_client_and_a_monitor_get_answers_from_a_coordinator_that_starts_and_ends(
    folder: Path,
) -> None:
    port = free_port()
    path = configured(folder, metrics_port=port)
    coordinator.init(path)
    client.init(client_configured(folder))
    process = started(path)
    try:
        with client.connected(folder / "client.yaml", patience=20) as connected:
            assert connected.names() == ()
            assert connected.there() == ()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as told:
            assert b"# HELP hsm_mpc_wallet_epoch " in told.read()
        assert (folder / "c.sock").stat().st_mode & 0o777 == 0o600
        second = started(path)
        assert second.wait(20) == 4
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def free_port() -> int:
    """Of 127.0.0.1: nobody listens there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


def started(path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hsm_mpc.cli.main", "--config", str(path)]
    return subprocess.Popen(
        [*command, "coordinator", "run"],
        env=environment(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_holder_that_is_not_in_the_roster_is_refused(folder: Path) -> None:
    path = configured(folder, holders={"h4": "h4.sock"})
    coordinator.init(path)
    config = load_coordinator(path)
    with pytest.raises(BadConfig, match="h4 does not stand in the roster"):
        coordinator._serving(config).__enter__()


def test_a_socket_at_which_another_listens_is_refused(folder: Path) -> None:
    path = configured(folder)
    coordinator.init(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "c.sock"))
        listener.listen()
        with pytest.raises(BackendError, match="another process listens"):
            coordinator._serving(load_coordinator(path)).__enter__()


@pytest.mark.parametrize("content", [None, b"no roster"])
def test_a_roster_that_is_none_is_a_bad_configuration(folder: Path, content: bytes | None) -> None:
    path = configured(folder)
    coordinator.init(path)
    (folder / "roster").unlink()
    if content is not None:
        (folder / "roster").write_bytes(content)
    with pytest.raises(BadConfig, match="roster"):
        coordinator._serving(load_coordinator(path)).__enter__()
