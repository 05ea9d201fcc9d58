"""Whatever coordinators and holders sign, a holder answers with one of our errors, or rightly.

Every payload is changed at random and signed again by its sender: what arrives here has passed all
checks before the decoders. An exception of another kind would be an unforeseen state.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from hsm_mpc.errors import HsmMpcError
from hsm_mpc.store.record import EpochState
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import FIRST_COORDINATOR, PROPOSAL, Key
from tests.agent.making import Making, events, is_empty, resigned, states
from tests.agent.rounds import Round, partial_in
from tests.agent.simulate import LAB_POLICY, NOTHING, World, made_wallet

pytestmark = pytest.mark.usefixtures("shielded")

TIMES = 60


def changed(numbers: random.Random, payload: bytes) -> bytes:
    """A few bits flipped, bytes cut off, put in, or doubled."""
    raw = bytearray(payload)
    for _ in range(numbers.choice((1, 1, 1, 2, 5))):
        at = numbers.randrange(len(raw)) if raw else 0
        match numbers.randrange(5):
            case 0:
                raw[at : at + 1] = bytes([numbers.randrange(256)])
            case 1:
                raw[at : at + 1] = bytes([(raw[at] if raw else 0) ^ 1 << numbers.randrange(8)])
            case 2:
                del raw[at : at + numbers.choice((1, 2, 33))]
            case 3:
                raw[at:at] = numbers.randbytes(numbers.choice((1, 2, 33)))
            case _:
                raw += raw[at:]
    return bytes(raw[: 1 << 16])


def said_again(world: World, source: bytes, payload: bytes) -> bytes:
    """The same message with another payload, signed by the same sender."""
    message = parse_envelope(source)
    if message.address.sender < FIRST_COORDINATOR:
        return resigned(world, source, payload[: message.kind.cap])
    sign = world.coordinator.sign
    return seal_envelope(message.kind, message.address, payload, Key.COORDINATOR, sign).to_bytes()


def attacked(world: World, seed: int, source: bytes, take: Callable[[bytes], object]) -> int:
    """How many of the changed messages were taken."""
    numbers, payload, taken = random.Random(seed), parse_envelope(source).payload, 0
    for _ in range(TIMES):
        false = changed(numbers, payload)
        if false == payload:
            continue
        try:
            take(said_again(world, source, false))
        except HsmMpcError:
            continue
        taken += 1
    return taken


def test_false_proposals(world: World) -> None:
    making = Making.of(world)
    party = world.parties[1]
    assert (
        attacked(
            world, 1, making.message(), lambda each: party.ceremonies.propose(each, LAB_POLICY)
        )
        == 0
    )
    assert is_empty(party)


def test_false_hellos_and_dealings(world: World) -> None:
    """One message is enough to end a session, so each is of a session of its own."""
    numbers = random.Random(2)
    for number in range(8):
        making = Making.of(world, f"w{number}").greeted()
        payload = parse_envelope(making.hellos[1]).payload
        making.hellos[1] = resigned(world, making.hellos[1], changed(numbers, payload)[:1024])
        with pytest.raises(HsmMpcError):
            making.deal(1)
            making.dealings = [making.deal(1), making.deal(1), making.deal(1)]
            making.confirm(1)
        making = Making.of(world, f"v{number}").dealt()
        payload = parse_envelope(making.dealings[1]).payload
        false = changed(numbers, payload)
        making.dealings[1] = resigned(world, making.dealings[1], false)
        try:
            making.confirm(1)
        except HsmMpcError:
            assert world.parties[1].wallets.of(making.wallet_id) == ()
        world.later[0] += 60
        for party in world.parties.values():
            party.ceremonies.expire()


def test_false_certificates_and_dones(world: World) -> None:
    making = Making.of(world).confirmed()
    party = world.parties[1]
    assert attacked(world, 3, making.certified(), party.ceremonies.certify) == 0
    assert states(party) == [EpochState.PREPARED]
    making.dones = [making.certify(index) for index in (1, 2, 3)]

    def activate(false: bytes) -> None:
        party.ceremonies.activate([making.dones[0], false, making.dones[2]])

    assert attacked(world, 4, making.dones[1], activate) == 0
    assert states(party) == [EpochState.CERTIFIED]


def test_false_requests_and_lists(world: World) -> None:
    certificate = made_wallet(world)
    party = world.parties[1]
    round_ = Round(world, certificate).commit(1, 2)
    assert attacked(world, 5, round_.asked, party.desk.request) == 0
    channels = world.channels()

    def sign(false: bytes) -> None:
        """A list that differs in its attempt alone is as good as the true one."""
        round_.commit(1)
        (answer,) = party.desk.sign(false, channels)
        assert partial_in(answer).list_hash

    taken = attacked(world, 6, round_.listed(), sign)
    assert events(party).count("partial-released") == taken <= TIMES // 10


def test_random_bytes_are_answered_with_an_error(world: World) -> None:
    numbers = random.Random(7)
    party = world.parties[1]
    takers: list[Callable[[bytes], object]] = [
        lambda each: party.ceremonies.propose(each, LAB_POLICY),
        lambda each: party.ceremonies.take_hellos([each] * 3),
        lambda each: party.ceremonies.take_dealings([each] * 3, []),
        lambda each: party.ceremonies.take_dealings([], [each]),
        party.ceremonies.certify,
        lambda each: party.ceremonies.activate([each] * 3),
        lambda each: party.ceremonies.judge(each, each, [each] * 3),
        party.desk.request,
        lambda each: party.desk.sign(each, [each]),
    ]
    making = Making.of(world)
    whole = world.said(PROPOSAL, making.wallet_id, NOTHING, NOTHING, making.proposal.to_bytes())
    for take in takers:
        for _ in range(TIMES):
            source = numbers.choice(
                (numbers.randbytes(numbers.randrange(300)), changed(numbers, whole))
            )
            with pytest.raises(HsmMpcError):
                take(source)
    assert is_empty(party)
