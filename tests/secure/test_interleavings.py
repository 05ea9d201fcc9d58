"""The arena used by many threads, and interrupted by the garbage collector at any line."""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.secure.arena import Arena, Secret, copy, opened, publish, release_all
from tests.secure.bytes_of import accessible, address_of, at, filled

THREADS = 8


def in_threads(work: Callable[[int], object], count: int = THREADS) -> list[BaseException]:
    """Run `work(number)` in `count` threads that start together; what they raised."""
    failures: list[BaseException] = []
    start = threading.Barrier(count)

    def body(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as failure:  # a failed assertion too
            failures.append(failure)

    threads = [threading.Thread(target=body, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


@pytest.fixture
def _switch_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_switch_often")
def test_threads_never_see_each_others_bytes_or_a_shut_page(arena: Arena) -> None:
    before = arena.free_bytes

    def work(number: int) -> None:
        for turn in range(60):
            content = bytes([number * 16 + turn % 16]) * 40
            with arena.scope() as take:
                one, two = filled(take(40), content), take(40)
                copy(two, one)
                assert publish(two) == content

    assert in_threads(work) == []
    assert arena.free_bytes == before
    assert not accessible(arena)


def release(secret: Secret, _: int) -> None:
    secret.release()


@pytest.mark.usefixtures("_switch_often")
def test_many_threads_may_release_one_secret(arena: Arena) -> None:
    before = arena.free_bytes
    for _ in range(30):
        secret = filled(arena.take(32), b"s" * 32)
        assert in_threads(functools.partial(release, secret), 4) == []
        assert arena.free_bytes == before


def test_a_release_in_another_thread_waits_for_the_window_of_this_one(arena: Arena) -> None:
    secret = filled(arena.take(32), b"s" * 32)
    with secret.open() as pointer:
        assert in_threads(functools.partial(release, secret), 1) == []
        assert at(pointer, 32) == b"s" * 32
        (refused,) = in_threads(lambda _: publish(secret), 1)
        assert isinstance(refused, BackendError)
    with arena.open():
        assert at(pointer, 32) == bytes(32)


def test_a_close_in_another_thread_waits_for_the_window_of_this_one(arena: Arena) -> None:
    secret = filled(arena.take(32), b"s" * 32)
    with secret.open() as pointer:
        assert in_threads(lambda _: arena.close(), 1) == []
        assert at(pointer, 32) == b"s" * 32
    with pytest.raises(BackendError, match="closed"):
        publish(secret)


def test_the_last_of_overlapping_windows_shuts_the_pages(arena: Arena) -> None:
    first, second = arena.take(16), arena.take(16)
    outer, inner = first.open(), second.open()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__()
    assert accessible(arena)
    inner.__exit__()
    assert not accessible(arena)


class Cycle:
    """Garbage that only the collector finds, with a secret in it."""

    def __init__(self, secret: Secret) -> None:
        self.secret = secret
        self.itself = self


@contextmanager
def called_at_line(number: int, interrupt: Callable[[], object]) -> Iterator[list[int]]:
    """Call `interrupt` at the `number`-th line of hsm_mpc.secure; gives the count of lines."""
    count = [0]

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if "hsm_mpc/secure" not in frame.f_code.co_filename:
            return None
        if event == "line":
            count[0] += 1
            if count[0] == number:
                sys.settrace(None)
                interrupt()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(before)


def live(arena: Arena) -> None:
    """One of everything that the arena does."""
    with arena.scope() as take:
        secret = filled(take(32), b"s" * 32)
        secret.wipe()
        arena.take(48).release()
        with arena.open():
            arena.take(100).release()
        with arena.room(24), opened(secret, take(16)):
            pass
    release_all((arena.take(16), arena.take(16)))


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """Garbage of other tests would add lines of its own."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
def test_a_secret_may_die_at_any_line_of_the_arena(arena: Arena) -> None:
    before = arena.free_bytes
    with called_at_line(0, list) as lines:
        live(arena)
    for number in range(1, lines[0] + 1):
        victims = [filled(arena.take(64), b"v" * 64)]
        address = address_of(victims[0])
        neighbour = filled(arena.take(32), b"n" * 32)
        with called_at_line(number, victims.clear):
            live(arena)
        assert not victims
        assert publish(neighbour) == b"n" * 32
        with arena.open():
            assert at(address, 64) == bytes(64), f"line {number}"
        neighbour.release()
        assert arena.free_bytes == before, f"line {number}"
        assert not accessible(arena)


def test_the_collector_gives_back_what_lies_in_cycles(arena: Arena) -> None:
    before = arena.free_bytes
    thresholds = gc.get_threshold()
    gc.set_threshold(5, 1, 1)
    try:
        for _ in range(300):
            Cycle(filled(arena.take(64), b"c" * 64))
            live(arena)
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    live(arena)
    assert arena.free_bytes == before


def test_an_overrun_of_a_dropped_secret_is_reported_though_nobody_can_catch_it(
    arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: said.append(str(report.exc_value)))
    secret = arena.take(32)
    with secret.open() as pointer:
        ctypes.memset(pointer + 32, at(pointer + 32, 1)[0] ^ 1, 1)
    del secret
    assert said == ["protected memory: a write went beyond a slot of 32 bytes"]
