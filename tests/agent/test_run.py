"""`agent run` as its operator meets it: real processes on a real token."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hsm_mpc.certificates.channel import Channel
from hsm_mpc.errors import BackendError, BadEncoding
from hsm_mpc.roster import Roster
from hsm_mpc.wire.calls import MOST_BYTES, HolderMethod
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import CHANNEL
from tests.agent.processes import Place, Signer, is_alive, signer_of, until
from tests.conftest import ROOT

MEBIBYTE = 1 << 20
ALLOWED_TOGETHER = 100 * MEBIBYTE


@pytest.fixture(scope="module")
def place(softhsm_module: str) -> Iterator[Place]:
    """One holder, whose signer is down between tests."""
    os.environ.setdefault("HSM_MPC_SOFTHSM_MODULE", softhsm_module)
    with Place.made(1) as (made,):
        yield made


@pytest.fixture
def signer(place: Place) -> Iterator[Signer]:
    with signer_of(place) as running:
        yield running


def channel_of(place: Place) -> Channel:
    """The channel that the holder announces, checked under the roster's identity key."""
    with closing(place.dialled()) as link:
        (source,) = link.call(HolderMethod.CHANNEL, (), 20)
    message = parse_envelope(source)
    assert message.kind is CHANNEL
    return Channel.from_bytes(
        message.payload, Roster.from_bytes(place.roster.read_bytes()).member(1).key
    )


def memory_of(pid: int) -> int:
    """Resident bytes, counting shared pages in full."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no memory")


def test_a_coordinator_reaches_the_signer_through_its_front(place: Place, signer: Signer) -> None:
    assert channel_of(place).content.lowest == 1
    assert place.ran("status")["state"] == "ready"


def test_nothing_is_left_after_sigterm(place: Place) -> None:
    lines = place.ran("audit", "verify")["lines"]
    with signer_of(place) as signer:
        assert signer.end() == 0
    assert not is_alive(signer.front)
    assert place.sockets() == []
    verified = place.ran("audit", "verify")
    assert (verified["lines"], verified["lines_after_checkpoint"]) == (lines + 1, 0)


def test_ctrl_c_ends_it_as_cleanly(place: Place) -> None:
    with signer_of(place) as signer:
        assert signer.end(signal.SIGINT) == 130
    assert not is_alive(signer.front)
    assert place.sockets() == []


def test_a_killed_front_is_started_again_and_the_signer_is_the_same(
    place: Place, signer: Signer
) -> None:
    boot = channel_of(place).content.boot
    os.kill(signer.front, signal.SIGKILL)
    until(lambda: not is_alive(signer.front), "the front's death")
    until(lambda: place.state() == "ready", "another front")
    assert place.ran("status")["front_pid"] != signer.front
    assert channel_of(place).content.boot == boot
    assert f"front {signer.front} ended (-9)" in signer.log()


def test_a_front_never_outlives_its_signer(place: Place, signer: Signer) -> None:
    os.kill(signer.pid, signal.SIGKILL)
    until(lambda: not is_alive(signer.front), "the front's end")
    assert not place.front_socket.exists()


def test_a_signer_starts_on_what_a_killed_one_left(place: Place) -> None:
    with signer_of(place) as first:
        for pid in (first.front, first.pid):
            os.kill(pid, signal.SIGSTOP)  # neither sees the other die
        for pid in (first.front, first.pid):
            os.kill(pid, signal.SIGKILL)
        first.process.wait()
    until(lambda: not is_alive(first.front), "the front's end")
    assert set(place.sockets()) == {place.front_socket, place.admin_socket}
    with signer_of(place):
        assert place.ran("status")["state"] == "ready"


def test_only_one_signer_has_a_store(place: Place, signer: Signer) -> None:
    code, error = place.failed("agent", "run")
    assert (code, error["kind"], error["retryable"]) == (4, "unavailable", True)
    assert "in use" in error["message"]


def test_the_signer_never_loads_grpc(signer: Signer) -> None:
    if os.geteuid() == 0:  # a hardened process shows itself to nobody else
        assert "grpc" not in Path(f"/proc/{signer.pid}/maps").read_text()
    every_module_of_it = (
        "import sys, hsm_mpc.app.agent, hsm_mpc.app.acting, hsm_mpc.cli.main\n"
        "assert 'grpc' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", every_module_of_it], cwd=ROOT, check=True)


def test_the_front_gets_neither_the_environment_nor_the_files_of_the_signer(
    place: Place, signer: Signer
) -> None:
    front = Path(f"/proc/{signer.front}")
    names = {
        line.partition(b"=")[0] for line in (front / "environ").read_bytes().split(b"\0") if line
    }
    assert names == {b"PYTHONPATH", b"LANG"}
    assert not [file for file in files_of(signer.front) if file.startswith(str(place.folder))]
    assert (front / "cwd").readlink() == Path("/")
    assert os.getsid(signer.front) == signer.front


def test_the_front_loads_no_library_that_could_use_a_secret(signer: Signer) -> None:
    loaded = Path(f"/proc/{signer.front}/maps").read_text()
    for library in ("cryptography", "pydantic", "pkcs11", "softhsm", "nacl", "coincurve", "cffi"):
        assert library not in loaded, library
    assert "grpc" in loaded


def test_signer_and_front_take_less_than_100_mib_together(place: Place, signer: Signer) -> None:
    for _ in range(20):
        channel_of(place)
    assert memory_of(signer.pid) + memory_of(signer.front) < ALLOWED_TOGETHER


def test_calls_that_are_none_are_refused_and_the_next_one_is_answered(
    place: Place, signer: Signer
) -> None:
    with closing(place.dialled()) as link:
        with pytest.raises(BadEncoding, match="no method 99"):
            link.call(99, (), 20)
        with pytest.raises(BadEncoding, match="1 parts where 2"):
            link.call(HolderMethod.PROPOSE, (b"",), 20)
        with pytest.raises(BadEncoding):
            link.call(HolderMethod.REQUEST, (b"nonsense",), 20)
        with pytest.raises(BadEncoding, match="bytes"):
            link.call(HolderMethod.REQUEST, (bytes(MOST_BYTES),), 20)
        with pytest.raises(BackendError, match="RESOURCE_EXHAUSTED"):
            link.call(HolderMethod.REQUEST, (bytes(2 * MOST_BYTES),), 20)
        assert link.call(HolderMethod.WALLETS, (), 20) == ()
    assert place.ran("status")["front_pid"] == signer.front


@pytest.mark.long
def test_the_operators_verbs_ask_the_running_signer(place: Place, signer: Signer) -> None:
    state = place.ran("status")
    assert (state["signer_pid"], state["front_pid"]) == (signer.pid, signer.front)
    assert place.ran("share", "list") == {"shares": []}
    assert {key["verdict"] for key in place.ran("inventory")["keys"]} == {"ok"}
    signed = place.ran("audit", "checkpoint")
    assert place.ran("audit", "verify")["last_checkpoint"] == signed
    code, error = place.failed("share", "discard", "nothing")
    assert (code, error["rule"]) == (3, "unknown-wallet")
    assert "'nothing'" in error["message"]


def test_a_wallet_that_is_not_there_is_not_inspected(place: Place) -> None:
    code, error = place.failed("share", "inspect", "nothing")
    assert (code, error["kind"]) == (2, "bad-input")
    assert "no wallet of that name" in error["message"]


@pytest.mark.long
def test_the_operators_verbs_do_without_a_signer(place: Place) -> None:
    assert place.ran("status")["signer_pid"] is None
    assert place.ran("share", "list") == {"shares": []}
    assert place.ran("audit", "checkpoint")["sequence"] > 1
    code, error = place.failed("share", "discard", "nothing")
    assert (code, error["rule"]) == (3, "unknown-wallet")
    assert "'nothing'" in error["message"]


def test_doctor_looks_at_a_holder_whose_signer_runs(place: Place, signer: Signer) -> None:
    findings = {finding["check"]: finding for finding in place.ran("doctor")["findings"]}
    assert findings["signer"]["level"] == "ok"
    assert findings["front"]["level"] == "ok"
    assert f"process {signer.pid} runs" in findings["signer"]["message"]
    of_its_login = ("capability", "room", "key", "inventory", "channel", "process", "configuration")
    assert {findings[check]["level"] for check in of_its_login} == {"ok"}
    assert "KiB of it free" in findings["memory"]["message"]


@contextmanager
def pin_from(place: Place, source: str) -> Iterator[None]:
    """The holder's PIN comes from elsewhere while the body runs."""
    before = place.config.read_text("utf-8")
    place.config.write_text(
        before.replace("pin_source: file:pin", f"pin_source: {source}"), "utf-8"
    )
    try:
        yield
    finally:
        place.config.write_text(before, "utf-8")


