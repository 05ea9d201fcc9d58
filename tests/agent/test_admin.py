"""The admin socket: who is heard, and what an answer becomes."""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsm_mpc.agent import admin, landlock
from hsm_mpc.agent.admin import AdminMethod, AdminServer, ask
from hsm_mpc.agent.sockets import short_name
from hsm_mpc.errors import BackendError, BadConfig, Refused
from hsm_mpc.secure.process import require_shielded
from hsm_mpc.wire.calls import Call, answer_of, failure_of
from hsm_mpc.wire.frames import FrameSocket
from tests.conftest import NO_LANDLOCK
from tests.secure.children import become_nobody, fate_of

SOON = 5.0
NOT_HEARD = ""


def shout(source: bytes) -> bytes:
    call = Call.from_bytes(source)
    if call.method == AdminMethod.DISCARD:
        return failure_of(Refused("some-rule", "no"))
    return answer_of([b" ".join(call.parts).upper()])


@pytest.fixture
def ticket(tmp_path: Path) -> Path:
    file = tmp_path / "lock"
    file.touch(0o600)
    return file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "admin" / "socket"


@pytest.fixture
def server(path: Path, ticket: Path) -> Iterator[AdminServer]:
    made = AdminServer(path, ticket, shout)
    yield made
    assert made.end(SOON)


def told(path: Path, show: Callable[[socket.socket], object]) -> str:
    """What a peer is told that shows this as its ticket; `NOT_HEARD` if it is not heard."""
    with socket.socket(socket.AF_UNIX) as connection, short_name(path) as name:
        connection.settimeout(SOON)
        connection.connect(name)
        frames = FrameSocket(connection)
        try:
            show(connection)
            frames.send(1, Call(AdminMethod.STATUS, (b"hello",)).to_bytes())
            return frames.receive()[1].decode()
        except (BackendError, BrokenPipeError):
            return NOT_HEARD


def showing(file: Path, flags: int = os.O_RDONLY) -> Callable[[socket.socket], None]:
    def show(connection: socket.socket) -> None:
        descriptor = os.open(file, flags)
        socket.send_fds(connection, [b"\1"], [descriptor])
        os.close(descriptor)

    return show


@pytest.mark.usefixtures("server")
def test_a_question_is_answered(path: Path, ticket: Path) -> None:
    assert ask(path, ticket, AdminMethod.STATUS, [b"who", b"there"]) == b"WHO THERE"


@pytest.mark.usefixtures("server")
def test_what_the_signer_refuses_is_raised_here(path: Path, ticket: Path) -> None:
    with pytest.raises(Refused, match="no") as refused:
        ask(path, ticket, AdminMethod.DISCARD, [])
    assert refused.value.rule == "some-rule"


def test_without_a_signer_there_is_no_answer(path: Path, ticket: Path) -> None:
    assert ask(path, ticket, AdminMethod.STATUS, []) is None
    assert ask(path, ticket.parent / "no store", AdminMethod.STATUS, []) is None
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert ask(path, ticket, AdminMethod.STATUS, []) is None


def test_whoever_may_not_read_the_store_is_told(path: Path, ticket: Path) -> None:
    with pytest.raises(BackendError, match="directory"):
        ask(path, ticket.parent, AdminMethod.STATUS, [])


@pytest.mark.usefixtures("server")
def test_a_peer_that_opened_the_ticket_is_heard(path: Path, ticket: Path) -> None:
    assert "HELLO" in told(path, showing(ticket))


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("shown", ["nothing", "another file", "only its name", "a wrong word"])
def test_a_peer_that_cannot_open_the_ticket_is_not_heard(
    path: Path, ticket: Path, shown: str
) -> None:
    other = ticket.parent / "other"
    other.touch()
    show: dict[str, Callable[[socket.socket], object]] = {
        "nothing": lambda connection: connection.sendall(b"\1"),
        "another file": showing(other),
        "only its name": showing(ticket, os.O_PATH),
        "a wrong word": lambda connection: socket.send_fds(
            connection, [b"\2"], [os.open(ticket, os.O_RDONLY)]
        ),
    }
    assert told(path, show[shown]) == NOT_HEARD


