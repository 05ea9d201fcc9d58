"""What a refresh fixes beforehand, and what its dealers send (steps 6.4.1 and 6.4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hsm_mpc.encoding import u32le, u64be
from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.groups.proofs import context_of
from hsm_mpc.groups.sharing import MAX_HOLDERS
from hsm_mpc.protocols.refresh_messages import RefreshSetup, ZeroDealing
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Take
from tests.protocols.forgery import times_base
from tests.protocols.refreshing import SESSION, Refreshing, random_epoch, refreshing


@pytest.fixture
def keys(any_suite: Suite) -> list[bytes]:
    """V_1..V_3."""
    return [times_base(any_suite, k) for k in (11, 12, 13)]


def setup_of(
    suite: Suite,
    keys: Sequence[bytes],
    dealers: Sequence[int] = (1, 2),
    commitments: Sequence[int] = (7, 5),
    session: bytes = SESSION,
) -> RefreshSetup:
    points = [times_base(suite, a) for a in commitments]
    return RefreshSetup.of(suite, session, dealers, keys, points)


def test_threshold_and_holders_are_those_of_the_epoch(any_suite: Suite, keys: list[bytes]) -> None:
    """Step 6.4.4: t_cannot_change."""
    setup = setup_of(any_suite, keys)
    assert (setup.threshold, setup.holders, setup.key_of(3)) == (2, 3, keys[2])


def test_a_threshold_out_of_range_is_refused(any_suite: Suite, keys: list[bytes]) -> None:
    """Step 1.2.3: t = 1 has nothing to refresh."""
    for commitments in ((7,), (7, 5, 3, 2), ()):
        with pytest.raises(ProtocolAbort, match="a threshold of"):
            setup_of(any_suite, keys, (1, 2, 3), commitments)


def test_more_holders_than_indices_are_refused(any_suite: Suite, keys: list[bytes]) -> None:
    """Step 1.2.1."""
    with pytest.raises(ProtocolAbort, match="among 256 holders"):
        setup_of(any_suite, [keys[0]] * (MAX_HOLDERS + 1))


@pytest.mark.parametrize("dealers", [(2, 1), (1, 1), (0, 1), (1, 4)])
def test_dealers_that_are_not_ascending_holders_are_refused(
    any_suite: Suite, keys: list[bytes], dealers: tuple[int, ...]
) -> None:
    """Step 1.2.2."""
    with pytest.raises(BadInput):
        setup_of(any_suite, keys, dealers)


def test_fewer_dealers_than_the_threshold_are_refused(any_suite: Suite, keys: list[bytes]) -> None:
    """Step 6.1.3: all of them could be liars, who then know every delta."""
    with pytest.raises(ProtocolAbort, match="1 dealers where 2 are wanted"):
        setup_of(any_suite, keys, (3,))


def test_a_delivery_key_that_is_no_point_names_its_holder(
    any_suite: Suite, keys: list[bytes]
) -> None:
    """Step 6.4.1: all of them at once."""
    with pytest.raises(ProtocolAbort, match="delivery key") as abort:
        setup_of(any_suite, [keys[0], bytes(len(keys[0])), keys[2][:-1]])
    assert abort.value.culprits == (2, 3)


def test_a_duplicate_delivery_key_is_refused(any_suite: Suite, keys: list[bytes]) -> None:
    """Step 6.4.1: two different deltas would go out under one pad. Who copied is not proven."""
    with pytest.raises(ProtocolAbort, match="two holders") as abort:
        setup_of(any_suite, [keys[0], keys[1], keys[1]])
    assert abort.value.culprits == ()


def test_commitments_that_are_no_points_are_refused(any_suite: Suite, keys: list[bytes]) -> None:
    with pytest.raises(BadInput, match="a commitment of the epoch"):
        points = [keys[0], bytes(len(keys[0]))]
        RefreshSetup.of(any_suite, SESSION, (1, 2), keys, points)


def test_a_context_names_its_kind_its_session_and_the_delivery_keys(
    any_suite: Suite, keys: list[bytes]
) -> None:
    """Step 6.4.1: 2.4.2 with the label of a refresh."""
    written = b"HSM-MPC-REFRESH-CONTEXT" + u64be(32) + SESSION
    written += u64be(len(any_suite.suite_id)) + any_suite.suite_id + u32le(3) + b"".join(keys)
    assert setup_of(any_suite, keys).context == any_suite.hash(written)
    contexts = {
        setup_of(any_suite, keys).context,
        context_of(any_suite, SESSION, keys),
        setup_of(any_suite, keys, session=b"another").context,
        setup_of(any_suite, [keys[0], keys[2], keys[1]]).context,
        setup_of(any_suite, keys[:2]).context,
    }
    assert len(contexts) == 5


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Refreshing:
    """3-of-4, refreshed by holders 1 to 3."""
    return refreshing(random_epoch(any_suite, 3, 4), take, (1, 2, 3))


def test_a_dealing_survives_its_encoding(at_work: Refreshing) -> None:
    """Step 6.4.2: t − 1 points, three signatures, a point, n frames."""
    group, message = at_work.suite.group, at_work.messages[1]
    assert len(message) == 6 * group.point_length + 3 * group.scalar_length + 4 * (8 + 48)
    assert at_work.dealing(1).to_bytes() == message


def test_a_trailing_byte_in_a_dealing_is_refused(at_work: Refreshing) -> None:
    """Step 1.1.3."""
    with pytest.raises(BadEncoding, match="left over"):
        ZeroDealing.from_bytes(at_work.messages[1] + b"\0", at_work.setup)


def test_every_truncated_dealing_is_refused(at_work: Refreshing) -> None:
    """Step 1.1.3."""
    message = at_work.messages[1]
    for length in range(len(message)):
        with pytest.raises(BadEncoding):
            ZeroDealing.from_bytes(message[:length], at_work.setup)


@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_dealing_with_a_point_that_is_none_is_refused(at_work: Refreshing, place: int) -> None:
    """Step 6.4.3: each commitment, and E; the identity is none."""
    message, group = at_work.messages[1], at_work.suite.group
    width = group.point_length
    start = place * width if place < 2 else 5 * width + 3 * group.scalar_length
    for wrong in (bytes(width), b"\1" + bytes(width - 1)):
        with pytest.raises(BadEncoding, match="point"):
            spoilt = message[:start] + wrong + message[start + width :]
            ZeroDealing.from_bytes(spoilt, at_work.setup)
