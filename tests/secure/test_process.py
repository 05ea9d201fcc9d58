"""Hardening, the re-execution with LD_BIND_NOW, and threads that no signal interrupts."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.secure import process
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import (
    harden,
    is_hardened,
    require_shielded,
    run_shielded,
    started_with_bind_now,
)
from tests.secure.bytes_of import filled
from tests.secure.children import become_nobody, fate_of

PR_SET_DUMPABLE = 4


def python(script: str, *arguments: str, environment: dict[str, str]) -> str:
    """What a fresh interpreter prints that runs `script`."""
    not_inherited = ("LD_BIND_NOW", "PYTHONUNBUFFERED")
    inherited = {name: value for name, value in os.environ.items() if name not in not_inherited}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout


REPORT = """
import os, sys
from hsm_mpc.secure import process
print("started", process.started_with_bind_now())
process.bind_now()
print("ran with", os.environ["LD_BIND_NOW"], process.started_with_bind_now(), sys.argv[1:])
"""


def test_bind_now_executes_the_same_program_again_once() -> None:
    assert python(REPORT, "an argument", environment={}).splitlines() == [
        "started False",
        "started True",
        "ran with 1 True ['an argument']",
    ]


def test_bind_now_does_nothing_when_it_was_started_so() -> None:
    assert python(REPORT, environment={"LD_BIND_NOW": "yes"}).splitlines() == [
        "started True",
        "ran with yes True []",
    ]


def test_an_empty_variable_does_not_count_because_the_linker_ignores_it() -> None:
    assert python(REPORT, environment={"LD_BIND_NOW": ""}).startswith("started False\nstarted True")


def test_a_variable_that_was_set_after_the_start_does_not_count() -> None:
    script = "import os; os.environ['LD_BIND_NOW'] = '1'; os.putenv('LD_BIND_NOW', '1')" + REPORT
    assert python(script, environment={}).startswith("started False\nstarted True")


def test_an_unreadable_environment_is_asked_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise an executable that nobody may read would execute itself for ever."""

    def started(value: str) -> str:
        def look() -> bool:
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
            started_with_bind_now.cache_clear()
            return started_with_bind_now()

        monkeypatch.setenv("LD_BIND_NOW", value)
        monkeypatch.setattr("builtins.open", refuse)
        fate = fate_of(look)
        monkeypatch.undo()
        return fate

    def refuse(*_: object) -> None:
        raise PermissionError

    assert [started("1"), started("")] == ["True", "False"]


@pytest.fixture
def _bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this interpreter had been started with LD_BIND_NOW=1."""
    monkeypatch.setattr(process, "started_with_bind_now", lambda: True)


def hardened(report: Callable[[], object]) -> str:
    """What `report` gives in a child that was hardened, without privileges."""

    def harden_and_report() -> object:
        become_nobody()
        harden()
        return report()

    return fate_of(harden_and_report)


def status_of_this_thread(field: bytes) -> str:
    with open("/proc/thread-self/status", "rb") as status:
        return next(line.split()[1].decode() for line in status if line.startswith(field))


@pytest.mark.usefixtures("_bound")
def test_a_hardened_process_writes_no_core_and_gains_no_privileges() -> None:
    assert hardened(is_hardened) == "True"
    assert hardened(lambda: resource.getrlimit(resource.RLIMIT_CORE)) == "(0, 0)"
    assert hardened(lambda: ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)) == "1"


@pytest.mark.usefixtures("_bound")
def test_a_process_is_not_hardened_while_one_of_both_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dumpable() -> bool:
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        return is_hardened()

    def with_cores() -> bool:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (4096, 4096))
        return is_hardened()

    assert hardened(dumpable) == "False"
    assert hardened(with_cores) == "False"


def test_harden_refuses_where_symbols_are_resolved_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "started_with_bind_now", lambda: False)
    fate = fate_of(harden)
    assert fate == "BackendError: a process that opens secrets starts with LD_BIND_NOW=1"


@pytest.mark.usefixtures("_bound")
def test_harden_refuses_where_the_kernel_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process._libc, "prctl", lambda *_: -1)
    assert hardened(lambda: "hardened").startswith("BackendError: prctl(4)")


def can_read(pid: int, address: int) -> bool:
    """Whether this process reads `address` of another one."""
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(8) == b"in the o"
    except PermissionError:
        return False


@pytest.mark.usefixtures("_bound")
def test_a_process_of_the_same_user_reads_a_hardened_one_no_longer() -> None:
    """The reader is the parent, so that Yama where it is on does not answer for us."""
    content = ctypes.create_string_buffer(b"in the open", 32)
    address = ctypes.addressof(content)

    def look() -> str:
        become_nobody()
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # changing the user took it away
        ready, told = os.pipe(), os.pipe()
        target = os.fork()
        if target == 0:
            os.read(told[0], 1)
            harden()
            os.write(ready[1], b".")
            signal.pause()
        before = can_read(target, address)
        os.write(told[1], b".")
        os.read(ready[0], 1)
        after = can_read(target, address)
        os.kill(target, signal.SIGKILL)
        os.waitpid(target, 0)
        return f"{before}, then {after}"

    assert fate_of(look) == "True, then False"


def test_run_shielded_gives_the_result_of_another_thread() -> None:
    here = threading.get_ident()
    assert run_shielded(lambda: (threading.get_ident() != here, "result")) == (True, "result")


@pytest.mark.parametrize("failure", [ValueError("of the work"), SystemExit(3), KeyboardInterrupt()])
def test_run_shielded_raises_what_the_work_raised(failure: BaseException) -> None:
    def work() -> None:
        raise failure

    with pytest.raises(type(failure)) as raised:
        run_shielded(work)
    assert raised.value is failure


def test_every_signal_that_can_be_blocked_is_blocked_in_a_shielded_thread_only() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    blocked = run_shielded(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, []))
    assert signal.valid_signals() - blocked <= {signal.SIGKILL, signal.SIGSTOP}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_a_signal_to_the_process_does_not_interrupt_a_shielded_thread() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(threading.get_native_id()))
    try:

        def work() -> tuple[int, str]:
            signal.raise_signal(signal.SIGUSR1)
            return threading.get_native_id(), status_of_this_thread(b"SigPnd")

        thread, pending = run_shielded(work)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert thread not in seen
    assert int(pending, 16) == 1 << (signal.SIGUSR1 - 1)


def test_secrets_are_refused_outside_of_a_shielded_thread() -> None:
    run_shielded(require_shielded)
    with pytest.raises(BackendError, match="only on a shielded thread"):
        require_shielded()


def test_a_thread_that_a_shielded_one_starts_is_not_shielded_by_that() -> None:
    def start_another() -> BaseException | None:
        failures: list[BaseException] = []

        def body() -> None:
            try:
                require_shielded()
            except BackendError as refusal:
                failures.append(refusal)

        other = threading.Thread(target=body)
        other.start()
        other.join()
        return failures[0] if failures else None

    assert isinstance(run_shielded(start_another), BackendError)


def test_a_failure_of_shielded_work_keeps_no_secret_alive(arena: Arena) -> None:
    """A frame that is part of a cycle would hold its secrets until the collector comes."""
    before = arena.free_bytes

    def work() -> None:
        kept = filled(arena.take(32), b"s" * 32)
        raise ValueError(kept.size)

    gc.disable()
    try:
        with pytest.raises(ValueError, match="32"):
            run_shielded(work)
        assert arena.free_bytes == before
    finally:
        gc.enable()
