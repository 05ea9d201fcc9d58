"""What a client believes of a refreshed wallet, and what it does not (steps 6.5.4, 6.5.7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.client.verified import verified
from hsm_mpc.errors import NotReady, Tampered
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.wallet_calls import Shown, ShownSuccession
from tests.succession.making import Refresh

NOW = Refresh.counter


@cache
def honest() -> tuple[Refresh, Shown]:
    """A wallet that all three have refreshed; holder 3 has not destroyed its old key yet."""
    attempt = Refresh()
    dones = tuple(attempt.done(index) for index in (1, 2, 3))
    succession = ShownSuccession(
        certificate=attempt.certificate().to_bytes(),
        dones=dones,
        retirement=Retirement(dones).to_bytes(),
        destroyed=(attempt.destroyed(1), attempt.destroyed(2)),
    )
    first = attempt.ceremony.certificate().to_bytes()
    return attempt, Shown(first, tuple(attempt.dones()), (), succession)


def seen(**changes: object) -> tuple[bool, tuple[int, ...]]:
    attempt, shown = honest()
    assert shown.succession is not None
    changed = replace(shown, succession=replace(shown.succession, **changes))  # type: ignore[arg-type]
    newest = verified(changed, attempt.keys, NOW).newest
    assert newest is not None
    return newest.retired, newest.waiting_for


def test_the_parts_of_a_call_are_read_back() -> None:
    _, shown = honest()
    assert Shown.from_parts(shown.to_parts()) == shown
    first = replace(shown, succession=None)
    assert Shown.from_parts(first.to_parts()) == first


def test_the_key_is_that_of_the_first_epoch_and_the_epoch_the_newest() -> None:
    attempt, shown = honest()
    wallet = verified(shown, attempt.keys, NOW)
    before = verified(replace(shown, succession=None), attempt.keys, NOW)
    assert (wallet.body.epoch, before.body.epoch) == (1, 0)
    assert wallet.body == attempt.body()
    assert wallet.key.public_key(Path()) == before.key.public_key(Path())
    assert wallet.newest_certificate() == attempt.certificate().to_bytes()
    assert wallet.newest is not None
    assert wallet.newest.since == Refresh.counter


def test_it_tells_for_whom_the_retirement_waits() -> None:
    attempt, _ = honest()
    assert seen() == (True, (3,))
    everybody = tuple(attempt.destroyed(index) for index in (1, 2, 3))
    assert seen(destroyed=everybody) == (True, ())
    assert seen(retirement=b"", destroyed=()) == (False, ())
    two = tuple(attempt.done(index) for index in (1, 2))
    assert seen(dones=two, retirement=b"", destroyed=()) == (False, (3,))


def forged_certificate(attempt: Refresh) -> dict[str, object]:
    class OtherKey(Refresh):
        def body(self) -> EpochBody:
            body = super().body()
            return replace(body, commitments=(body.commitments[1], body.commitments[0]))

    return {"certificate": OtherKey().certificate().to_bytes()}


def of_another_body(attempt: Refresh) -> Refresh:
    class Another(Refresh):
        def body(self) -> EpochBody:
            return replace(super().body(), transcript_hash=b"o" * 32)

    return Another()


def forged(message: bytes) -> bytes:
    return message[:-1] + bytes([message[-1] ^ 1])


LIES: dict[str, Callable[[Refresh], dict[str, object]]] = {
    "a certificate of another key": forged_certificate,
    "adopted by less than a quorum": lambda attempt: {
        "dones": (attempt.done(1),),
        "retirement": b"",
    },
    "adopted by one holder twice": lambda attempt: {
        "dones": (attempt.done(1), attempt.done(1)),
        "retirement": b"",
    },
    "others adopted something else": lambda attempt: {
        "dones": (attempt.done(1), of_another_body(attempt).done(2)),
        "retirement": b"",
    },
    "retired for something else": lambda attempt: {
        "retirement": Retirement(
            tuple(of_another_body(attempt).done(index) for index in (1, 2, 3))
        ).to_bytes()
    },
    "retired by too few": lambda attempt: {
        "retirement": Retirement((attempt.done(1), attempt.done(2))).to_bytes()
    },
    "a forged adoption": lambda attempt: {
        "dones": (attempt.done(1), forged(attempt.done(2))),
    },
    "a forged destruction": lambda attempt: {"destroyed": (forged(attempt.destroyed(1)),)},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_no_lie_of_a_coordinator_is_believed(
    lie: Callable[[Refresh], dict[str, object]],
) -> None:
    with pytest.raises(Tampered):
        seen(**lie(honest()[0]))


def test_destroyed_for_another_successor_is_not_counted() -> None:
    attempt, _ = honest()
    other = of_another_body(attempt).destroyed(2)
    assert seen(destroyed=(attempt.destroyed(1), other)) == (True, (2, 3))


def test_a_wallet_that_is_not_confirmed_is_not_ready() -> None:
    attempt, shown = honest()
    with pytest.raises(NotReady):
        verified(replace(shown, dones=()), attempt.keys, NOW)
