"""A holder that is ordered to take a successor, or to sign that order (step 6.5.9)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hsm_mpc.agent.repair import chain as repair_chain
from hsm_mpc.agent.succession import retiring
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.destruction import Destroy
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.hsm.register import Register, Vote
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.destroyed import Destroyed
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import PROPOSE
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession
from tests.agent.making import Making, events, keks, lines
from tests.agent.ordering import (
    TWO_OF_THREE,
    by_administrators,
    countersigned,
    desk,
    retirement,
    said,
    wished,
)
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import LAB_POLICY, World

pytestmark = pytest.mark.usefixtures("shielded")


def refreshed(world: World, policy: bytes) -> Refreshing:
    """A 2-of-3 wallet whose next epoch holders 1 and 2 have adopted; holder 3 is absent."""
    making = Making.of(world, policy=policy)
    making.active()
    refreshing = Refreshing(world, making.certificate().body, (1, 2), making.dones)
    refreshing.made()
    return refreshing


@pytest.fixture
def refreshing(world: World) -> Refreshing:
    return refreshed(world, TWO_OF_THREE)


@pytest.fixture
def refreshing_by_holders(world: World) -> Refreshing:
    """A wallet whose policy names no administrators."""
    return refreshed(world, LAB_POLICY)


@pytest.fixture
def ruled_by_holders(refreshing_by_holders: Refreshing) -> Refreshing:
    """Both have adopted."""
    adopted(refreshing_by_holders)
    return refreshing_by_holders


def adopted(refreshing: Refreshing) -> list[bytes]:
    return [refreshing.adopt(index) for index in (1, 2)]


def ordered(refreshing: Refreshing, **changes: Any) -> None:
    """Two administrators order what holders 1 and 2 have adopted."""
    dones = adopted(refreshing)
    order = by_administrators(wished(refreshing, **changes), 0, 2)
    refreshing.retirement = retirement(order, dones, TWO_OF_THREE)


def rule(action: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        action()
    return refused.value.rule


def register_of(world: World, refreshing: Refreshing, index: int) -> Register:
    register = world.parties[index].acting.registers.read(refreshing.replaced.terms.wallet_id)
    assert register is not None
    return register


def has_retired(world: World, refreshing: Refreshing, index: int) -> bool:
    party = world.parties[index]
    states = {each.body.hash: each.record.state for each in party.wallets.all()}
    return (
        states == {refreshing.successor.hash: EpochState.ACTIVE}
        and register_of(world, refreshing, index) == Register(refreshing.successor.hash)
        and len(keks(party)) == 1
    )


def keeps_both(world: World, refreshing: Refreshing, index: int) -> bool:
    """Nothing was destroyed at this holder."""
    register = register_of(world, refreshing, index)
    wallets = world.parties[index].wallets
    wallet_id = refreshing.replaced.terms.wallet_id
    return (
        register.epoch_hash == refreshing.replaced.hash
        and wallets.signing(wallet_id, refreshing.replaced.hash) is not None
    )


# Obeying


def test_an_order_ends_the_epoch_without_the_third(world: World, refreshing: Refreshing) -> None:
    ordered(refreshing)
    for index in (1, 2):
        destroyed = Destroyed.from_bytes(parse_envelope(refreshing.retire(index)).payload)
        assert destroyed.successor == refreshing.successor.hash
        assert has_retired(world, refreshing, index)
    line = next(each for each in lines(world.parties[1]) if each["event"] == "epoch-retiring")
    assert (line["suspects"], line["reason"]) == ([3], "h3 burnt")
    assert "order" in line


def test_the_suspect_comes_back_and_catches_up(world: World, refreshing: Refreshing) -> None:
    ordered(refreshing)
    for index in (1, 2):
        refreshing.retire(index)
    with pytest.raises(NotReady):
        refreshing.retire(3)
    assert register_of(world, refreshing, 3) == Register(refreshing.replaced.hash)
    destroyed = refreshing.retire(3, refreshing.transcript)
    assert has_retired(world, refreshing, 3)
    world.restarted(3)
    assert refreshing.retire(3) == destroyed
    following = refreshing.next()
    following.members = (1, 2, 3)
    following.made()
    following.drive()
    assert has_retired(world, following, 3)


def test_the_proof_serves_the_next_join(world: World, refreshing: Refreshing) -> None:
    """Step 6.1.4: ASK shows how the epoch before went."""
    dones = adopted(refreshing)
    refreshing.retirement = retirement(
        by_administrators(wished(refreshing), 0, 1), dones, TWO_OF_THREE
    )
    for index in (1, 2):
        refreshing.retire(index)
    following = refreshing.next()
    unsigned = retirement(by_administrators(wished(refreshing), 1), dones, TWO_OF_THREE)
    proof, following.before = following.before, unsigned
    following.begin()
    assert rule(lambda: following.join(1)) == "not-retired"
    following.before = proof
    following.begin()
    assert following.join(1)[0]


def test_order_frees_a_holder_that_promised_more(world: World, refreshing: Refreshing) -> None:
    """It has promised a higher attempt and adopted nothing: without this it kept e for ever."""
    ordered(refreshing)
    first = refreshing.attempts
    refreshing.begin()
    refreshing.join(3)
    promised = register_of(world, refreshing, 3).promised
    refreshing.attempts = first
    refreshing.retire(3, refreshing.transcript)
    assert has_retired(world, refreshing, 3)
    done = Done.from_bytes(
        parse_envelope(refreshing.last_dones[3]).payload, refreshing.replaced.terms.group
    )
    assert done.attempt.to_bytes() == promised


@pytest.mark.parametrize("carried", [False, True])
def test_register_says_adoption_and_order_in_one_writing(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch, carried: bool
) -> None:
    """A crash between it and the retirement: what was begun is gone on with, and nothing else."""
    if carried:
        refreshing.adopt(1)
        refreshing.joined()
        refreshing.carry_on()
    ordered(refreshing)
    alpha, h = refreshing.attempt.to_bytes(), refreshing.successor.hash
    epochs = type(world.parties[3].acting.epochs(refreshing.replaced.terms.wallet_id))
    keep = epochs.keep

    def keep_no_retirement(of: Any, each: EpochHash, document: EpochDocument, said: bytes) -> None:
        if document is EpochDocument.RETIREMENT:
            raise BackendError("the disk is full")
        keep(of, each, document, said)

    with monkeypatch.context() as broken:
        broken.setattr(epochs, "keep", keep_no_retirement)
        with pytest.raises(BackendError):
            refreshing.retire(3, refreshing.transcript)
    world.restarted(3)
    assert "alarm" not in events(world.parties[3])
    vote = Vote(alpha, h)
    assert register_of(world, refreshing, 3) == Register(
        refreshing.replaced.hash, alpha, None, vote, h
    )
    assert keeps_both(world, refreshing, 3)
    attempts = refreshing.attempts
    refreshing.begin()
    assert rule(lambda: refreshing.join(3)) == "epoch-retiring"
    refreshing.attempts = attempts
    refreshing.adopt(3)
    refreshing.retire(3)
    assert has_retired(world, refreshing, 3)


def test_who_died_before_it_said_done_joins_on_where_nothing_was_ordered(
    world: World, refreshing: Refreshing
) -> None:
    """Its register says the adoption, and its disk what proves it."""
    refreshing.adopt(1)
    acting = world.parties[1].acting
    attempts = acting.attempts(refreshing.replaced.terms.wallet_id)
    (attempts._path(refreshing.attempt.to_bytes()) / AttemptDocument.DONE.value).unlink()
    world.restarted(1)
    refreshing.begin()
    assert refreshing.join(1)[2]


def test_who_has_said_done_joins_on_although_it_was_ordered(
    world: World, ruled_by_holders: Refreshing
) -> None:
    """The order may never be complete: until then the third may come back."""
    refreshing = ruled_by_holders
    desk(world, 1).countersign(said(world, wished(refreshing)))
    refreshing.begin()
    assert refreshing.join(1)[2]


def test_who_has_signed_an_order_and_dies_before_a_later_done_joins_on(
    world: World, ruled_by_holders: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It obeys nothing: the third came back before the order was complete. Did it say nothing more,
    then nobody could end the epoch where W is everybody.
    """
    refreshing = ruled_by_holders
    desk(world, 1).countersign(said(world, wished(refreshing)))
    refreshing.begin()
    for index in (1, 2, 3):
        refreshing.join(index)
    refreshing.propose = refreshing.said(PROPOSE, refreshing.proposal().to_bytes())
    attempts = type(world.parties[1].acting.attempts(refreshing.replaced.terms.wallet_id))
    keep = attempts.keep

    def keep_no_done(of: Any, alpha: bytes, document: AttemptDocument, content: bytes) -> None:
        if document is AttemptDocument.DONE:
            raise BackendError("the disk is full")
        keep(of, alpha, document, content)

    with monkeypatch.context() as broken:
        broken.setattr(attempts, "keep", keep_no_done)
        with pytest.raises(BackendError):
            refreshing.adopt(1)
    world.restarted(1)
    vote = register_of(world, refreshing, 1).adopted
    assert vote == Vote(refreshing.attempt.to_bytes(), refreshing.successor.hash)
    dones = [refreshing.adopt(index, refreshing.transcript) for index in (1, 2, 3)]
    refreshing.retirement = Retirement(tuple(dones)).to_bytes()
    for index in (1, 2, 3):
        refreshing.retire(index)
        assert has_retired(world, refreshing, index)


