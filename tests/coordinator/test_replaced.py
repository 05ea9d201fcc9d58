"""A holder that has lost its HSM: another one, with another identity key, takes its place (6.7.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import run_shielded
from tests.agent.simulate import new_token
from tests.coordinator.office import Office
from tests.coordinator.test_repair import only_one_epoch_is_left, signs_in_every_pair
from tests.softhsm import throw_away

Replace = Callable[[Office, int], None]


@pytest.fixture
def replace_hsm(hsm_module: Module, pin_arena: Arena) -> Iterator[Replace]:
    """A holder's HSM and disk are lost, and it has a new one of each."""
    tokens: list[Token] = []

    def replaced(office: Office, index: int) -> None:
        tokens.append(run_shielded(partial(new_token, hsm_module, pin_arena)))
        run_shielded(partial(office.world.replaced, index, tokens[-1]))

    yield replaced
    for token in tokens:
        throw_away(token)


@pytest.mark.parametrize("refreshed", [0, pytest.param(2, marks=pytest.mark.long)])
def test_a_holder_on_another_hsm_gets_its_share_again(
    office: Office, replace_hsm: Replace, refreshed: int
) -> None:
    before = office.made()
    for _ in range(refreshed):
        office.client.refresh("treasury", ())
    replace_hsm(office, 2)
    wallet = office.client.repair("treasury", 2)
    assert wallet.body.group_key == before.body.group_key
    assert wallet.body.epoch == refreshed + 1
    signs_in_every_pair(office)
    for index in office.world.parties:
        only_one_epoch_is_left(office, index, wallet.body)
    office.client.refresh("treasury", ())
    signs_in_every_pair(office)
