"""The folder of a lab's sockets is short, private and nobody else's."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from hsm_mpc.lab import sockets
from hsm_mpc.wire.grpc_transport import socket_address


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short folder in the place of the runtime folder."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def test_a_new_folder_is_private_and_in_the_runtime_folder(short: Path) -> None:
    folder = sockets.prepare("")
    assert folder.parent == short
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_one_that_was_there_before_is_taken_again(short: Path) -> None:
    folder = sockets.prepare("")
    assert sockets.prepare(str(folder)) == folder
    sockets.remove(str(folder))
    assert not folder.exists()
    assert sockets.prepare(str(folder)) == folder


def test_one_that_others_may_enter_is_not_taken(short: Path) -> None:
    folder = sockets.prepare("")
    folder.chmod(0o755)
    assert sockets.prepare(str(folder)) != folder


def test_a_link_that_somebody_put_there_is_not_taken(short: Path, tmp_path: Path) -> None:
    trap = short / "hsm-mpc-trap"
    trap.symlink_to(tmp_path)
    assert sockets.prepare(str(trap)) != trap
    sockets.remove(str(trap))
    assert tmp_path.is_dir()


def test_one_whose_parent_is_gone_is_replaced(short: Path) -> None:
    assert sockets.prepare(str(short / "gone" / "hsm-mpc-x")).parent == short


def test_only_our_own_folders_are_removed(short: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    sockets.remove(str(tmp_path))
    assert tmp_path.is_dir()
    sockets.remove("")


@pytest.mark.parametrize("named", ["", "relative", "/nowhere/at/all", "/tmp/" + "x" * 80])
def test_a_runtime_folder_that_cannot_be_used_is_left(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", named)
    monkeypatch.setattr(tempfile, "tempdir", "/" + "y" * 80)
    folder = sockets.prepare("")
    assert folder.parent == Path("/tmp")
    folder.rmdir()


def test_every_socket_is_short_enough_for_grpc() -> None:
    place = Path("/" + "x" * 59) / "hsm-mpc-12345678"
    for path in (
        sockets.front(place, "h32"),
        sockets.coordinator(place),
        sockets.supervisor(place),
    ):
        assert socket_address(path)
    assert sockets.front(place, "h1").parent != sockets.front(place, "h2").parent
