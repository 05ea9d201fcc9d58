"""The aggregator: one signature, or whose fault it is that there is none (steps 3.1.8, 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, ProtocolAbort
from hsm_mpc.groups.secp256k1 import ORDER
from hsm_mpc.protocols.frost_bip340.aggregate import Signing, SigningList, aggregate
from hsm_mpc.protocols.frost_bip340.lists import checked_session
from hsm_mpc.protocols.frost_bip340.nonces import InvalidContribution
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.protocols.signing_messages import Commitment
from hsm_mpc.secure.arena import Arena
from tests.protocols.frost import MESSAGE, Wallet, be, changed, received, times_g


@dataclass
class Answered:
    """Holders 1 and 3 of 2-of-3 have answered."""

    wallet: Wallet
    listed: list[Commitment]
    list: SigningList
    session: Session
    partials: dict[int, bytes]


@pytest.fixture
def answered(protocol_arena: Arena) -> Iterator[Answered]:
    wallet = Wallet(
        protocol_arena,
        3,
        Wallet.dealt(protocol_arena, 2, 3).coefficients,
        ((be(11), False), (be(22), True)),
    )
    leases = {index: wallet.lease(index) for index in (1, 3)}
    listed = [received(lease.commit) for lease in leases.values()]
    session = checked_session(wallet.task(1), leases[1], listed)
    partials = {i: wallet.answer(lease, listed, wallet.task(i)) for i, lease in leases.items()}
    signing = Signing(wallet.epoch, wallet.key, MESSAGE)
    yield Answered(wallet, listed, signing.open(listed), session, partials)


def test_the_aggregator_sees_the_session_of_the_signers(answered: Answered) -> None:
    signature = answered.list.signature(answered.partials)
    assert signature[:32] == answered.session.nonce[1:]
    assert signature == aggregate(answered.session, list(answered.partials.values()))


def test_every_partial_signature_of_an_honest_signer_is_right(answered: Answered) -> None:
    for index, partial in answered.partials.items():
        answered.list.verify(index, partial)


def test_a_wrong_partial_signature_names_its_signer(answered: Answered) -> None:
    """Step 3.5.1."""
    wrong = be(int.from_bytes(answered.partials[3]) + 1)
    with pytest.raises(ProtocolAbort) as raised:
        answered.list.verify(3, wrong)
    assert raised.value.culprits == (3,)
    with pytest.raises(InvalidSignature):
        answered.list.signature(answered.partials | {3: wrong})


def test_errors_that_cancel_are_no_harm(answered: Answered) -> None:
    """Two who cheat in opposite directions make a signature that verifies; each is still wrong."""
    left, right = (int.from_bytes(answered.partials[index]) for index in (1, 3))
    cheated = {1: be(left + 5), 3: be(right - 5)}
    assert answered.list.signature(cheated) == answered.list.signature(answered.partials)
    with pytest.raises(ProtocolAbort):
        answered.list.verify(1, cheated[1])


def test_swapped_partial_signatures_are_both_wrong(answered: Answered) -> None:
    for index, other in ((1, 3), (3, 1)):
        with pytest.raises(ProtocolAbort):
            answered.list.verify(index, answered.partials[other])


def test_another_number_of_partial_signatures_is_refused(answered: Answered) -> None:
    """Step 3.1.8: a ValueError."""
    for count in (0, 1, 3):
        with pytest.raises(BadInput, match=f"{count} partial signatures for"):
            aggregate(answered.session, [be(1)] * count)


def test_a_partial_signature_that_is_no_scalar_names_its_position(answered: Answered) -> None:
    partials = [answered.partials[1], ORDER.to_bytes(32, "big")]
    with pytest.raises(InvalidContribution) as raised:
        aggregate(answered.session, partials)
    assert (raised.value.position, raised.value.contribution) == (1, "psig")


def test_a_nonce_that_is_no_point_is_refused_before_it_is_listed(answered: Answered) -> None:
    signing = Signing(answered.wallet.epoch, answered.wallet.key, MESSAGE)
    with pytest.raises(BadEncoding):
        signing.parse_nonce(bytes(66))
    nonce = answered.listed[0].public_nonce
    assert signing.parse_nonce(nonce) == nonce


def test_nonces_that_cancel_out_are_the_work_of_all_signers(answered: Answered) -> None:
    """Step 3.1.5: R = G stands for none, and who does not know all of the nonces cannot do it."""
    nonces = {1: times_g(9) + times_g(8), 3: times_g(-9) + times_g(-8)}
    listed = [changed(entry, public_nonce=nonces[entry.index]) for entry in answered.listed]
    cancelled = Signing(answered.wallet.epoch, answered.wallet.key, MESSAGE).open(listed)
    with pytest.raises(ProtocolAbort, match="cancel out") as raised:
        cancelled.signature(answered.partials)
    assert raised.value.culprits == (1, 3)
