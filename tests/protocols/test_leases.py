"""The table of leases: caps, life time, single use, one answer (steps 3.3.1, 3.4.1, 3.4.14)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from hsm_mpc.errors import BackendError, Refused, Tampered
from hsm_mpc.protocols.leases import (
    LIFETIME,
    OPEN_IN_ALL,
    OPEN_PER_WALLET,
    Lease,
    LeaseTable,
    LeaseTerms,
)
from hsm_mpc.secure.arena import Arena, move_bytes
from tests.secure.bytes_of import filled

WALLETS = (b"first wallet....", b"second wallet...", b"third wallet....")
TERMS = LeaseTerms(WALLETS[0], b"e" * 32, b"r" * 32, 0, b"m" * 32)
LIST = b"hash of a list".ljust(32, b".")

Make = Callable[..., Lease]


@pytest.fixture
def make(protocol_arena: Arena) -> Iterator[Make]:
    """A lease of a wallet; the number is in its lease_id."""
    made: list[Lease] = []

    def lease(number: int = 0, wallet: bytes = WALLETS[0], k: int = 0) -> Lease:
        secret = filled(protocol_arena.take(64), b"k" * 64)
        lease_id = b"%16d" % number
        made.append(
            Lease(lease_id, replace(TERMS, wallet_id=wallet, k=k), b"key", b"n", b"c", secret)
        )
        return made[-1]

    yield lease
    for lease_ in made:
        lease_.secret_nonce.release()


def is_wiped(lease: Lease) -> bool:
    """Whether the slot of a lease was given back."""
    try:
        with lease.secret_nonce.open():
            return False
    except BackendError:
        return True


def test_a_lease_is_taken_once(make: Make) -> None:
    """Step 3.4: out of the table first."""
    table, lease = LeaseTable(), make()
    table.add(lease, 0)
    assert table.take(lease.lease_id, LIST, 1) is lease
    assert len(table) == 0
    with pytest.raises(Refused) as refused:
        table.take(lease.lease_id, LIST, 1)
    assert refused.value.rule == "lease-used"


def test_a_lease_of_a_table_before_a_restart_is_unknown(make: Make) -> None:
    before, after = LeaseTable(), LeaseTable()
    lease = make()
    before.add(lease, 0)
    with pytest.raises(Refused) as refused:
        after.take(lease.lease_id, LIST, 1)
    assert refused.value.rule == "lease-unknown"


def test_a_lease_ends_after_30_seconds(make: Make) -> None:
    """Step 3.3.1."""
    assert LIFETIME == 30
    table, lease = LeaseTable(), make()
    table.add(lease, 100)
    table.expire(129.9)
    assert not is_wiped(lease)
    table.expire(130)
    assert is_wiped(lease)
    with pytest.raises(Refused):
        table.take(lease.lease_id, LIST, 130)


def test_a_lease_is_not_taken_after_its_time(make: Make) -> None:
    table, lease = LeaseTable(), make()
    table.add(lease, 100)
    with pytest.raises(Refused, match="gone"):
        table.take(lease.lease_id, LIST, 130)
    assert is_wiped(lease)


def test_whoever_takes_a_lease_wipes_those_that_are_over(make: Make) -> None:
    table, old, young = LeaseTable(), make(1), make(2)
    table.add(old, 0)
    table.add(young, LIFETIME - 1)
    table.take(young.lease_id, LIST, LIFETIME)
    assert is_wiped(old)


def test_the_33rd_lease_of_a_wallet_costs_its_oldest(make: Make) -> None:
    """Step 3.3.1: never another wallet's."""
    table = LeaseTable()
    other = make(999, WALLETS[1])
    table.add(other, 0)
    leases = [make(number) for number in range(OPEN_PER_WALLET)]
    for lease in leases:
        table.add(lease, 1)
    assert not any(map(is_wiped, leases))
    table.make_room(WALLETS[0], 2)
    assert [is_wiped(lease) for lease in leases] == [True] + [False] * 31
    table.add(make(50), 2)
    table.add(make(51), 2)
    assert [is_wiped(lease) for lease in leases] == [True, True] + [False] * 30
    assert not is_wiped(other)
    assert len(table) == 33


def fill(table: LeaseTable, make: Make) -> None:
    for number in range(OPEN_IN_ALL):
        table.add(make(number, WALLETS[number % 2]), 0)


def test_the_65th_lease_of_a_signer_is_refused_for_now(make: Make) -> None:
    """Step 3.3.1: exit 4, retryable; nobody else's lease makes room."""
    table = LeaseTable()
    fill(table, make)
    with pytest.raises(BackendError, match="64 nonces are open") as refused:
        table.make_room(WALLETS[2], 1)
    assert refused.value.retryable
    assert len(table) == 64
    table.make_room(WALLETS[2], 31)
    assert len(table) == 0


def test_a_full_wallet_makes_room_for_itself_on_a_full_signer(make: Make) -> None:
    table = LeaseTable()
    fill(table, make)
    table.make_room(WALLETS[0], 1)
    assert len(table) == 63


def test_a_lease_that_finds_no_room_is_wiped(make: Make) -> None:
    table = LeaseTable()
    fill(table, make)
    late = make(99, WALLETS[2])
    with pytest.raises(BackendError):
        table.add(late, 1)
    assert is_wiped(late)


