"""SIGKILL of one holder at every durable step of a key generation and of a signature.

The relay and the other holder live on, and the relay goes on with the messages that it has. Then:
no key that nobody names, no half wallet, a whole audit log, no share that does not open, no nonce
that was used twice; and either the wallet is finished, or its name is free again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.errors import Refused
from tests.agent.making import Making
from tests.agent.mortal import DiedError, Mortal, Remains, mortals
from tests.agent.rounds import Round, commit_in
from tests.agent.simulate import World

Place = tuple[World, list[Mortal]]


@pytest.fixture
def place(softhsm_module: str) -> Iterator[Place]:
    in_memory = Path("/dev/shm")
    parent = in_memory if os.access(in_memory, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="mortal-", dir=parent) as folder,
        mortals(Path(folder), softhsm_module, 2) as both,
    ):
        yield both


def whole(mortal: Mortal) -> Remains:
    """What must hold after every start; that the audit log is whole, the start has seen."""
    remains: Remains = mortal.call("remains")
    assert remains.keks == remains.named, "a key that no record names, or a record without key"
    assert remains.registers.items() <= remains.epochs.items()
    assert remains.temporary == ()
    waiting = {wallet for wallet, state in remains.states.items() if state == "prepared"}
    assert remains.proposals == len(waiting)
    assert remains.epochs.keys() - remains.registers.keys() <= waiting
    return remains


def drive(making: Making) -> None:
    """All rounds up to the certificate, and on; those begun are repeated (step 1.7.4)."""
    if not making.confirmations:
        making.hellos = [making.greet(index) for index in (1, 2)]
        making.dealings = [making.deal(index) for index in (1, 2)]
        making.confirmations = [making.confirm(index) for index in (1, 2)]
    making.dones = [making.certify(index) for index in (1, 2)]
    for index in (1, 2):
        making.activate(index)


def signed(world: World, certificate: Certificate, message: bytes) -> Round:
    """A signature by both, which an independent verifier accepts."""
    round_ = Round(world, certificate, message).commit(1, 2)
    partials = [round_.sign(index) for index in (1, 2)]
    assert len(set(partials)) == 2
    return round_


def test_a_key_generation_killed_at_any_step(place: Place) -> None:
    """Step 6.6 for epoch 0: kill_at_every_write."""
    world, (mortal, other) = place
    number, outcomes = 0, []
    while True:
        making = Making.of(world, f"w{number}")
        mortal.call("die_at", number)
        try:
            drive(making)
            break
        except DiedError:
            mortal.start()
        remains = whole(mortal)
        try:
            drive(making)
            outcomes.append("finished")
        except Refused:
            outcomes.append(remains.states.get(making.wallet_id, "nothing"))
            if making.wallet_id in remains.states:
                mortal.party.ceremonies.discard(making.wallet_id)
            assert making.wallet_id not in whole(mortal).states
            assert Making.of(world, making.proposal.name).greet(1), "its name is free"
            mortal.call("give_up")
            _give_up(other, making)
        else:
            assert whole(mortal).states[making.wallet_id] == "active"
            signed(world, making.certificate(), b"after step %d" % number)
        for each in (mortal, other):
            each.call("clear")
        number += 1
    while outcomes[0] == "finished":  # nothing was on disk yet: it begins anew
        del outcomes[0]
    order = ["nothing", "prepared", "finished"]
    assert outcomes == sorted(outcomes, key=order.index), "what is durable stays so"
    assert set(outcomes) == set(order)
    assert number > 80


def _give_up(other: Mortal, making: Making) -> None:
    """The other holder ends it, too: by itself, or by its operator."""
    other.call("give_up")
    if making.wallet_id in whole(other).states:
        other.party.ceremonies.discard(making.wallet_id)


def test_a_signature_killed_at_any_step(place: Place) -> None:
    """Steps 3.3.4 and 3.4.15: nonces are gone, wallets stay, and no nonce is used twice."""
    world, (mortal, _) = place
    making = Making.of(world)
    drive(making)
    certificate, nonces, number = making.certificate(), set(), 0
    while True:
        round_ = Round(world, certificate, b"message %d" % number)
        try:
            mortal.call("die_at", number)
            round_.commit(1, 2)
            nonces |= {commit_in(commit).public_nonce for commit in round_.commits.values()}
            message = round_.listed()
            round_.sign(1, message)
            break
        except DiedError:
            mortal.start()
        assert whole(mortal).states == {bytes(making.wallet_id): "active"}
        with pytest.raises(Refused, match="no nonce was made here"):
            round_.sign(1, message)
        round_.commit(1, 2)
        nonces |= {commit_in(round_.commits[1]).public_nonce}
        partials = {index: round_.sign(index, round_.listed(attempt=1)) for index in (1, 2)}
        assert len(partials) == 2
        number += 1
    assert number == 4
    assert len(nonces) == 3 * number + 2


def test_a_holder_killed_between_rounds_is_as_one_that_never_was(place: Place) -> None:
    world, (mortal, other) = place
    making = Making.of(world)
    making.hellos = [making.greet(index) for index in (1, 2)]
    mortal.kill()
    mortal.start()
    assert whole(mortal).states == {}
    with pytest.raises(Refused):
        making.deal(1)
    _give_up(other, making)
    again = Making.of(world, "again")
    drive(again)
    round_ = signed(world, again.certificate(), b"message")
    mortal.kill()
    mortal.start()
    assert whole(mortal).states == {bytes(again.wallet_id): "active"}
    with pytest.raises(Refused):
        round_.sign(1)
    signed(world, again.certificate(), b"another")
