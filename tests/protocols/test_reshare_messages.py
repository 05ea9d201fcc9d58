"""What a resharing fixes beforehand, and what its dealers send (steps 6.8.1 and 6.8.2)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hsm_mpc.encoding import u32le, u64be
from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.groups.sharing import MAX_HOLDERS
from hsm_mpc.protocols.reshare_messages import ReshareSetup, ShareDealing
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Take
from tests.protocols.forgery import times_base
from tests.protocols.refreshing import random_epoch
from tests.protocols.resharing import SESSION, Resharing, resharing


@pytest.fixture
def keys(any_suite: Suite) -> list[bytes]:
    """V_1..V_4."""
    return [times_base(any_suite, k) for k in (11, 12, 13, 14)]


@pytest.fixture
def new_keys(any_suite: Suite) -> list[bytes]:
    """V'_1..V'_3."""
    return [times_base(any_suite, k) for k in (21, 22, 23)]


def setup_of(
    suite: Suite,
    keys: Sequence[bytes],
    new_keys: Sequence[bytes],
    dealers: Sequence[int] = (1, 3),
    commitments: Sequence[int] = (7, 5),
    new_threshold: int = 2,
    session: bytes = SESSION,
) -> ReshareSetup:
    points = [times_base(suite, a) for a in commitments]
    return ReshareSetup.of(suite, session, dealers, keys, points, new_keys, new_threshold)


def test_a_setup_knows_what_each_dealer_has_to_share(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes]
) -> None:
    """Steps 1.2.5, 1.6.6 and 6.8.3: 7 + 5x; λ_1({1, 2}; 0) = 2 and λ_2 = −1."""
    setup = setup_of(any_suite, keys, new_keys, (1, 2), new_threshold=3)
    assert (setup.threshold, setup.holders, setup.dealers) == (3, 4, (1, 2))
    assert (list(setup.receivers), setup.partners) == ([1, 2, 3], (1, 2))
    assert [setup.factor(1), setup.factor(2)] == [2, any_suite.group.order - 1]
    assert setup.constant_of(1) == times_base(any_suite, 2 * 12)
    assert setup.constant_of(2) == times_base(any_suite, -17)
    assert (setup.key_of(2), setup.key_of_receiver(2)) == (keys[1], new_keys[1])


def test_an_old_threshold_out_of_range_is_refused(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes]
) -> None:
    """Step 1.2.3."""
    for commitments in ((7,), (7, 5, 3, 2, 1), ()):
        with pytest.raises(ProtocolAbort, match="a threshold of"):
            setup_of(any_suite, keys, new_keys, (1,), commitments)


def test_a_public_share_that_is_the_identity_has_no_part(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes]
) -> None:
    """Step 6.8.3: 4 − 2x is 0 at 2; no epoch of these commitments is certified."""
    setup = setup_of(any_suite, keys, new_keys, (1, 2), (4, -2))
    with pytest.raises(ProtocolAbort, match="holder 2 is the identity") as caught:
        setup.constant_of(2)
    assert caught.value.culprits == ()


@pytest.mark.parametrize("new_threshold", [0, 1, 4])
def test_a_new_threshold_out_of_range_is_refused(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes], new_threshold: int
) -> None:
    """Step 1.2.3: t' = 1 would give every new holder the key."""
    with pytest.raises(BadInput, match=f"a threshold of {new_threshold} among 3 holders"):
        setup_of(any_suite, keys, new_keys, new_threshold=new_threshold)


def test_more_new_holders_than_indices_are_refused(any_suite: Suite, keys: list[bytes]) -> None:
    """Step 1.2.1."""
    many = [times_base(any_suite, k) for k in range(1, MAX_HOLDERS + 2)]
    assert len(setup_of(any_suite, keys, many[:-1]).receivers) == MAX_HOLDERS
    with pytest.raises(BadInput, match="among 256 holders"):
        setup_of(any_suite, keys, many)


@pytest.mark.parametrize("dealers", [(2, 1), (1, 1), (0, 1), (1, 5)])
def test_dealers_of_a_resharing_that_are_not_ascending_holders_are_refused(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes], dealers: tuple[int, ...]
) -> None:
    """Step 1.2.2."""
    with pytest.raises(BadInput, match=r"ascending|indices run"):
        setup_of(any_suite, keys, new_keys, dealers)


@pytest.mark.parametrize("dealers", [(), (1,), (1, 2, 3)])
def test_a_wrong_number_of_dealers_is_refused(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes], dealers: tuple[int, ...]
) -> None:
    """Step 6.8.2: exactly t."""
    with pytest.raises(BadInput, match="exactly 2 are wanted"):
        setup_of(any_suite, keys, new_keys, dealers)


