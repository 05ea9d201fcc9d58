"""Resharing through a coordinator, with real holders in this process (section 6.8)."""

from __future__ import annotations

from itertools import combinations

import pytest

from hsm_mpc.errors import BadInput, QuorumUnreachable
from tests.agent.making import keks
from tests.coordinator.office import Office
from tests.coordinator.test_refresh import signed_in, waiting_for


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
