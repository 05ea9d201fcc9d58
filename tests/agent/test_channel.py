"""Channel keys: drawn once, certified, renewed, and never signing under another certificate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from hsm_mpc.agent.channel import ChannelKeys, ChannelSigner
from hsm_mpc.certificates.channel import LONGEST_VALIDITY, Channel
from hsm_mpc.errors import BackendError
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import parse_envelope
from tests.agent.simulate import World
from tests.software_identity import p256_key

NOW = 1_000_000
DAY = LONGEST_VALIDITY
IDENTITY = p256_key(5)


@dataclass
class Hsm:
    """Counts what it is asked to sign, and may be slow or gone."""

    signed: int = 0
    gone: bool = False
    slow: Callable[[], None] = field(default=lambda: None)

    def sign(self, tag: Tag, message: bytes) -> bytes:
        if self.gone:
            raise BackendError("the token is gone")
        self.slow()
        self.signed += 1
        return IDENTITY.sign(tag, message)


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena(16 * 1024)
    yield arena
    arena.close()


@pytest.fixture
def hsm() -> Hsm:
    return Hsm()


@pytest.fixture
def keys(arena: Arena, hsm: Hsm) -> ChannelKeys:
    return ChannelKeys(arena, Entropy(), IDENTITY.public, hsm.sign, NOW)


def belong_together(signer: ChannelSigner) -> Channel:
    signer.channel.verify(Tag.ENVELOPE, b"message", signer.sign(Tag.ENVELOPE, b"message"))
    return signer.channel


def test_a_channel_is_certified_once_for_a_day(keys: ChannelKeys, hsm: Hsm) -> None:
    """Step 1.6.2a."""
    channel = belong_together(keys.signer(NOW))
    content = channel.content
    assert (content.lowest, content.highest) == (1, 1)
    assert (content.not_before, content.not_after) == (NOW, NOW + DAY)
    assert Channel.from_bytes(channel.to_bytes(), IDENTITY.public) == channel
    for later in (NOW + 1, NOW + DAY - 3600):
        assert keys.signer(later).channel == channel
    assert hsm.signed == 1


def test_two_starts_have_nothing_in_common(arena: Arena, hsm: Hsm, keys: ChannelKeys) -> None:
    other = ChannelKeys(arena, Entropy(), IDENTITY.public, hsm.sign, NOW)
    one, two = keys.signer(NOW).channel.content, other.signer(NOW).channel.content
    assert one.boot != two.boot
    assert one.signing_key != two.signing_key
    assert one.exchange_key != two.exchange_key


def test_a_channel_is_renewed_before_its_end(keys: ChannelKeys, hsm: Hsm) -> None:
    first = keys.signer(NOW).channel
    second = belong_together(keys.signer(NOW + DAY - 3599))
    assert second.content.not_before == NOW + DAY - 3599
    assert (second.content.boot, second.content.signing_key) == (
        first.content.boot,
        first.content.signing_key,
    )
    assert hsm.signed == 2


def test_a_channel_is_renewed_when_the_clock_was_set_back(keys: ChannelKeys, hsm: Hsm) -> None:
    """Others would take it for one of the future."""
    assert keys.signer(NOW - 300).channel.content.not_before == NOW
    assert belong_together(keys.signer(NOW - 301)).content.not_before == NOW - 301


def test_what_was_begun_under_one_certificate_is_ended_under_it(keys: ChannelKeys) -> None:
    before = keys.signer(NOW)
    after = keys.signer(NOW + DAY)
    for signer in (before, after):
        belong_together(signer)
    assert before.channel != after.channel


def test_an_hsm_that_is_gone_leaves_no_key_behind(arena: Arena, hsm: Hsm) -> None:
    free = arena.free_bytes
    hsm.gone = True
    with pytest.raises(BackendError, match="the token is gone"):
        ChannelKeys(arena, Entropy(), IDENTITY.public, hsm.sign, NOW)
    assert arena.free_bytes == free


def test_a_renewal_that_fails_is_said_and_tried_again(keys: ChannelKeys, hsm: Hsm) -> None:
    hsm.gone = True
    for _ in range(2):
        with pytest.raises(BackendError):
            keys.signer(NOW + DAY)
    hsm.gone = False
    belong_together(keys.signer(NOW + DAY))


def test_nobody_waits_for_a_renewal_while_the_old_one_is_good(keys: ChannelKeys, hsm: Hsm) -> None:
    renewing, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        renewing.set()
        assert go_on.wait(10)

    hsm.slow = slow
    thread = threading.Thread(target=keys.signer, args=(NOW + DAY - 60,))
    thread.start()
    assert renewing.wait(10)
    assert keys.signer(NOW + DAY - 60).channel.content.not_before == NOW
    go_on.set()
    thread.join()
    assert keys.signer(NOW + DAY - 60).channel.content.not_before == NOW + DAY - 60
    assert hsm.signed == 2


def test_everybody_waits_for_a_renewal_when_the_old_one_is_over(
    keys: ChannelKeys, hsm: Hsm
) -> None:
    later = NOW + DAY + 1
    channels: list[Channel] = []
    threads = [
        threading.Thread(target=lambda: channels.append(belong_together(keys.signer(later))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [channel.content.not_before for channel in channels] == [later] * 4
    assert hsm.signed == 2


def test_wiped_keys_sign_nothing(keys: ChannelKeys, arena: Arena) -> None:
    signer = keys.signer(NOW)
    keys.wipe()
    with pytest.raises(BackendError, match="after its release"):
        signer.sign(Tag.ENVELOPE, b"message")
    assert arena.free_bytes == 16 * 1024


def test_an_announcement_verifies_by_itself(world: World) -> None:
    """Step 1.7.2: also the one that is made at the moment of a renewal."""
    one, other = world.parties[1].acting, world.parties[2].acting
    for later in (0, DAY - 3600, DAY - 3599, 2 * DAY):
        world.now[0] += later
        other.learn_channel(1, one.channel_announcement())
        message = parse_envelope(one.channel_announcement())
        assert other.keys.channels(1)[0].to_bytes() == message.payload
