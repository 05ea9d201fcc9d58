"""What a repair fixes beforehand, and what its helpers send (steps 6.7.2, 6.7.3 and 6.7.5)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hsm_mpc.encoding import u32le, u64be
from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.protocols.repair_messages import RepairSetup, Split, Summed
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Take
from tests.protocols.forgery import times_base
from tests.protocols.refreshing import random_epoch
from tests.protocols.repairing import SESSION, Repairing, repairing


@pytest.fixture
def keys(any_suite: Suite) -> list[bytes]:
    """V_1..V_4, V_4 the new one of r."""
    return [times_base(any_suite, k) for k in (11, 12, 13, 14)]


def setup_of(
    suite: Suite,
    keys: Sequence[bytes],
    helpers: Sequence[int] = (1, 2),
    lost: int = 4,
    commitments: Sequence[int] = (7, 5),
    session: bytes = SESSION,
) -> RepairSetup:
    points = [times_base(suite, a) for a in commitments]
    return RepairSetup.of(suite, session, lost, helpers, keys, points)


def test_a_setup_knows_what_each_helper_owes(any_suite: Suite, keys: list[bytes]) -> None:
    """Steps 1.2.5, 1.6.6 and 6.7.3: λ_1({1, 2}; 4) = −2 and λ_2 = 3; f(x) = 7 + 5x."""
    setup = setup_of(any_suite, keys)
    assert (setup.threshold, setup.holders, setup.lost) == (2, 4, 4)
    assert setup.receivers == setup.helpers == (1, 2)
    assert [setup.factor(1), setup.factor(2)] == [any_suite.group.order - 2, 3]
    assert setup.public_share(4) == times_base(any_suite, 27)
    assert setup.key_of(4) == keys[3]


@pytest.mark.parametrize("lost", [1, 2])
def test_r_in_h_is_refused(any_suite: Suite, keys: list[bytes], lost: int) -> None:
    """Step 6.7.2: r_in_H."""
    with pytest.raises(BadInput, match="helps to repair its own share"):
        setup_of(any_suite, keys, lost=lost)


@pytest.mark.parametrize("helpers", [(), (1,), (1, 2, 3)])
def test_a_wrong_number_of_helpers_is_refused(
    any_suite: Suite, keys: list[bytes], helpers: tuple[int, ...]
) -> None:
    """Step 6.7.2: exactly t."""
    with pytest.raises(BadInput, match="exactly 2 are wanted"):
        setup_of(any_suite, keys, helpers)


@pytest.mark.parametrize("helpers", [(2, 1), (1, 1), (0, 1), (1, 5)])
def test_helpers_that_are_not_ascending_holders_are_refused(
    any_suite: Suite, keys: list[bytes], helpers: tuple[int, ...]
) -> None:
    """Step 1.2.2."""
    with pytest.raises(BadInput, match=r"ascending|indices run"):
        setup_of(any_suite, keys, helpers)


@pytest.mark.parametrize("lost", [0, 5, -1])
def test_a_lost_share_of_nobody_is_refused(any_suite: Suite, keys: list[bytes], lost: int) -> None:
    """Step 1.2.2."""
    with pytest.raises(BadInput, match="indices run from 1 to 4"):
        setup_of(any_suite, keys, lost=lost)


def test_where_all_sign_nobody_can_help(any_suite: Suite, keys: list[bytes]) -> None:
    """Step 6.7.2: t = n leaves fewer than t others."""
    with pytest.raises(BadInput, match="exactly 4 are wanted"):
        setup_of(any_suite, keys, (1, 2, 3), commitments=(7, 5, 3, 2))


def test_a_threshold_out_of_range_is_refused(any_suite: Suite, keys: list[bytes]) -> None:
    """Step 1.2.3."""
    for commitments in ((7,), (7, 5, 3, 2, 1), ()):
        with pytest.raises(ProtocolAbort, match="a threshold of"):
            setup_of(any_suite, keys, (1,), commitments=commitments)


def test_a_new_delivery_key_that_is_no_point_names_nobody(
    any_suite: Suite, keys: list[bytes]
) -> None:
    """Step 6.7.2: it stands in the order, which no holder signed."""
    with pytest.raises(BadEncoding):
        setup_of(any_suite, [*keys[:3], bytes(len(keys[0]))])


def test_another_delivery_key_that_is_no_point_names_its_holder(
    any_suite: Suite, keys: list[bytes]
) -> None:
    """Step 6.7.2: it stands in its DONE."""
    with pytest.raises(ProtocolAbort, match="delivery key") as caught:
        setup_of(any_suite, [keys[0], keys[1][:-1], bytes(len(keys[0])), keys[3]])
    assert caught.value.culprits == (2, 3)


def test_a_duplicate_delivery_key_is_refused_in_a_repair(
    any_suite: Suite, keys: list[bytes]
) -> None:
    """Step 6.7.2: two shares would go out under one pad; also if r shows the key of a helper."""
    for copied in ([keys[0], *keys[:3]], [*keys[:3], keys[0]]):
        with pytest.raises(ProtocolAbort, match="two holders") as caught:
            setup_of(any_suite, copied)
        assert caught.value.culprits == ()


def test_commitments_that_are_no_points_are_refused_in_a_repair(
    any_suite: Suite, keys: list[bytes]
) -> None:
    with pytest.raises(BadInput, match="a commitment of the epoch"):
        points = [keys[0], bytes(len(keys[0]))]
        RepairSetup.of(any_suite, SESSION, 4, (1, 2), keys, points)


def test_a_context_of_a_repair_names_its_session_and_the_delivery_keys(
    any_suite: Suite, keys: list[bytes]
) -> None:
    """Step 6.7.2: 2.4.2 with the label of a repair."""
    written = b"HSM-MPC-REPAIR-CONTEXT" + u64be(32) + SESSION
    written += u64be(len(any_suite.suite_id)) + any_suite.suite_id + u32le(4) + b"".join(keys)
    assert setup_of(any_suite, keys).context == any_suite.hash(written)
    renewed = [*keys[:3], times_base(any_suite, 15)]
    contexts = {
        setup_of(any_suite, keys).context,
        setup_of(any_suite, keys, session=b"another").context,
        setup_of(any_suite, renewed).context,
    }
    assert len(contexts) == 3


# --- R1 and R2 ------------------------------------------------------------------------------------


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Repairing:
    """3-of-4: holders 1, 2 and 4 repair the share of holder 3."""
    return repairing(random_epoch(any_suite, 3, 4), take, 3, (1, 2, 4))


def test_every_truncated_or_longer_message_is_refused(at_work: Repairing) -> None:
    """Step 1.1.3."""
    split, summed = at_work.messages[1], at_work.sums()[1]
    for length in range(len(split)):
        with pytest.raises(BadEncoding):
            Split.from_bytes(split[:length], at_work.setup)
    for length in range(len(summed)):
        with pytest.raises(BadEncoding):
            Summed.from_bytes(summed[:length], at_work.setup)
    with pytest.raises(BadEncoding, match="left over"):
        Split.from_bytes(split + b"\0", at_work.setup)
    with pytest.raises(BadEncoding, match="left over"):
        Summed.from_bytes(summed + b"\0", at_work.setup)


def test_a_message_with_a_point_that_is_none_is_refused(at_work: Repairing) -> None:
    """Steps 6.7.4 and 6.7.5: each D, E and E'; the identity is none."""
    group = at_work.suite.group
    width = group.point_length
    proof = width + group.scalar_length
    split, summed = at_work.messages[1], at_work.sums()[1]
    for wrong in (bytes(width), b"\1" + bytes(width - 1)):
        for start in (0, width, 2 * width, 3 * width + 2 * proof):
            with pytest.raises(BadEncoding, match="point"):
                spoilt = split[:start] + wrong + split[start + width :]
                Split.from_bytes(spoilt, at_work.setup)
        start = 32 + 2 * proof
        with pytest.raises(BadEncoding, match="point"):
            spoilt = summed[:start] + wrong + summed[start + width :]
            Summed.from_bytes(spoilt, at_work.setup)
