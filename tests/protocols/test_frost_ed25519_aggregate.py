"""The aggregator: one signature, or whose fault it is that there is none (steps 4.3.7, 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hsm_mpc.errors import BadEncoding, InvalidSignature, ProtocolAbort
from hsm_mpc.groups.ed25519 import ED25519, ORDER
from hsm_mpc.protocols.frost_ed25519 import session as session_module
from hsm_mpc.protocols.frost_ed25519.aggregate import Signing, SigningList, aggregate
from hsm_mpc.protocols.frost_ed25519.lists import checked_session
from hsm_mpc.protocols.frost_ed25519.nonces import PublicNonce
from hsm_mpc.protocols.frost_ed25519.session import Session
from hsm_mpc.protocols.signing_messages import Commitment
from hsm_mpc.secure.arena import Arena
from tests.protocols.frost import MESSAGE
from tests.protocols.frost_ed25519 import IDENTITY, Wallet, changed, le, mixed, received, times_b


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
    wallet = Wallet.dealt(protocol_arena, 2, 3)
    leases = {index: wallet.lease(index) for index in (1, 3)}
    listed = [received(lease.commit) for lease in leases.values()]
    session = checked_session(wallet.task(1), leases[1], listed)
    partials = {i: wallet.answer(lease, listed, wallet.task(i)) for i, lease in leases.items()}
    yield Answered(wallet, listed, Signing(wallet.epoch, MESSAGE).open(listed), session, partials)


def number(partial: bytes) -> int:
    return int.from_bytes(partial, "little")


def test_the_aggregator_sees_the_session_of_the_signers(answered: Answered) -> None:
    signature = answered.list.signature(answered.partials)
    assert signature[:32] == answered.session.nonce
    assert signature == aggregate(answered.session, answered.partials)
    assert signature[32:] == le(sum(map(number, answered.partials.values())))


def test_every_partial_signature_of_an_honest_signer_is_right(answered: Answered) -> None:
    for index, partial in answered.partials.items():
        answered.list.verify(index, partial)


def test_a_wrong_partial_signature_names_its_signer(answered: Answered) -> None:
    """Step 3.5.1."""
    wrong = le(number(answered.partials[3]) + 1)
    with pytest.raises(ProtocolAbort) as raised:
        answered.list.verify(3, wrong)
    assert raised.value.culprits == (3,)
    with pytest.raises(InvalidSignature):
        answered.list.signature(answered.partials | {3: wrong})


def test_errors_that_cancel_are_no_harm(answered: Answered) -> None:
    """Two who cheat in opposite directions make a signature that verifies; each is still wrong."""
    left, right = (number(answered.partials[index]) for index in (1, 3))
    cheated = {1: le(left + 5), 3: le(right - 5)}
    assert answered.list.signature(cheated) == answered.list.signature(answered.partials)
    with pytest.raises(ProtocolAbort):
        answered.list.verify(1, cheated[1])


def test_swapped_partial_signatures_are_both_wrong(answered: Answered) -> None:
    for index, other in ((1, 3), (3, 1)):
        with pytest.raises(ProtocolAbort):
            answered.list.verify(index, answered.partials[other])


def test_partial_signatures_that_are_no_scalars_name_their_signers(answered: Answered) -> None:
    """Steps 1.4.2 and 4.3.6: s_above_L, though the sum modulo L would verify."""
    above = {
        index: (number(partial) + ORDER).to_bytes(32, "little")
        for index, partial in answered.partials.items()
    }
    for wrong in ({3: above[3]}, above):
        with pytest.raises(ProtocolAbort, match="are no scalars") as raised:
            answered.list.signature(answered.partials | wrong)
        assert raised.value.culprits == tuple(wrong)


@pytest.mark.parametrize(
    "bad", [bytes(64), times_b(1) + IDENTITY, mixed(times_b(1)) + times_b(2), times_b(1)]
)
def test_a_nonce_that_is_no_point_is_refused_before_it_is_listed(
    answered: Answered, bad: bytes
) -> None:
    """Step 4.4.1."""
    signing = Signing(answered.wallet.epoch, MESSAGE)
    with pytest.raises(BadEncoding):
        signing.parse_nonce(bad)
    nonce = answered.listed[0].public_nonce
    assert signing.parse_nonce(nonce) == nonce
    assert type(signing.parse_nonce(nonce)) is PublicNonce


def test_nonces_that_cancel_out_are_the_work_of_all_signers(
    answered: Answered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 4.4.3: who does not know all of the nonces cannot do it."""
    monkeypatch.setattr(session_module, "hash_to_scalar", lambda _: 1)
    listed = [
        changed(entry, public_nonce=times_b(9) + ED25519.negate_point(times_b(9)))
        for entry in answered.listed
    ]
    cancelled = Signing(answered.wallet.epoch, MESSAGE).open(listed)
    with pytest.raises(ProtocolAbort, match="cancel out") as raised:
        cancelled.signature(answered.partials)
    assert raised.value.culprits == (1, 3)
    with pytest.raises(ProtocolAbort, match="cancel out"):
        cancelled.verify(1, answered.partials[1])


def test_the_list_may_come_in_any_order_to_the_aggregator(answered: Answered) -> None:
    """Step 4.3.2: it is hashed in ascending order."""
    backwards = Signing(answered.wallet.epoch, MESSAGE).open(answered.listed[::-1])
    assert backwards.signature(answered.partials)[:32] == answered.session.nonce
