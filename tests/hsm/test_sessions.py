from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm.cryptoki import SERIAL_READ_WRITE, ffi
from hsm_mpc.hsm.sessions import Session, SessionPool


class Slot:
    """A slot that counts its sessions, and opens no more when told so."""

    def __init__(self) -> None:
        self.opened: list[int] = []
        self.closed: list[int] = []
        self.code = 0
        self.calls = SimpleNamespace(C_OpenSession=self.open, C_CloseSession=self.close)

    def open(self, slot: int, flags: int, _: Any, __: Any, handle: Any) -> int:
        assert (slot, flags) == (7, SERIAL_READ_WRITE)
        if not self.code:
            self.opened.append(100 + len(self.opened))
            handle[0] = self.opened[-1]
        return self.code

    def close(self, handle: int) -> int:
        self.closed.append(handle)
        return 0x30  # a broken token answers so, and that is ignored


@pytest.fixture
def slot() -> Slot:
    return Slot()


@pytest.fixture
def pool(slot: Slot) -> SessionPool:
    return SessionPool(slot.calls, 7, "token 'x'", most=2)


def test_the_last_session_given_back_is_the_next_one_taken(pool: SessionPool, slot: Slot) -> None:
    first, second = pool.take(), pool.take()
    pool.give_back(first)
    pool.give_back(second)
    assert pool.take() is second
    assert pool.take() is first
    assert slot.opened == [100, 101]


def test_a_session_is_used_again_after_its_block(pool: SessionPool, slot: Slot) -> None:
    with pool.session() as first:
        pass
    with pool.session() as second:
        assert second is first
    assert slot.closed == []


@pytest.mark.parametrize("error", [BackendError("broken"), KeyboardInterrupt()])
def test_a_session_that_saw_an_error_is_closed_and_never_used_again(
    pool: SessionPool, slot: Slot, error: BaseException
) -> None:
    with pytest.raises(type(error)), pool.session() as poisoned:
        raise error
    assert slot.closed == [poisoned.handle]
    assert pool.take() is not poisoned


def test_dropped_sessions_leave_room_for_new_ones(pool: SessionPool, slot: Slot) -> None:
    for _ in range(5):
        pool.drop(pool.take())
    assert slot.closed == slot.opened == [100, 101, 102, 103, 104]


def test_a_session_that_is_in_use_while_all_are_closed_is_closed_when_it_is_given_back(
    pool: SessionPool, slot: Slot
) -> None:
    used, idle = pool.take(), pool.take()
    pool.give_back(idle)
    pool.close_all()
    assert slot.closed[0] == idle.handle
    assert used.handle not in slot.closed
    pool.give_back(used)
    assert used.handle in slot.closed
    assert pool.take().handle not in (used.handle, idle.handle)
    pool.take()  # and both have left their room


def test_a_doubt_that_came_while_the_token_was_looked_at_is_not_settled_by_it(
    pool: SessionPool,
) -> None:
    first, second = pool.take(), pool.take()
    pool.drop(first)
    seen = pool.doubts
    pool.drop(second)
    pool.believe(seen)
    assert pool.in_doubt
    pool.believe(pool.doubts)
    assert not pool.in_doubt


def test_no_more_sessions_are_open_than_allowed(pool: SessionPool, slot: Slot) -> None:
    pool.take()
    pool.take()
    started = time.monotonic()
    with pytest.raises(BackendError, match="all 2 sessions are busy") as caught:
        pool.take(patience=0.05)
    assert time.monotonic() - started >= 0.05
    assert caught.value.retryable
    assert len(slot.opened) == 2


@pytest.mark.parametrize("release", ["give_back", "drop"])
def test_who_waits_gets_the_session_that_is_released(
    pool: SessionPool, slot: Slot, release: str
) -> None:
    held = pool.take()
    pool.take()
    got: list[Session] = []
    waiter = threading.Thread(target=lambda: got.append(pool.take(patience=10)))
    waiter.start()
    while not pool._waiting:
        time.sleep(0.001)
    getattr(pool, release)(held)
    waiter.join(5)
    assert not waiter.is_alive()
    assert (got[0] is held) == (release == "give_back")


def test_a_token_that_opens_no_session_keeps_the_room(pool: SessionPool, slot: Slot) -> None:
    slot.code = 0xB1
    for _ in range(3):
        with pytest.raises(BackendError, match="C_OpenSession answered CKR_SESSION_COUNT"):
            pool.take()
    slot.code = 0
    pool.take()
    pool.take()


def test_tag_and_iv_have_the_lengths_of_the_code_whatever_is_decrypted() -> None:
    session = Session(1)
    session.set_gcm(bytes(range(12)), b"associated")
    parameters = ffi.cast("CK_GCM_PARAMS *", session.gcm.pParameter)
    assert (parameters.ulIvLen, parameters.ulIvBits, parameters.ulTagBits) == (12, 96, 128)
    assert bytes(parameters.pIv[0:12]) == bytes(range(12))
    assert bytes(parameters.pAAD[0 : parameters.ulAADLen]) == b"associated"


def test_eight_threads_share_the_sessions_without_meeting_in_one(slot: Slot) -> None:
    pool = SessionPool(slot.calls, 7, "token 'x'", most=3)
    users: set[int] = set()
    met: list[int] = []
    stop = time.monotonic() + 0.3

    def work() -> None:
        while time.monotonic() < stop:
            with pool.session() as session:
                if session.handle in users:
                    met.append(session.handle)
                users.add(session.handle)
                time.sleep(0)
                users.discard(session.handle)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert met == []
    assert len(slot.opened) <= 3
