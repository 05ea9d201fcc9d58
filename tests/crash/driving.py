"""A relay that goes on with the messages that it has, after whoever died has come back."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.succession.successor import SuccessorCertificate
from tests.agent.making import Making
from tests.agent.rounds import Round
from tests.agent.simulate import World
from tests.crash.invariants import NonceBook

BOTH = (1, 2)


def drive(making: Making) -> None:
    """All rounds up to the certificate, and on; those begun are repeated (step 1.7.4)."""
    if not making.confirmations:
        making.hellos = [making.greet(index) for index in BOTH]
        making.dealings = [making.deal(index) for index in BOTH]
        making.confirmations = [making.confirm(index) for index in BOTH]
    making.dones = [making.certify(index) for index in BOTH]
    for index in BOTH:
        making.activate(index)


def signed(world: World, certificate: Certificate | SuccessorCertificate, message: bytes) -> Round:
    """A round of both, whose signature an independent verifier accepts."""
    round_ = Round(world, certificate, message).commit(*BOTH)
    partials = [round_.sign(index) for index in BOTH]
    assert len(set(partials)) == len(BOTH)
    return round_


def signed_by_both(round_: Round, book: NonceBook) -> None:
    """A COMMIT of both, those under `round_` already repeated; then the partial signatures."""
    for index in reversed(BOTH):
        round_.commit(index)
        book.commit(index, round_.session_id, round_.commits[index])
    for index in BOTH:
        book.partial(round_.commits[index], round_.sign(index))


def is_free_again(making: Making) -> bool:
    """Whether another wallet may bear its name."""
    return bool(Making.of(making.world, making.proposal.name).greet(1))


def outcome_order(outcomes: Sequence[str]) -> list[str]:
    """The outcomes of deaths at step after step, each once; what is durable once stays so.

    Before anything was on disk a key generation begins anew, and is finished all the same.
    """
    order = [outcome for outcome, _ in itertools.groupby(outcomes)]
    return order[1:] if order[0] == "finished" else order