def test_an_old_delivery_key_that_is_no_point_names_its_holder(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes]
) -> None:
    """Step 6.8.2: all of them at once; they stand in DONEs."""
    wrong = [keys[0], bytes(len(keys[0])), keys[2][:-1], keys[3]]
    with pytest.raises(ProtocolAbort, match="delivery key") as caught:
        setup_of(any_suite, wrong, new_keys)
    assert caught.value.culprits == (2, 3)


def test_a_new_delivery_key_that_is_no_point_is_refused(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes]
) -> None:
    """Step 6.8.1: V' of a HELLO. Who is named by an index is an old holder, so nobody is."""
    for wrong in (bytes(len(keys[0])), keys[0][:-1], b""):
        with pytest.raises(BadInput, match="the delivery key of a new holder"):
            setup_of(any_suite, keys, [*new_keys[:2], wrong])


def test_a_duplicate_old_delivery_key_is_refused(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes]
) -> None:
    """Step 6.8.2: who copied is not proven."""
    with pytest.raises(ProtocolAbort, match="two holders") as caught:
        setup_of(any_suite, [*keys[:3], keys[0]], new_keys)
    assert caught.value.culprits == ()


def test_a_duplicate_new_delivery_key_is_refused(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes]
) -> None:
    """Step 6.8.2: two shares of one dealer would go out under one pad."""
    with pytest.raises(ProtocolAbort, match="two new holders") as caught:
        setup_of(any_suite, keys, [*new_keys, new_keys[0]])
    assert caught.value.culprits == ()


def test_commitments_that_are_no_points_are_refused_in_a_resharing(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes]
) -> None:
    with pytest.raises(BadInput, match="a commitment of the epoch"):
        points = [keys[0], bytes(len(keys[0]))]
        ReshareSetup.of(any_suite, SESSION, (1, 2), keys, points, new_keys, 2)


def test_a_context_of_a_resharing_names_its_session_and_both_rosters_keys(
    any_suite: Suite, keys: list[bytes], new_keys: list[bytes]
) -> None:
    """Step 6.8.2: 2.4.2 with the label of a resharing, and u32le(n + n')."""
    written = b"HSM-MPC-RESHARE-CONTEXT" + u64be(32) + SESSION
    written += u64be(len(any_suite.suite_id)) + any_suite.suite_id
    written += u32le(7) + b"".join(keys + new_keys)
    assert setup_of(any_suite, keys, new_keys).context == any_suite.hash(written)
    contexts = {
        setup_of(any_suite, keys, new_keys).context,
        setup_of(any_suite, keys, new_keys, session=b"another").context,
        setup_of(any_suite, keys, new_keys[::-1]).context,
        setup_of(any_suite, keys[::-1], new_keys).context,
        setup_of(any_suite, keys[:3], new_keys).context,
        setup_of(any_suite, keys, new_keys[:2]).context,
    }
    assert len(contexts) == 6


# --- DEAL -----------------------------------------------------------------------------------------


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Resharing:
    """3-of-4, reshared by holders 1, 2 and 4 to 2-of-5."""
    return resharing(random_epoch(any_suite, 3, 4), take, (1, 2, 4), 2, 5)


def test_a_dealing_of_a_resharing_survives_its_encoding(at_work: Resharing) -> None:
    """Step 6.8.2: t' points, three signatures, a point, n' frames."""
    group, message = at_work.suite.group, at_work.messages[1]
    assert len(message) == 6 * group.point_length + 3 * group.scalar_length + 5 * (8 + 48)
    assert at_work.dealing(1).to_bytes() == message
    assert at_work.dealing(1).proven_key == at_work.dealing(1).commitments[0]


def test_every_truncated_or_longer_dealing_is_refused(at_work: Resharing) -> None:
    """Step 1.1.3."""
    message = at_work.messages[1]
    for length in range(len(message)):
        with pytest.raises(BadEncoding):
            ShareDealing.from_bytes(message[:length], at_work.setup)
    with pytest.raises(BadEncoding, match="left over"):
        ShareDealing.from_bytes(message + b"\0", at_work.setup)


def test_a_dealing_of_a_resharing_with_a_point_that_is_none_is_refused(at_work: Resharing) -> None:
    """Step 6.8.3: each commitment, and E; the identity is none."""
    message, group = at_work.messages[1], at_work.suite.group
    width = group.point_length
    for start in (0, width, 5 * width + 3 * group.scalar_length):
        for wrong in (bytes(width), b"\1" + bytes(width - 1)):
            with pytest.raises(BadEncoding, match="point"):
                spoilt = message[:start] + wrong + message[start + width :]
                ShareDealing.from_bytes(spoilt, at_work.setup)
