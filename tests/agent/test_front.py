"""The front as coordinators meet it: the real program, and a test in the signer's place."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from unittest.mock import Mock

import grpc
import pytest

from hsm_mpc.agent import front, landlock
from hsm_mpc.agent.keeper import FrontKeeper, FrontPlace, environment
from hsm_mpc.agent.workers import Workers
from hsm_mpc.errors import BackendError, BadEncoding
from hsm_mpc.wire.calls import MOST_BYTES, Call, answer_of, failure_of, parts_of
from hsm_mpc.wire.frames import FrameCaller, FrameSocket
from hsm_mpc.wire.grpc_transport import HOLDER, GrpcTransport, socket_address
from hsm_mpc.wire.transport import Answer
from tests.agent.processes import is_alive, until
from tests.conftest import NO_LANDLOCK
from tests.secure.children import fate_of

SOON = 10.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: a socket's path has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hm-") as made:
        yield Path(made)


@contextmanager
def running(place: FrontPlace, answer: Answer) -> Iterator[FrontKeeper]:
    """A front whose signer answers like this."""
    with ExitStack() as stack:
        workers = Workers(answer, 2)
        stack.callback(workers.end, SOON)
        keeper = FrontKeeper(place, workers, time.monotonic, lambda _: None)
        stack.callback(keeper.end)
        keeper.start()
        until(lambda: keeper.listens, "a front that listens")
        yield keeper


def echo(source: bytes) -> bytes:
    return answer_of(Call.from_bytes(source).parts)


def called(path: Path, *parts: bytes) -> Sequence[bytes]:
    with closing(GrpcTransport(HOLDER, socket_address(path))) as link:
        return link.call(1, parts, SOON)


def raw(path: Path, body: bytes) -> bytes:
    """What the front answers to these bytes, whatever they are."""
    with grpc.insecure_channel(socket_address(path)) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/{HOLDER}/Call")
        return call(body, timeout=SOON)


def test_calls_and_answers_pass_byte_for_byte(folder: Path) -> None:
    path = folder / "front"
    with running(FrontPlace(path), echo):
        assert called(path, b"one", b"", bytes(100_000)) == (b"one", b"", bytes(100_000))
    assert not path.exists()


def test_many_callers_are_answered_each_with_its_own(folder: Path) -> None:
    path = folder / "front"
    answers: dict[int, Sequence[bytes]] = {}

    def ask(number: int) -> None:
        answers[number] = called(path, b"%d" % number)

    with running(FrontPlace(path), echo):
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)
    assert answers == {number: (b"%d" % number,) for number in range(24)}


def test_a_call_without_a_byte_or_with_too_many_never_reaches_the_signer(folder: Path) -> None:
    path = folder / "front"
    reached: list[bytes] = []

    def answer(source: bytes) -> bytes:
        reached.append(source)
        return answer_of(())

    with running(FrontPlace(path), answer) as keeper:
        for body in (b"", bytes(MOST_BYTES + 1)):
            with pytest.raises(BadEncoding, match="a call has 1 to"):
                parts_of(raw(path, body))
        assert keeper.listens
        largest = bytes(MOST_BYTES)
        assert parts_of(raw(path, largest)) == ()
    assert reached == [largest]


def test_only_its_own_user_may_dial(folder: Path) -> None:
    path = folder / "front"
    with running(FrontPlace(path), echo):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_group_may_dial_if_it_is_named(folder: Path) -> None:
    path = folder / "front"
    group = 4711 if os.geteuid() == 0 else [*os.getgroups(), os.getegid()][0]
    with running(FrontPlace(path, group=group), echo):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert path.stat().st_gid == group


def test_a_group_that_cannot_be_given_the_socket_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front, "GrpcServer", Mock())  # it makes no socket
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fate = fate_of(lambda: front.run(theirs, folder / "front", os.getegid()))
    assert fate.startswith("BackendError")
    assert "group" in fate


def test_a_call_under_way_is_answered_before_the_front_ends(folder: Path) -> None:
    path = folder / "front"
    begun, go_on = threading.Event(), threading.Event()

    def slowly(source: bytes) -> bytes:
        begun.set()
        go_on.wait(SOON)
        return echo(source)

    with running(FrontPlace(path), slowly) as keeper, ThreadPoolExecutor(2) as threads:
        call = threads.submit(called, path, b"last")
        assert begun.wait(SOON)
        ending = threads.submit(keeper.end)
        until(lambda: not path.exists(), "the end of its socket")
        go_on.set()
        assert call.result() == (b"last",)
        ending.result()


STARTER = """
import os, subprocess, sys
from pathlib import Path
from hsm_mpc.agent.keeper import FrontPlace, environment
descriptor = int(sys.argv[1])
command = FrontPlace(Path(sys.argv[2])).command(descriptor)
front = subprocess.Popen(command, pass_fds=(descriptor,), env=environment())
print(front.pid, flush=True)
sys.stdin.read()
"""


def test_a_front_ends_with_the_process_that_started_it_though_the_link_is_open(
    folder: Path,
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, str(theirs.fileno()), str(folder / "front")],
            pass_fds=(theirs.fileno(),),
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        number, call = FrameSocket(ours).receive()
        FrameSocket(ours).send(number, call)
        starter.kill()
        starter.communicate()
        until(lambda: not is_alive(pid), "its end")


def test_a_front_whose_signer_is_gone_goes_and_takes_its_socket_along(folder: Path) -> None:
    path = folder / "front"
    with running(FrontPlace(path), echo) as keeper:
        pid, kept = keeper.pid, keeper._running
        assert pid is not None
        assert kept is not None
        kept.link.cut()
        until(lambda: not is_alive(pid), "its end")
        assert not path.exists()


def test_a_socket_that_a_killed_front_left_is_taken_over(folder: Path) -> None:
    path = folder / "front"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with running(FrontPlace(path), echo):
        assert called(path, b"x") == (b"x",)


def alone(path: Path, parent: int | None = None) -> tuple[int, str]:
    """Exit code and stderr of a front that ends by itself."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        place = FrontPlace(path)
        command = place.command(theirs.fileno())
        if parent is not None:
            command[command.index(str(os.getpid()))] = str(parent)
        done = subprocess.run(
            command,
            pass_fds=(theirs.fileno(),),
            env=environment(),
            stderr=subprocess.PIPE,
            timeout=SOON,
            check=False,
        )
    return done.returncode, done.stderr.decode()


