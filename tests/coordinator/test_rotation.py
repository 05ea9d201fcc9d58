"""A holder puts another identity key into the place of its own (step 6.7.9)."""

from __future__ import annotations

from functools import partial

from hsm_mpc.secure.process import run_shielded
from tests.coordinator.office import Office
from tests.coordinator.test_repair import only_one_epoch_is_left, signs_in_every_pair
from tests.coordinator.test_replaced import history, roster_of


def test_the_next_refresh_carries_it_and_all_sign(office: Office) -> None:
    before = office.made()
    party = office.world.parties[2]
    old = party.acting.identity.key
    state = run_shielded(party.rotations.begin)
    assert (state.turned, state.ended, state.wallets) == (False, False, ("treasury",))
    assert party.acting.identity.key == old
    wallet = office.client.refresh("treasury", ())
    assert office.reports == []
    assert party.acting.identity.key == state.identity_key != old
    assert (wallet.body.epoch, wallet.body.group_key) == (1, before.body.group_key)
    assert wallet.newest is not None
    assert wallet.newest.replaced == ()
    signs_in_every_pair(office)
    for index in office.world.parties:
        only_one_epoch_is_left(office, index, wallet.body)
        assert roster_of(office, index) == wallet.body.terms.roster_hash
        run_shielded(partial(office.world.restarted, index))
    signs_in_every_pair(office)
    office.client.refresh("treasury", ())
    signs_in_every_pair(office)
    links = history(office).links
    assert [link.rotated for link in links] == [(), (2,), ()]
    assert [link.lost for link in links] == [(), (), ()]
