"""Channels that holders announced: only what its holder signed is kept and shown to others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.wire.calls import HolderMethod
from tests.coordinator.office import Office

Honest = Callable[[Sequence[bytes]], tuple[bytes, ...]]


@pytest.fixture
def channels(shared_office: Office) -> AnnouncedChannels:
    return AnnouncedChannels(shared_office.holders, shared_office.world.clock)


def test_a_channel_is_learned_and_shown(shared_office: Office, channels: AnnouncedChannels) -> None:
    assert channels.message("h1") is None
    assert channels.learn(1, channels.keys)
    assert channels.message("h1") == shared_office.links[1]._honest(HolderMethod.CHANNEL, [])[0]


def test_a_holder_that_is_down_has_no_channel(
    shared_office: Office, channels: AnnouncedChannels
) -> None:
    shared_office.links[1].down = True
    assert not channels.learn(1, channels.keys)
    assert channels.message("h1") is None


@pytest.mark.parametrize(
    "lie",
    [
        lambda own, other: (),
        lambda own, other: (own, own),
        lambda own, other: (b"garbage",),
        lambda own, other: (other,),
        lambda own, other: (own[:-1] + bytes([own[-1] ^ 1]),),
    ],
    ids=["nothing", "two", "garbage", "another holder's", "a flipped bit"],
)
def test_what_is_not_the_holders_own_channel_is_not_kept(
    shared_office: Office,
    channels: AnnouncedChannels,
    lie: Callable[[bytes, bytes], tuple[bytes, ...]],
) -> None:
    (other,) = shared_office.links[2]._honest(HolderMethod.CHANNEL, [])
    shared_office.links[1].tamper = lambda method, parts, honest: lie(honest(parts)[0], other)
    assert not channels.learn(1, channels.keys)
    assert channels.message("h1") is None