def test_a_front_takes_no_socket_from_a_process_that_listens(folder: Path) -> None:
    path = folder / "front"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        code, said = alone(path)
    assert code == 4
    assert "another process listens" in said


def test_a_front_that_cannot_listen_says_why(folder: Path) -> None:
    path = folder / "front"
    path.mkdir()
    code, said = alone(path)
    assert code == 2
    assert "no socket" in said


def test_a_front_that_starts_after_its_signer_ended_does_nothing(folder: Path) -> None:
    assert alone(folder / "front", parent=1) == (0, "")
    assert not (folder / "front").exists()


def test_a_relay_without_a_signer_says_so() -> None:
    ours, theirs = socket.socketpair()
    caller = FrameCaller(theirs)
    ours.close()
    assert caller.ended.wait(SOON)
    assert front.Relay(caller).answer(b"call") == failure_of(
        BackendError("the process at the other end is gone")
    )
    theirs.close()


@pytest.mark.skipif(not landlock.abi(), reason=NO_LANDLOCK)
def test_it_gives_its_rights_up_before_it_listens(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = folder / "secret"
    secret.write_text("a PIN, say")

    def prying(*_: object) -> None:
        secret.read_text()

    monkeypatch.setattr(front, "GrpcServer", prying)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        fate = fate_of(lambda: front.run(theirs, folder / "front", None))
    assert fate.startswith("PermissionError")


def test_its_modules_need_no_library_that_could_use_a_secret() -> None:
    check = (
        "import sys, hsm_mpc.agent.front\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "secret = {'cryptography', 'pydantic', 'yaml', 'pkcs11', 'nacl', 'coincurve', 'cffi'}\n"
        "assert not loaded & secret, loaded & secret\n"
    )
    subprocess.run([sys.executable, "-c", check], env=environment(), check=True)
