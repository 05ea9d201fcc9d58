"""Resharing through a coordinator, with real holders in this process (section 6.8)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import combinations
from pathlib import Path

import pytest

from hsm_mpc.agent.succession import retiring
from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.errors import BackendError, BadInput, NotReady, QuorumUnreachable
from hsm_mpc.hsm.module import Module
from hsm_mpc.ids import Scheme
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wire.calls import HolderMethod
from tests.agent.making import keks
from tests.agent.simulate import World
from tests.coordinator.office import Office
from tests.coordinator.test_destruction import failing_at
from tests.coordinator.test_refresh import signed_in, waiting_for
from tests.coordinator.test_repair import with_failing_refresh
from tests.coordinator.test_replaced import Replace, history, replace_hsm

__all__ = ["replace_hsm"]

POLICY = b"version: 1\npermissions: [message]\n"


def test_any_three_sign_where_two_did(office: Office) -> None:
    wallet = office.made()
    shared = office.client.reshare("treasury", 3)
    assert shared.body.group_key == wallet.body.group_key
    assert (shared.threshold, shared.body.epoch) == (3, 1)
    assert waiting_for(shared) == (True, ())
    assert signed_in(office, shared, (1, 2, 3)) == shared.body.hash
    for pair in combinations((1, 2, 3), 2):
        with pytest.raises(BadInput, match="wants 3"):
            office.signed(shared, b"pay", pair)
    for party in office.world.parties.values():
        assert len(keks(party)) == 1


def test_after_a_resharing_all_goes_on(office: Office) -> None:
    """Refreshed before and after, shared back, and every pair signs again."""
    wallet = office.made()
    office.client.refresh("treasury", [])
    office.client.reshare("treasury", 3)
    refreshed = office.client.refresh("treasury", [])
    assert (refreshed.threshold, refreshed.body.epoch) == (3, 3)
    assert signed_in(office, refreshed, (1, 2, 3)) == refreshed.body.hash
    back = office.client.reshare("treasury", 2)
    assert back.body.group_key == wallet.body.group_key
    for pair in combinations((1, 2, 3), 2):
        assert signed_in(office, back, pair) == back.body.hash
    last = office.client.refresh("treasury", [])
    for pair in combinations((1, 2, 3), 2):
        assert signed_in(office, last, pair) == last.body.hash


def test_who_is_down_is_named(office: Office) -> None:
    office.made()
    office.links[2].down = True
    with pytest.raises(QuorumUnreachable) as silent:
        office.client.reshare("treasury", 3)
    assert silent.value.waiting_for == ("h2",)
    assert office.client.show("treasury").body.epoch == 0
    office.links[2].down = False
    assert office.client.reshare("treasury", 3).threshold == 3


# Other holders


@pytest.fixture
def five(hsm_module: Module, pin_arena: Arena, tmp_path: Path) -> Iterator[Office]:
    """A coordinator of five holders, of whom a wallet may have some."""
    with (
        World.made(hsm_module, pin_arena, tmp_path, 5) as world,
        Office.opened(world, tmp_path / "office") as office,
    ):
        yield office


def holders_of(wallet: VerifiedWallet) -> tuple[str, ...]:
    return tuple(member.name for member in wallet.roster.members)


def every_quorum_signs(office: Office, wallet: VerifiedWallet) -> None:
    """Of its holders, counted as in the roster of all."""
    places = [office.world.roster.index_of(name) for name in holders_of(wallet)]
    for quorum in combinations(places, wallet.threshold):
        assert signed_in(office, wallet, quorum) == wallet.body.hash


def test_a_wallet_of_some_holders_lives_like_any_other(five: Office) -> None:
    wallet = five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h2", "h4", "h5"))
    assert holders_of(wallet) == ("h2", "h4", "h5")
    every_quorum_signs(five, wallet)
    refreshed = five.client.refresh("treasury", [])
    assert refreshed.body.group_key == wallet.body.group_key
    every_quorum_signs(five, refreshed)
    for index in (1, 3):
        assert five.world.parties[index].acting.store.wallet_ids() == ()


def test_holders_leave_and_come(five: Office) -> None:
    """3-of-5, then 2-of-3 of them, then 3-of-4 with one that comes back."""
    wallet = five.client.create("treasury", Scheme.TAPROOT, 3, POLICY)
    for threshold, names in ((2, ("h2", "h4", "h5")), (3, ("h1", "h2", "h3", "h4"))):
        shared = five.client.reshare("treasury", threshold, names)
        assert shared.body.group_key == wallet.body.group_key
        assert (shared.threshold, holders_of(shared)) == (threshold, names)
        assert waiting_for(shared) == (True, ())
        every_quorum_signs(five, shared)
        for index, party in five.world.parties.items():
            assert len(keks(party)) == (f"h{index}" in names)
        refreshed = five.client.refresh("treasury", [])
        every_quorum_signs(five, refreshed)


def test_a_roster_that_a_repair_has_amended_is_shared_anew(
    five: Office, replace_hsm: Replace
) -> None:
    """What a repair has amended is proven by as many helpers as signed then, not by t' of them."""
    wallet = five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h4"))
    replace_hsm(five, 4)
    five.client.repair("treasury", 4)
    shared = five.client.reshare("treasury", 4, ("h1", "h2", "h3", "h4", "h5"))
    assert (shared.body.group_key, waiting_for(shared)) == (wallet.body.group_key, (True, ()))
    every_quorum_signs(five, shared)
    replace_hsm(five, 5)
    five.client.repair("treasury", 5)
    again = five.client.reshare("treasury", 2, ("h2", "h4", "h5"))
    every_quorum_signs(five, again)
    every_quorum_signs(five, five.client.refresh("treasury", []))
    assert [len(link.members) for link in history(five).links] == [3, 3, 5, 5, 3, 3]