def test_a_share_that_does_not_open_destroys_nothing(world: World, refreshing: Refreshing) -> None:
    ordered(refreshing)
    acting = world.parties[1].acting
    path = acting.epochs(refreshing.replaced.terms.wallet_id).blob_path(refreshing.successor.hash)
    path.write_bytes(b"noise")
    with pytest.raises(Tampered):
        refreshing.retire(1)
    assert register_of(world, refreshing, 1).order is None
    assert keeps_both(world, refreshing, 1)


def test_order_against_own_adoption(world: World, refreshing: Refreshing) -> None:
    """Step 6.5.9: the latest adoption of a holder is another one."""
    ordered(refreshing)
    registers, wallet_id = world.parties[1].acting.registers, refreshing.replaced.terms.wallet_id
    register = register_of(world, refreshing, 1)
    later = Attempt(refreshing.attempt.counter + 1, 0x8000).to_bytes()
    other = Register(register.epoch_hash, later, None, Vote(later, EpochHash(b"o" * 32)))
    registers.write(wallet_id, other)
    assert rule(lambda: refreshing.retire(1)) == "other-vote"
    assert register_of(world, refreshing, 1) == other


def test_second_order_for_one_epoch(world: World, refreshing: Refreshing) -> None:
    ordered(refreshing)
    registers, wallet_id = world.parties[1].acting.registers, refreshing.replaced.terms.wallet_id
    before = Register(refreshing.replaced.hash, order=EpochHash(b"o" * 32))
    registers.write(wallet_id, before)
    assert rule(lambda: refreshing.retire(1)) == "other-order"
    assert register_of(world, refreshing, 1) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"margin_accepted": False}, "no margin"),
        ({"counted": (1,)}, "1 holders count, 2 are wanted"),
        ({"successor": EpochHash(b"o" * 32)}, "another successor"),
        ({"wallet_id": WalletId(b"o" * 16)}, "another wallet"),
    ],
)
def test_an_order_that_does_not_hold_ends_nothing(
    world: World, refreshing: Refreshing, changes: dict[str, Any], said: str
) -> None:
    ordered(refreshing, **changes)
    with pytest.raises(ProtocolAbort, match=said):
        refreshing.retire(1)
    assert keeps_both(world, refreshing, 1)


