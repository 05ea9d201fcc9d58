"""What lies at a socket's path before somebody listens there."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsm_mpc.agent.sockets import clear_stale, short_name, somebody_listens
from hsm_mpc.errors import BackendError, BadConfig
from tests.secure.children import become_nobody, fate_of


@contextmanager
def listening(path: Path, backlog: int = 1) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        with short_name(path) as name:
            listener.bind(name)
        listener.listen(backlog)
        yield listener


def test_nothing_is_nothing(tmp_path: Path) -> None:
    clear_stale(tmp_path / "socket")
    clear_stale(tmp_path / "no folder" / "socket")
    assert not somebody_listens(tmp_path / "no folder" / "socket")


def test_a_socket_that_nobody_listens_at_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listening(path):
        pass
    assert path.is_socket()
    clear_stale(path)
    assert not path.exists()


def test_another_process_is_left_in_peace(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listening(path):
        with pytest.raises(BackendError, match="another process listens"):
            clear_stale(path)
        assert path.is_socket()


def test_one_that_is_too_busy_listens_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listening(path, backlog=0), socket.socket(socket.AF_UNIX) as first:
        first.connect(str(path))
        assert somebody_listens(path)


def test_a_socket_of_somebody_else_counts_as_used(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    with listening(path):
        path.chmod(0o600)

        def look() -> bool:
            become_nobody()
            return somebody_listens(path)

        assert fate_of(look) == "True"


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_not_removed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "socket"
    if kind == "file":
        path.write_text("")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("elsewhere")
    with pytest.raises(BadConfig, match="no socket"):
        clear_stale(path)
    assert os.path.lexists(path)


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="file"):
        clear_stale(tmp_path / "file" / "socket")


def test_a_long_path_has_a_short_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with listening(folder / "socket"):
        assert (folder / "socket").is_socket()
        assert somebody_listens(folder / "socket")