def test_who_was_left_out_comes_back_with_the_key_that_a_repair_gave_it(
    five: Office, replace_hsm: Replace
) -> None:
    """The roster of all names the lost one still."""
    five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h4"))
    replace_hsm(five, 4)
    five.client.repair("treasury", 4)
    five.client.reshare("treasury", 2, ("h1", "h2", "h3"))
    back = five.client.reshare("treasury", 2, ("h1", "h3", "h4"))
    assert back.roster.member(3).key == five.world.parties[4].acting.identity.key
    every_quorum_signs(five, back)
    every_quorum_signs(five, five.client.refresh("treasury", []))


def amended_and_not_refreshed(office: Office, replace_hsm: Replace) -> None:
    """h2 is repaired onto another HSM, which the next succession carries."""
    office.made()
    replace_hsm(office, 2)
    with_failing_refresh(office, 2)


def test_a_resharing_that_carries_an_amendment_verifies_and_is_followed(
    office: Office, replace_hsm: Replace
) -> None:
    """What h2 says of the epoch before, it says by its new key."""
    amended_and_not_refreshed(office, replace_hsm)
    shared = office.client.reshare("treasury", 3)
    assert waiting_for(shared) == (True, ())
    refreshed = office.client.refresh("treasury", [])
    assert signed_in(office, refreshed, (1, 2, 3)) == refreshed.body.hash
    assert [link.lost for link in history(office).links] == [("h2",), (), ()]


def test_who_stops_while_it_retires_finds_the_proof_again(
    office: Office, replace_hsm: Replace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lineage with the resharing is kept first; what h2 voted by its new key counts still."""
    amended_and_not_refreshed(office, replace_hsm)
    with monkeypatch.context() as patched:

        def killed(*_: object) -> None:
            raise BackendError("killed")

        patched.setattr(retiring, "destroy_keys", killed)
        assert waiting_for(office.client.reshare("treasury", 3)) == (True, (1, 2, 3))
    for index in office.world.parties:
        run_shielded(partial(office.world.restarted, index))
    refreshed = office.client.refresh("treasury", [])
    assert signed_in(office, refreshed, (1, 2, 3)) == refreshed.body.hash
    for party in office.world.parties.values():
        assert len(keks(party)) == 1


def test_a_seat_of_a_lost_hsm_that_is_decided_stops_nobody(
    five: Office, replace_hsm: Replace
) -> None:
    """h1 alone has adopted when h2 is repaired in the old epoch; its seat in the new one has the
    key that was lost. It destroys what it has, and the others go on without it.
    """
    wallet = five.client.create("treasury", Scheme.TAPROOT, 2, POLICY, ("h1", "h2", "h3"))
    for index in (2, 3):
        five.links[index].tamper = failing_at(HolderMethod.ADOPT)
    with pytest.raises(NotReady):
        five.client.reshare("treasury", 2, ("h1", "h2", "h4"))
    for index in (2, 3):
        five.links[index].tamper = None
    replace_hsm(five, 2)
    shown = five.client.repair("treasury", 2)
    assert (holders_of(shown), waiting_for(shown)) == (("h1", "h2", "h4"), (True, ()))
    assert [len(keks(five.world.parties[index])) for index in range(1, 6)] == [1, 0, 0, 1, 0]
    refreshed = five.client.refresh("treasury", [2])
    assert refreshed.body.group_key == wallet.body.group_key
    assert signed_in(five, refreshed, (1, 4)) == refreshed.body.hash
    replace_hsm(five, 2)  # a third key
    every_quorum_signs(five, five.client.repair("treasury", 2))