def test_order_without_enough_admins(world: World, refreshing: Refreshing) -> None:
    dones = adopted(refreshing)
    order = by_administrators(wished(refreshing), 1)
    refreshing.retirement = retirement(order, dones, TWO_OF_THREE)
    with pytest.raises(ProtocolAbort, match="2 different signatures"):
        refreshing.retire(1)
    assert keeps_both(world, refreshing, 1)


def test_done_of_a_replaced_holder_is_not_counted(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.6.5, by what the holder knows itself; what it has obeyed once, stays so."""
    ordered(refreshing)
    with monkeypatch.context() as amended:
        amended.setattr(retiring, "replaced_in", lambda lineage, h: {2})
        with pytest.raises(ProtocolAbort, match="1 holders count"):
            refreshing.retire(1)
    assert keeps_both(world, refreshing, 1)


def told(world: World) -> tuple[Refreshing, tuple[bytes, bytes, bytes]]:
    """An end by an order that counts holders 1 and 2, as OFFER tells holder 3 of it."""
    making = Making.of(world, policy=TWO_OF_THREE)
    making.active()
    refreshing = Refreshing(world, making.certificate().body, (1, 2), making.dones)
    refreshing.made()
    ordered(refreshing)
    wallet_id = refreshing.replaced.terms.wallet_id
    assert refreshing.certificate is not None
    shown = ShownSuccession(refreshing.certificate.to_bytes(), (), refreshing.retirement, ())
    chain = Chain(making.certificate().to_bytes(), tuple(making.dones), (shown,)).to_bytes()
    policy, clients, *_ = world.parties[2].repairs.documents(wallet_id, refreshing.successor.hash)
    return refreshing, (chain, policy, clients)


def test_a_holder_counts_nobody_that_it_knows_to_be_replaced_whatever_it_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator leaves the amendment out of the chain: the order in it is void all the same."""
    refreshing, chain = told(world)
    acting = world.parties[3].acting
    known = acting.lineage_of(refreshing.replaced)
    monkeypatch.setattr(type(acting), "lineage_of", lambda holder, body: known)
    monkeypatch.setattr(
        repair_chain, "replaced_in", lambda of, h: frozenset({1} if of is known else ())
    )
    with pytest.raises(ProtocolAbort, match="1 holders count"):
        world.parties[3].repairs.offer(*chain)
    epochs = acting.epochs(refreshing.replaced.terms.wallet_id)
    assert epochs.kept(refreshing.replaced.hash, EpochDocument.RETIREMENT) is None


def test_an_end_that_a_holder_was_told_of_and_did_not_obey_binds_it_to_nothing(
    world: World,
) -> None:
    """The order was good when OFFER told of it; then holder 1 was repaired onto another HSM, and
    forgot, and all took another successor.
    """
    refreshing, chain = told(world)
    world.parties[3].repairs.offer(*chain)
    wallet_id, h = refreshing.replaced.terms.wallet_id, refreshing.replaced.hash
    world.parties[1].acting.registers.write(wallet_id, Register(h))
    dones = refreshing.first_dones
    others = Refreshing(world, refreshing.replaced, (1, 3), dones, attempts=9)
    others.made()
    adoptions = [others.adopt(index, others.transcript) for index in (1, 2, 3)]
    others.retirement = Retirement(tuple(adoptions)).to_bytes()
    others.retire(3)
    assert has_retired(world, others, 3)


# Signing, where the policy names no administrators


def test_the_counted_holders_order_it_themselves(
    world: World, ruled_by_holders: Refreshing
) -> None:
    refreshing = ruled_by_holders
    order = countersigned(world, wished(refreshing))
    assert register_of(world, refreshing, 1).order == refreshing.successor.hash
    assert countersigned(world, wished(refreshing)).terms == order.terms
    assert "order-signed" in events(world.parties[1])
    refreshing.retirement = retirement(order, adopted(refreshing), LAB_POLICY)
    for index, transcript in ((1, b""), (2, b""), (3, refreshing.transcript)):
        refreshing.retire(index, transcript)
        assert has_retired(world, refreshing, index)


def test_each_after_its_own_operators_consent(world: World, ruled_by_holders: Refreshing) -> None:
    """Step 1.6.7: a lab-marked roster consents by itself, unless it is told to ask."""
    refreshing = ruled_by_holders
    order = wished(refreshing)
    source = said(world, order)
    assert desk(world, 1).consider(source)
    world.asking = frozenset([1])
    world.restarted(1)
    assert not desk(world, 1).consider(source)
    assert rule(lambda: desk(world, 1).countersign(source)) == "consent"
    assert register_of(world, refreshing, 1).order is None
    consents = world.parties[1].ceremonies.consents
    (waiting,) = consents.waiting()
    assert (waiting.digest, waiting.asked) == (Plan.of(order).digest, order)
    assert waiting.wallet == "treasury"
    consents.agree(waiting.digest)
    assert desk(world, 1).consider(source)
    first = desk(world, 1).countersign(source)
    world.restarted(1)
    assert desk(world, 1).countersign(source)[:2] == first[:2]
    refreshing.retirement = retirement(countersigned(world, order), adopted(refreshing), LAB_POLICY)
    refreshing.retire(1)
    assert world.parties[1].ceremonies.consents.waiting() == []


def test_only_an_order_ends_with_the_epoch_that_it_is_about(
    world: World, ruled_by_holders: Refreshing
) -> None:
    """A plan about the successor that was adopted waits on, while the register names the epoch."""
    refreshing = ruled_by_holders
    wallet_id = refreshing.replaced.terms.wallet_id
    end = Destroy(wallet_id, refreshing.successor.hash, "we move", world.clock() + 600, b"n" * 32)
    consents = world.parties[1].ceremonies.consents
    for plan, body in (
        (Plan.of(end), refreshing.successor),
        (Plan.of(wished(refreshing)), refreshing.replaced),
        (Plan.of(wished(refreshing, epoch_hash=end.epoch_hash)), refreshing.successor),
    ):
        with pytest.raises(Refused):
            consents.require(plan, body.to_bytes())
    assert {each.asked for each in consents.waiting()} == {end, wished(refreshing)}


def test_holders_do_not_sign_for_administrators(world: World, refreshing: Refreshing) -> None:
    adopted(refreshing)
    source = said(world, wished(refreshing))
    assert rule(lambda: desk(world, 1).countersign(source)) == "administrators"
    assert rule(lambda: desk(world, 1).consider(source)) == "administrators"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"margin_accepted": False}, "other-order"),
        ({"counted": (2, 3), "suspects": ()}, "not-counted"),
        ({"successor": EpochHash(b"o" * 32)}, "not-adopted"),
        ({"attempt": Attempt(1, 0x8000)}, "not-adopted"),
        ({"deadline": 7}, "deadline"),
        ({"epoch_hash": EpochHash(b"o" * 32)}, "other-epoch"),
        ({"wallet_id": WalletId(b"o" * 16)}, "unknown-wallet"),
    ],
)
def test_what_a_holder_does_not_sign(
    world: World, ruled_by_holders: Refreshing, changes: dict[str, Any], why: str
) -> None:
    source = said(world, wished(ruled_by_holders, **changes))
    assert rule(lambda: desk(world, 1).countersign(source)) == why
    assert rule(lambda: desk(world, 1).consider(source)) == why