def test_a_repeated_request_finds_its_open_lease(make: Make) -> None:
    """Step 1.7.4: per request, epoch, k and message; not a used one."""
    table, lease, second = LeaseTable(), make(1), make(2, k=1)
    table.add(lease, 0)
    table.add(second, 0)
    assert table.open_for(lease.terms, 1) is lease
    assert table.open_for(second.terms, 1) is second
    for other in (
        {"wallet_id": WALLETS[1]},
        {"epoch_hash": b"f" * 32},
        {"request_id": b"s" * 32},
        {"k": 2},
        {"message_digest": b"n" * 32},
    ):
        assert table.open_for(replace(lease.terms, **other), 1) is None
    table.take(lease.lease_id, LIST, 1)
    assert table.open_for(lease.terms, 1) is None
    assert table.open_for(second.terms, 30) is None


def test_the_same_list_gets_the_same_bytes(make: Make) -> None:
    """Step 3.4.14; another list gets none, and nothing is remembered for ever."""
    table, lease = LeaseTable(), make()
    table.add(lease, 0)
    assert table.answer(lease.lease_id, LIST, 1) is None
    table.take(lease.lease_id, LIST, 1)
    assert table.answer(lease.lease_id, LIST, 2) is None
    table.answered(lease.lease_id, b"PARTIAL message")
    assert table.answer(lease.lease_id, LIST, 30.9) == b"PARTIAL message"
    assert table.answer(lease.lease_id, b"x" * 32, 2) is None
    assert table.answer(lease.lease_id, LIST, 31) is None


def test_an_answer_that_comes_too_late_is_not_kept(make: Make) -> None:
    table, lease = LeaseTable(), make()
    table.add(lease, 0)
    table.take(lease.lease_id, LIST, 1)
    table.expire(31)
    table.answered(lease.lease_id, b"PARTIAL message")
    assert table.answer(lease.lease_id, LIST, 31) is None


def test_closing_wipes_every_lease(make: Make) -> None:
    table, leases = LeaseTable(), [make(number) for number in range(3)]
    for lease in leases:
        table.add(lease, 0)
    table.close()
    assert all(map(is_wiped, leases))
    assert len(table) == 0


def damaged(lease: Lease) -> Lease:
    """A lease beyond whose slot somebody wrote: its release raises."""
    with lease.secret_nonce.open() as pointer:
        move_bytes(pointer + lease.secret_nonce.size, b"!", 1)
    return lease


def test_closing_wipes_every_lease_though_one_was_damaged(make: Make) -> None:
    table, leases = LeaseTable(), [make(number) for number in range(3)]
    for lease in leases:
        table.add(lease, 0)
    damaged(leases[0])
    with pytest.raises(Tampered, match="beyond a slot"):
        table.close()
    assert all(map(is_wiped, leases))
    assert len(table) == 0


def test_a_lease_that_is_not_added_is_wiped_whatever_the_reason(make: Make) -> None:
    """Making room for it, an expired lease turns out to be damaged."""
    table, expired, late = LeaseTable(), make(1), make(2)
    table.add(expired, 0)
    damaged(expired)
    with pytest.raises(Tampered, match="beyond a slot"):
        table.add(late, LIFETIME)
    assert is_wiped(expired) and is_wiped(late)
    assert len(table) == 0


def test_of_many_threads_one_gets_the_lease(make: Make) -> None:
    table, lease = LeaseTable(), make()
    table.add(lease, 0)
    start, taken = threading.Barrier(8), []

    def take() -> None:
        start.wait()
        with suppress(Refused):
            taken.append(table.take(lease.lease_id, LIST, 1))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == [lease]


def test_what_a_lease_is_bound_to_names_all_of_it() -> None:
    """Step 3.3.2: 112 bytes."""
    bound = TERMS.bound_to(b"lease of a test.")
    assert bound == b"e" * 32 + b"r" * 32 + b"lease of a test." + b"m" * 32


def test_a_lease_that_is_over_is_not_taken_though_a_younger_one_lies_before_it(make: Make) -> None:
    """Two threads: the younger lease was added first, the older one's share took long to open."""
    table = LeaseTable()
    table.add(make(1), 10.0)
    late = make(2)
    table.add(late, 0.0)
    with pytest.raises(Refused) as caught:
        table.take(late.lease_id, LIST, LIFETIME + 1)
    assert caught.value.rule == "lease-unknown"
    with pytest.raises(BackendError, match="after its release"), late.secret_nonce.open():
        pass
    assert len(table) == 1


def test_open_sessions_are_those_of_open_leases(make: Make) -> None:
    table = LeaseTable()
    lease = make()
    table.add(lease, 0.0)
    session = (TERMS.request_id, TERMS.epoch_hash)
    assert table.open_sessions() == {session}
    table.take(lease.lease_id, LIST, 0.0)
    assert table.open_sessions() == frozenset()


def test_a_busy_signer_looks_at_no_more_than_what_is_over(make: Make) -> None:
    """Answers are remembered for 30 s: thousands of them, and several looks for each signature."""
    table = LeaseTable()
    for number in range(3):
        table.add(make(number), float(number))
        table.take(make(number).lease_id, LIST, float(number))
        table.add(make(10 + number), float(number))
    table.expire(LIFETIME + 1)
    assert list(table._used) == [b"%16d" % 2]
    assert list(table._open) == [b"%16d" % 12]