def files_of(pid: int) -> list[str]:
    """What the descriptors of a process stand for."""
    return [os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir()]


@pytest.mark.long
def test_a_pin_from_a_descriptor_dies_with_its_signer(place: Place) -> None:
    with (place.folder / "pin").open("rb") as pin, pin_from(place, f"fd:{pin.fileno()}"):
        with signer_of(place, pass_fds=(pin.fileno(),)) as signer:
            assert str(place.folder / "pin") not in files_of(signer.front)
            if os.geteuid() == 0:  # a hardened process shows itself to nobody else
                assert str(place.folder / "pin") not in files_of(signer.pid)
        code, error = place.failed("agent", "run")
    assert (code, error["kind"], error["retryable"]) == (4, "pin", False)


@pytest.mark.long
def test_a_pin_that_nobody_can_type_keeps_the_signer_down(place: Place) -> None:
    with pin_from(place, "prompt"):
        forbidden = place.failed("--no-input", "agent", "run")
        nobody_there = place.failed("agent", "run", start_new_session=True)
    for code, error in (forbidden, nobody_there):
        assert (code, error["kind"], error["retryable"]) == (4, "pin", False)


def test_a_front_that_cannot_listen_fails_the_start(place: Place) -> None:
    place.front_socket.mkdir()
    try:
        code, error = place.failed("agent", "run")
    finally:
        place.front_socket.rmdir()
    assert (code, error["kind"]) == (2, "bad-config")
    assert "no socket" in error["message"]
