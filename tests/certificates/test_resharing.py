"""What a resharing makes of a wallet, and the plan that people consent to (steps 6.8.1, 1.6.7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.resharing import ReshareOrder, Resharing
from hsm_mpc.encoding import lv16, lv32, u16be, u64be
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.ids import EpochHash, WalletId
from tests.certificates.ceremony import Ceremony

ROSTER = Ceremony().roster
RESHARING = Resharing(QuorumSizes.default(ROSTER.n, 2), ROSTER)
UNTIL = 1_800_000_000
ORDER = ReshareOrder(WalletId(b"w" * 16), EpochHash(b"h" * 32), "two more", UNTIL, RESHARING)


def test_the_bytes_of_a_resharing_and_of_its_plan() -> None:
    sizes = RESHARING.sizes
    encoded = u16be(sizes.t) + u16be(sizes.join) + u16be(sizes.adopt) + lv32(ROSTER.to_bytes())
    assert RESHARING.to_bytes() == encoded
    assert Resharing.from_bytes(encoded) == RESHARING
    plan = b"w" * 16 + b"h" * 32 + lv16(b"two more") + u64be(1_800_000_000) + lv32(encoded)
    assert ORDER.to_bytes() == plan
    assert ReshareOrder.from_bytes(plan) == ORDER


def test_nothing_stands_behind_them() -> None:
    with pytest.raises(BadEncoding):
        Resharing.from_bytes(RESHARING.to_bytes() + b"x")
    with pytest.raises(BadEncoding):
        ReshareOrder.from_bytes(ORDER.to_bytes() + b"x")


def test_its_sizes_are_of_its_roster() -> None:
    with pytest.raises(BadInput, match="sizes for"):
        Resharing(QuorumSizes.default(ROSTER.n + 1, 2), ROSTER)


@pytest.mark.parametrize("reason", ["a" * 201, "two\nlines"])
def test_a_reason_is_short_and_printable(reason: str) -> None:
    with pytest.raises(BadEncoding, match="a reason is up to"):
        ReshareOrder.from_bytes(replace(ORDER, reason=reason).to_bytes())