def test_descriptors_that_are_handed_over_are_closed(
    path: Path, ticket: Path, server: AdminServer
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        told(path, showing(ticket))
        told(path, showing(ticket, os.O_PATH))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("user", ["own", "another"])
def test_another_user_is_not_heard_whatever_it_shows(path: Path, ticket: Path, user: str) -> None:
    """Somebody opened all doors for it: only its uid stands in its way."""
    path.parent.chmod(0o711)
    path.chmod(0o666)
    with ticket.open() as shown, short_name(path) as name:

        def work() -> str:
            if user == "another":
                become_nobody()
            return told(Path(name), lambda peer: socket.send_fds(peer, [b"\1"], [shown.fileno()]))

        fate = fate_of(work)
    assert (fate == NOT_HEARD) is (user == "another" and os.geteuid() == 0)


@pytest.mark.skipif(not landlock.abi(), reason=NO_LANDLOCK)
@pytest.mark.usefixtures("server")
def test_a_front_that_somebody_took_over_is_not_heard(path: Path, ticket: Path) -> None:
    """Landlock lets it connect, and it has the right uid; but it opens no file."""

    def confined(flags: int) -> str:
        landlock.confine(ticket.parent / "sockets", [])
        return told(path, showing(ticket, flags))

    (ticket.parent / "sockets").mkdir()
    assert fate_of(lambda: confined(os.O_RDONLY)).startswith("PermissionError")
    assert fate_of(lambda: confined(os.O_PATH)) == NOT_HEARD


def test_only_the_own_uid_and_root_count_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = socket.socketpair()
    with one, other:
        assert admin._is_ours(one, os.geteuid())
        monkeypatch.setattr(admin, "_ROOT", os.geteuid())
        assert admin._is_ours(one, os.geteuid() + 1)
        monkeypatch.setattr(admin, "_ROOT", os.geteuid() + 2)
        assert not admin._is_ours(one, os.geteuid() + 1)


@pytest.mark.usefixtures("server")
def test_a_process_of_another_user_is_no_signer(
    path: Path, ticket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "_is_ours", lambda *_: False)
    with pytest.raises(BackendError, match="another user's process"):
        ask(path, ticket, AdminMethod.STATUS, [])


@pytest.mark.usefixtures("server")
def test_the_socket_is_private(path: Path) -> None:
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o750, 0o701])
def test_a_folder_that_is_not_private_is_refused(path: Path, ticket: Path, mode: int) -> None:
    path.parent.mkdir()
    path.parent.chmod(mode)
    with pytest.raises(BadConfig, match="chmod 700"):
        AdminServer(path, ticket, shout)


def test_a_folder_of_another_user_is_refused(path: Path, ticket: Path) -> None:
    path.parent.mkdir(mode=0o700)

    def another_user() -> None:
        uid = os.geteuid() + 1
        os.geteuid = lambda: uid
        AdminServer(path, ticket, shout)

    assert fate_of(another_user).startswith("BadConfig")


@pytest.mark.usefixtures("server")
def test_a_second_signer_does_not_take_the_socket(path: Path, ticket: Path) -> None:
    with pytest.raises(BackendError, match="another process listens"):
        AdminServer(path, ticket, shout)


def test_a_peer_that_says_nothing_does_not_keep_the_next_one_waiting(
    path: Path, ticket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "_PATIENCE", 0.05)
    server = AdminServer(path, ticket, shout)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(path))
        assert ask(path, ticket, AdminMethod.STATUS, [b"x"]) == b"X"
    assert server.end(SOON)


def test_its_end_removes_the_socket_and_waits_for_the_call_under_way(
    path: Path, ticket: Path
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slowly(source: bytes) -> bytes:
        begun.set()
        may_end.wait(SOON)
        return shout(source)

    server = AdminServer(path, ticket, slowly)
    answers: list[bytes | None] = []
    peer = threading.Thread(
        target=lambda: answers.append(ask(path, ticket, AdminMethod.STATUS, [b"x"]))
    )
    peer.start()
    assert begun.wait(SOON)
    assert not server.end(0.05)
    assert not path.exists()
    assert server._listener.fileno() == -1
    may_end.set()
    peer.join(SOON)
    assert answers == [b"X"]


def test_it_answers_where_no_signal_comes(path: Path, ticket: Path) -> None:
    def answer(source: bytes) -> bytes:
        require_shielded()
        return shout(source)

    server = AdminServer(path, ticket, answer)
    assert ask(path, ticket, AdminMethod.STATUS, [b"x"]) == b"X"
    assert server.end(SOON)


def test_a_verb_waits_no_longer_than_it_wants(
    path: Path, ticket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def slowly(source: bytes) -> bytes:
        go_on.wait(SOON)
        return shout(source)

    monkeypatch.setattr(admin, "LONGEST_CALL", 0.05)
    server = AdminServer(path, ticket, slowly)
    with pytest.raises(BackendError):
        ask(path, ticket, AdminMethod.STATUS, [b"x"])
    assert not go_on.is_set()
    go_on.set()
    assert server.end(SOON)


def test_a_listener_that_fails_does_not_keep_a_processor_busy(server: AdminServer) -> None:
    server._listener.shutdown(socket.SHUT_RDWR)
    begun = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - begun < 0.1
