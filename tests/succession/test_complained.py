"""What a complaint says, and of what (steps 6.4.8 and 6.7.6)."""

from __future__ import annotations

import pytest

from hsm_mpc.app.acting import suites
from hsm_mpc.errors import BadEncoding
from hsm_mpc.protocols.complaint import Complaint
from hsm_mpc.protocols.equal_logs import Revealed
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.succession.complained import AccusedOf, Complained
from hsm_mpc.wire.rounds import COMPLAINT, REPAIR_COMPLAINT
from tests.protocols.forgery import times_base

ALPHA = bytes(range(10))


def complained(suite: Suite) -> Complained:
    point = times_base(suite, 5)
    return Complained(b"d" * 32, Complaint(2, Revealed(point, point, bytes(64))))


@pytest.mark.parametrize("suite", suites().values())
@pytest.mark.parametrize("place", [ALPHA, *(each.place for each in AccusedOf)])
def test_it_is_of_one_place_and_consumed_exactly(suite: Suite, place: bytes) -> None:
    said, group = complained(suite), suite.group
    encoded = said.to_bytes(place)
    assert Complained.from_bytes(encoded, place, group) == said
    other = bytes([place[0] ^ 3]) + place[1:]
    for wrong in (encoded[:-1], encoded + b"x", other + encoded[len(place) :], b""):
        with pytest.raises(BadEncoding):
            Complained.from_bytes(wrong, place, group)
    assert len(encoded) <= COMPLAINT.cap == REPAIR_COMPLAINT.cap
