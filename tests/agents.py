"""OpenSSH's own agent, with keys of every kind."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm_mpc import ssh_agent
from tests.programs import program


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An agent without keys."""
    place = tmp_path / "agent"
    with subprocess.Popen(
        [program("ssh-agent"), "-D", "-a", str(place)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()  # it says so once it listens
        monkeypatch.setenv(ssh_agent.SOCKET, str(place))
        yield place
        running.send_signal(signal.SIGTERM)


def add(folder: Path, *kind: str, confirm: bool = False) -> None:
    """A new key of this kind, called as its file."""
    file = folder / "-".join(kind)
    made = [program("ssh-keygen"), "-q", "-N", "", "-C", file.name, "-f", str(file), "-t", *kind]
    subprocess.run(made, check=True)
    put_in(file, confirm=confirm)


def put_in(file: Path, *, confirm: bool = False) -> None:
    """The key in this file; `confirm`: somebody has to say yes each time."""
    options = ["-c"] if confirm else []
    subprocess.run([program("ssh-add"), "-q", *options, str(file)], check=True)


def forget_all() -> None:
    """No key is left."""
    subprocess.run([program("ssh-add"), "-q", "-D"], check=True)
