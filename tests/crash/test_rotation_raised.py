"""A holder dies at any step of a rotation of its identity key, and is reopened from folder and
token.

After each death: the card names a key that the token has, what is on disk is signed by one that
counts, and the same calls end it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from hsm_mpc.agent.own_identity import kept_card
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.hsm.identity import identities
from hsm_mpc.succession.amendment import Rotated
from tests.agent.making import Making
from tests.crash.deaths import MOMENTS, Death, DeathError, Moment
from tests.crash.driving import drive, signed
from tests.crash.phoenix import Phoenix
from tests.named_steps import nothing_happens

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_rotation_that_dies_at_any_change(
    phoenix: Phoenix, moment: Moment, report_line: Callable[[str], None]
) -> None:
    making = Making.of(phoenix.world)
    drive(making)
    certificate = making.certificate()
    old_keys = set[bytes]()
    for count in itertools.count():
        before = phoenix.party.acting.identity.key
        death = Death.at(moment, count)
        phoenix.watch = death.observer
        try:
            rotate(phoenix)
        except DeathError:
            phoenix.restart()
            assert phoenix.party.acting.identity.key in {
                each.key for each in identities(phoenix.party.acting.token).values()
            }
            assert phoenix.party.wallets.all()
            phoenix.watch = nothing_happens
            if phoenix.party.rotations.is_under_way() or is_before(phoenix, before.encoded):
                rotate(phoenix)
        phoenix.watch = nothing_happens
        key = phoenix.party.acting.identity.key
        assert key != before
        assert key.encoded not in old_keys
        old_keys.add(before.encoded)
        (left,) = identities(phoenix.party.acting.token).values()
        card = kept_card(phoenix.party.acting.store)
        assert card is not None
        assert card.content.key == left.key == key
        after = phoenix.remains()
        assert after.states == {bytes(making.wallet_id): "active"}
        if not death.has_come:
            break
    assert count > 30
    phoenix.restart()
    signed(phoenix.world, certificate, b"after all of them")
    report_line(f"rotation: died {moment} each of {count} changes of one holder")


def is_before(phoenix: Phoenix, key: bytes) -> bool:
    return phoenix.party.acting.identity.key.encoded == key


def rotate(phoenix: Phoenix) -> None:
    """From the first call to the last, as an operator and a coordinator go on after a death."""
    rotations = phoenix.world.parties[phoenix.index].rotations
    rotations.begin()
    rotations.turn()
    _, *told = rotations.offered()
    others = [index for index in phoenix.world.parties if index != phoenix.index]
    rotations.turned(
        [
            phoenix.world.parties[index].repairs.amend(
                rotate_in(source).wallet_id, Rotated(rotate_in(source)).to_bytes()
            )
            for source in told
            for index in others
        ]
    )


def rotate_in(source: bytes) -> Rotate:
    return Rotate.from_bytes(source)