def test_nothing_is_signed_that_counts_a_replaced_holder(
    world: World, ruled_by_holders: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where enough others are left: the margin would be another one than people are told."""
    wanted = wished(ruled_by_holders, counted=(1, 2, 3), suspects=())
    monkeypatch.setattr("hsm_mpc.agent.ordering.replaced_in", lambda lineage, h: {3})
    assert rule(lambda: desk(world, 1).countersign(said(world, wanted))) == "other-order"


def test_nothing_is_signed_that_counts_who_has_not_adopted(
    world: World, refreshing_by_holders: Refreshing
) -> None:
    """Who has signed adopts nothing else. A coordinator that says of another one that it has
    confirmed would part it from them for good: they go on to another successor.
    """
    refreshing = refreshing_by_holders
    own = refreshing.adopt(1)
    order = wished(refreshing)
    for dones in ([], [own], [own, own]):
        source = said(world, order, dones)
        assert rule(partial(desk(world, 1).consider, source)) == "not-adopted"
        assert rule(partial(desk(world, 1).countersign, source)) == "not-adopted"
    assert register_of(world, refreshing, 1).order is None
    others = Refreshing(world, refreshing.replaced, (2, 3), refreshing.first_dones, attempts=1)
    others.made()
    assert others.successor.hash != refreshing.successor.hash
    source = said(world, order, [own, others.adopt(2)])
    assert rule(lambda: desk(world, 1).countersign(source)) == "not-adopted"
    others.adopt(3)
    others.adopt(1, others.transcript)


@pytest.mark.parametrize("shown", ["another attempt", "a bit", "one more", "another order"])
def test_the_confirmations_beside_an_order_are_those_that_it_counts(
    world: World, ruled_by_holders: Refreshing, shown: str
) -> None:
    refreshing = ruled_by_holders
    first, second = adopted(refreshing)
    third = refreshing.adopt(3, refreshing.transcript)
    flipped = second[:-1] + bytes([second[-1] ^ 1])
    refreshing.begin()
    for index in (1, 2):
        refreshing.join(index)
    refreshing.propose = refreshing.said(PROPOSE, refreshing.proposal().to_bytes())
    later = refreshing.adopt(2)
    refreshing.attempts -= 1
    dones = {
        "another attempt": [first, later],
        "a bit": [first, flipped],
        "one more": [first, second, third],
        "another order": [second, first],
    }[shown]
    order = wished(refreshing)
    assert rule(lambda: desk(world, 1).countersign(said(world, order, dones))) == "not-adopted"
    assert desk(world, 1).countersign(said(world, order, [first, second]))


def test_no_second_order_is_signed(world: World, ruled_by_holders: Refreshing) -> None:
    refreshing = ruled_by_holders
    register = register_of(world, refreshing, 1)
    other = Register(
        register.epoch_hash, register.promised, None, register.adopted, EpochHash(b"o" * 32)
    )
    world.parties[1].acting.registers.write(refreshing.replaced.terms.wallet_id, other)
    source = said(world, wished(refreshing))
    assert rule(lambda: desk(world, 1).countersign(source)) == "other-order"


def test_who_said_done_for_another_successor_in_that_attempt_signs_nothing(
    world: World, ruled_by_holders: Refreshing
) -> None:
    refreshing = ruled_by_holders
    attempts = world.parties[1].acting.attempts(refreshing.replaced.terms.wallet_id)
    earlier = Attempt(refreshing.attempt.counter - 1, 0x8000)
    kept = attempts.kept(refreshing.attempt.to_bytes(), AttemptDocument.DONE)
    assert kept is not None
    done = Done.from_bytes(parse_envelope(kept).payload, refreshing.replaced.terms.group)
    message = parse_envelope(kept)
    forged = Done(earlier, EpochHash(b"o" * 32), done.delivery_key, b"k" * 32, b"b" * 32)
    acting = world.parties[1].acting
    attempts.keep(
        earlier.to_bytes(),
        AttemptDocument.DONE,
        acting.signed_by_identity(message.kind, message.address, forged.to_bytes()),
    )
    source = said(world, wished(refreshing, attempt=earlier))
    assert rule(lambda: desk(world, 1).countersign(source)) == "not-adopted"


def test_a_share_that_does_not_open_signs_nothing(
    world: World, ruled_by_holders: Refreshing
) -> None:
    refreshing = ruled_by_holders
    acting = world.parties[1].acting
    path = acting.epochs(refreshing.replaced.terms.wallet_id).blob_path(refreshing.successor.hash)
    path.write_bytes(b"noise")
    with pytest.raises(Tampered):
        desk(world, 1).countersign(said(world, wished(refreshing)))
    assert register_of(world, refreshing, 1).order is None


def test_a_store_without_the_successor_signs_nothing(
    world: World, ruled_by_holders: Refreshing
) -> None:
    refreshing = ruled_by_holders
    acting = world.parties[1].acting
    acting.epochs(refreshing.replaced.terms.wallet_id).drop(refreshing.successor.hash)
    world.restarted(1)
    with pytest.raises(Tampered, match="no share of the successor"):
        desk(world, 1).countersign(said(world, wished(refreshing)))


def test_once_the_epoch_has_ended_nothing_is_signed(
    world: World, ruled_by_holders: Refreshing
) -> None:
    refreshing = ruled_by_holders
    order = countersigned(world, wished(refreshing))
    refreshing.retirement = retirement(order, adopted(refreshing), LAB_POLICY)
    refreshing.retire(1)
    assert rule(lambda: desk(world, 1).countersign(said(world, order))) == "other-epoch"


def test_only_a_coordinator_of_the_own_list_carries_orders(
    world: World, ruled_by_holders: Refreshing
) -> None:
    source = bytearray(said(world, wished(ruled_by_holders)))
    source[-1] ^= 1
    with pytest.raises(InvalidSignature):
        desk(world, 1).countersign(bytes(source))
    with pytest.raises(BadEncoding):
        desk(world, 1).countersign(b"")
