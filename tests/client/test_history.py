"""A wallet's chain of epochs: every link is verified, and every lie is found (6.5.4, 6.5.7)."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.client import chain as told_chain
from hsm_mpc.client.history import History, verified_history
from hsm_mpc.coordinator import service
from hsm_mpc.errors import BadEncoding, NotReady, Tampered
from hsm_mpc.hsm.module import Module
from hsm_mpc.ids import EpochHash
from hsm_mpc.secure.arena import Arena
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.calls import CoordinatorMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession
from tests.agent.simulate import World
from tests.coordinator.office import Office
from tests.succession.making import COORDINATOR, Refresh

NOW = Refresh.counter


class Another(Refresh):
    """A rival successor of the same epoch."""

    counter = NOW + 7


def succession_of(attempt: Refresh) -> ShownSuccession:
    dones = tuple(attempt.done(index) for index in (1, 2, 3))
    return ShownSuccession(
        certificate=attempt.certificate().to_bytes(),
        dones=dones,
        retirement=Retirement(dones).to_bytes(),
        destroyed=(attempt.destroyed(1), attempt.destroyed(2)),
    )


@cache
def honest() -> tuple[Refresh, Chain]:
    """All three have refreshed; holder 3 has not destroyed its old key yet."""
    attempt = Refresh()
    first = attempt.ceremony.certificate().to_bytes()
    return attempt, Chain(first, tuple(attempt.dones()), (succession_of(attempt),))


ALL = ("h1", "h2", "h3")


def seen(**changes: object) -> History:
    """The chain, its one succession changed."""
    attempt, chain = honest()
    (succession,) = chain.successions
    changed = replace(succession, **changes)  # type: ignore[arg-type]
    return verified_history(replace(chain, successions=(changed,)), attempt.keys, NOW)


def test_each_epoch_is_told_with_its_makers_and_its_end() -> None:
    attempt, _ = honest()
    first, second = seen().links
    assert first.body == attempt.first
    assert (first.attempt, first.dealers, first.holders) == (Attempt.NONE, ALL, ALL)
    assert first.retired
    assert first.destroyed == {"h1": attempt.counter + 60, "h2": attempt.counter + 60}
    assert second.body == attempt.body()
    assert second.attempt == Attempt(attempt.counter, COORDINATOR)
    assert (second.dealers, second.holders) == (("h1", "h2"), ALL)
    assert not second.retired
    assert second.destroyed == {}


def test_a_file_of_it_reads_back() -> None:
    _, chain = honest()
    assert Chain.from_bytes(chain.to_bytes()) == chain
    for wrong in (b"", chain.to_bytes()[:-1], chain.to_bytes() + b"\0\0\0\0"):
        with pytest.raises(BadEncoding):
            Chain.from_bytes(wrong)


def test_a_flipped_bit_anywhere_is_found() -> None:
    attempt, chain = honest()
    encoded = chain.to_bytes()
    for at in range(0, len(encoded), 41):
        forged = bytearray(encoded)
        forged[at] ^= 1
        with pytest.raises((Tampered, BadEncoding)):
            verified_history(Chain.from_bytes(bytes(forged)), attempt.keys, NOW)


def test_without_the_confirmations_of_all_there_is_no_first_epoch() -> None:
    attempt, chain = honest()
    with pytest.raises(NotReady):
        verified_history(replace(chain, dones=()), attempt.keys, NOW)
    with pytest.raises(Tampered, match="epoch 0"):
        verified_history(replace(chain, dones=chain.dones[:2]), attempt.keys, NOW)


def test_what_was_not_adopted_yet_is_told_so() -> None:
    attempt, _ = honest()
    first, second = seen(dones=(attempt.done(2),), retirement=b"", destroyed=()).links
    assert not first.retired
    assert second.holders == ("h2",)


def test_the_end_of_an_epoch_is_for_the_sake_of_the_next() -> None:
    """Adoptions, retirement and destructions of a rival successor prove nothing."""
    rival = succession_of(Another())
    for changes, reason in (
        ({"dones": rival.dones}, "adopted another epoch"),
        ({"retirement": rival.retirement}, "another successor was adopted"),
        ({"destroyed": rival.destroyed}, "for the sake of another epoch"),
        ({"retirement": b""}, "for the sake of another epoch"),
    ):
        with pytest.raises(Tampered, match=f"epoch 1 .*{reason}"):
            seen(**changes)


def test_who_retired_the_epoch_before_has_a_share_of_the_next() -> None:
    """The proof names its adopters, whether or not their confirmations are shown once more."""
    assert seen(dones=()).links[1].holders == ALL


def test_fewer_adopters_than_the_epoch_names_retire_nothing() -> None:
    """Nor does one of them who is counted twice, nor what nobody adopted."""
    attempt, _ = honest()
    one, two = attempt.done(1), attempt.done(2)
    for counted in ((), (one, two), (one, two, two), (two, one, one)):
        with pytest.raises(Tampered, match="epoch 1"):
            seen(retirement=Retirement(counted).to_bytes(), destroyed=())


def test_what_is_said_of_another_epoch_ends_none() -> None:
    class Later(Refresh):
        """The same holders, of the epoch behind."""

        def replaced(self) -> EpochHash:
            return honest()[0].body().hash

    later = Later()
    for changes in (
        {"dones": (later.done(1),)},
        {"retirement": succession_of(later).retirement},
        {"destroyed": (later.destroyed(1),)},
    ):
        with pytest.raises(Tampered, match="epoch 1"):
            seen(**changes)


def test_no_epoch_comes_twice_or_in_another_order(refreshed_twice: tuple[World, Chain]) -> None:
    world, chain = refreshed_twice
    first, second = chain.successions
    for told in ((first, first), (second, first), (first, second, second)):
        with pytest.raises(Tampered):
            verified_history(
                replace(chain, successions=told), KeyBook(world.roster, {}), world.clock()
            )


def test_an_epoch_follows_the_one_before_it() -> None:
    class OfAnotherEpoch(Refresh):
        def body(self) -> EpochBody:
            return replace(super().body(), prev_hash=EpochHash(b"e" * 32))

    with pytest.raises(Tampered, match="epoch 1"):
        seen(certificate=OfAnotherEpoch().certificate().to_bytes())


@pytest.fixture(scope="module")
def refreshed_twice(
    hsm_module: Module, pin_arena: Arena, tmp_path_factory: pytest.TempPathFactory
) -> tuple[World, Chain]:
    """A 2-of-3 wallet of real holders; the second refresh found holder 3 absent."""
    folder = tmp_path_factory.mktemp("history")
    with (
        World.made(hsm_module, pin_arena, folder, 3) as world,
        Office.opened(world, folder / "coordinator") as office,
        pytest.MonkeyPatch.context() as small,
    ):
        office.made()
        office.client.refresh("treasury", [])
        office.links[3].down = True
        office.client.refresh("treasury", [3])
        whole = office.client.chain("treasury")
        small.setattr(service, "_PAGE_BYTES", 1)
        assert office.client.chain("treasury") == whole
        page = [b"treasury", b"\0\0\0\1"]
        parts = office.coordinator.call(CoordinatorMethod.SUCCESSIONS, page, 1)
        assert parts == whole.successions[1].to_parts()
        page[1] = b"\0\0\0\0"
        parts = office.coordinator.call(CoordinatorMethod.SUCCESSIONS, page, 1)
        assert parts == whole.successions[0].to_parts()
        small.setattr(told_chain, "_MOST_EPOCHS", 1)
        with pytest.raises(BadEncoding, match="more than 1 epochs"):
            office.client.chain("treasury")
        small.setattr(told_chain, "LARGEST_CHAIN", sum(map(len, parts)))
        with pytest.raises(BadEncoding, match="the coordinator tells more than"):
            office.client.chain("treasury")
        encoded = b"treasury"
        for after in (b"", b"\0\0\0\0\0"):
            with pytest.raises(BadEncoding):
                office.coordinator.call(CoordinatorMethod.SUCCESSIONS, [encoded, after], 1)
        return world, whole


def test_real_holders_leave_a_chain_that_verifies(refreshed_twice: tuple[World, Chain]) -> None:
    world, chain = refreshed_twice
    history = verified_history(chain, KeyBook(world.roster, {}), world.clock())
    assert [link.body.epoch for link in history.links] == [0, 1, 2]
    assert [link.dealers for link in history.links] == [ALL, ALL, ("h1", "h2")]
    assert [link.holders for link in history.links] == [ALL, ALL, ("h1", "h2")]
    assert [tuple(link.destroyed) for link in history.links] == [ALL, (), ()]
    assert [link.retired for link in history.links] == [True, False, False]


def test_no_epoch_is_replaced_before_the_one_before_it_has_ended(
    refreshed_twice: tuple[World, Chain],
) -> None:
    """Step 6.1.4."""
    world, chain = refreshed_twice
    first, second = chain.successions
    unfinished = replace(first, retirement=b"", destroyed=())
    with pytest.raises(Tampered, match=r"epoch 2 .*not ended"):
        verified_history(
            replace(chain, successions=(unfinished, second)),
            KeyBook(world.roster, {}),
            world.clock(),
        )


def test_nothing_is_left_out_of_a_chain(refreshed_twice: tuple[World, Chain]) -> None:
    world, chain = refreshed_twice
    with pytest.raises(Tampered, match="epoch 1"):
        verified_history(
            replace(chain, successions=chain.successions[1:]),
            KeyBook(world.roster, {}),
            world.clock(),
        )


def test_a_chain_is_of_the_pinned_roster(
    refreshed_twice: tuple[World, Chain], tmp_path: Path
) -> None:
    _, chain = refreshed_twice
    with pytest.raises(Tampered, match="epoch 0"):
        verified_history(chain, honest()[0].keys, NOW)
