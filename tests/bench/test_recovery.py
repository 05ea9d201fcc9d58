from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from hsm_mpc.app import bench as bench_app
from hsm_mpc.bench import recovery
from hsm_mpc.errors import BackendError
from hsm_mpc.lab.kinds import KINDS
from hsm_mpc.lab.processes import descendants
from tests.cli.conftest import Run


class DyingServer:
    """A process of the server's name beside a signer; once it was killed another one listens."""

    def __init__(self, folder: Path) -> None:
        program = folder / "p11-kit-server"
        shutil.copy("/bin/sleep", program)
        self.signer = subprocess.Popen(["sh", "-c", f"{program} 60 & wait; sleep 60"])
        self.socket = folder / "socket"
        self.listener = socket.socket(socket.AF_UNIX)
        self.tries = 0

    def sign(self, message: bytes) -> None:
        """Well before the kill, and after three tries more."""
        assert len(message) == 32
        self.tries += 1
        if self.tries in (2, 3):
            raise BackendError("the HSM is away")
        if self.tries == 4:
            self.listener.bind(str(self.socket))
            self.listener.listen()
            raise BackendError("the HSM is looked for")

    def end(self) -> None:
        self.signer.kill()
        self.signer.wait()
        self.listener.close()


def test_a_server_is_killed_and_signatures_are_asked_for_until_one_is_good(tmp_path: Path) -> None:
    server = DyingServer(tmp_path)
    try:
        while descendants(server.signer.pid) == {}:
            assert server.signer.poll() is None
        row = recovery.row(server.sign, server.signer.pid, server.socket, returns=1)
    finally:
        server.end()
    assert server.tries == 5
    assert row.wall_us is not None
    assert row.wall_us > 0
    assert row.note.endswith("1 returns of a killed server; target: 1 s")
    assert "p11-kit-server" not in descendants(server.signer.pid).values()


def test_a_signature_that_fails_before_any_kill_measures_nothing(tmp_path: Path) -> None:
    def refused(_: bytes) -> None:
        raise BackendError("it never worked")

    with pytest.raises(BackendError, match="never worked"):
        recovery.row(refused, 0, tmp_path, returns=1)


def test_a_system_without_p11_kit_leaves_the_row_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsm_mpc.lab.kind.ROOT", tmp_path)
    monkeypatch.delenv(KINDS["p11kit"].variable, raising=False)
    monkeypatch.setenv(KINDS["softhsm"].variable, "/module.so")
    (row,) = bench_app.run(recovery.NAME, quick=True, progress=lambda _: None).rows
    assert row.wall_us is None
    assert row.note.startswith("left out: no module of p11kit is known")


@pytest.mark.long
def test_a_real_server_is_killed_and_comes_back(run: Run) -> None:
    ran = run("--json", "bench", "--quick", "--only", recovery.NAME)
    assert ran.code == 0, ran.err
    (row,) = ran.document["rows"]
    assert row["name"] == "hsm.recovery"
    assert (row["t"], row["n"]) == (2, 2)
    assert row["wall_us"] > 0
    assert "2 returns" in row["note"]
