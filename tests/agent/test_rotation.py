"""A holder turns to another identity key, and the others take it (step 6.7.9)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from hsm_mpc.agent import rotation as rotating
from hsm_mpc.agent.own_identity import kept_card, kept_identity, kept_rotation
from hsm_mpc.certificates.plan import Consent, Plan
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.errors import (
    BackendError,
    BadConfig,
    BadEncoding,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.identity import Identity, identities
from hsm_mpc.identity import Algorithm, VerifyingKey
from hsm_mpc.ids import EpochHash
from hsm_mpc.store.destruction import DestructionDocument
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.amendment import Rotated
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.tags import Tag
from hsm_mpc.wire.amended import amended_payload, rotate_in
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import AMENDED, PROPOSE, ROTATE, Key
from tests.agent.destroying import destroy_of, said
from tests.agent.making import Making, events, lines
from tests.agent.ordering import TWO_OF_THREE
from tests.agent.refreshing import Refreshing
from tests.agent.repairing import rule_of
from tests.agent.resharing import Sharing, making_among
from tests.agent.rounds import Round
from tests.agent.simulate import NOTHING, Party, World, Worlds
from tests.software_identity import p256_key

pytestmark = pytest.mark.usefixtures("shielded")

ME = 2
OTHERS = (1, 3)


def me(world: World) -> Party:
    return world.parties[ME]


def key_of(world: World) -> VerifyingKey:
    return me(world).acting.identity.key


def told(world: World) -> list[Rotate]:
    """What the others are told."""
    _, *rotates = me(world).rotations.offered()
    return [Rotate.from_bytes(source) for source in rotates]


def message(world: World, rotate: Rotate) -> bytes:
    """ROTATE as a coordinator says it."""
    return world.said(ROTATE, rotate.wallet_id, NOTHING, rotate.epoch_hash, rotate.to_bytes())


def taken(world: World, index: int, rotate: Rotate) -> bytes:
    """The AMENDED of another holder."""
    return world.parties[index].repairs.amend(rotate.wallet_id, Rotated(rotate).to_bytes())


def all_taken(world: World) -> list[bytes]:
    return [taken(world, index, rotate) for rotate in told(world) for index in OTHERS]


def rotated(world: World) -> None:
    """From the first call to the last."""
    me(world).rotations.begin()
    me(world).rotations.turn()
    me(world).rotations.turned(all_taken(world))


def names(world: World) -> list[str]:
    return list(identities(me(world).acting.token))


def test_the_new_key_takes_the_place_of_the_old_one(making: Making) -> None:
    world, old = making.world, key_of(making.world)
    state = me(world).rotations.begin()
    assert (state.known_key, state.turned, state.ended) == (old, False, False)
    assert state.wallets == ("treasury",)
    assert key_of(world) == old
    assert names(world) == ["hsm-mpc/identity", "hsm-mpc/identity/2"]
    me(world).rotations.turn()
    assert key_of(world) == state.identity_key
    assert me(world).rotations.begin().turned
    me(world).rotations.turned(all_taken(world))
    assert names(world) == ["hsm-mpc/identity/2"]
    assert kept_rotation(me(world).acting.store) is None
    card = kept_card(me(world).acting.store)
    assert card is not None
    assert card.content.key == state.identity_key
    assert [e for e in events(me(world)) if e.startswith("identity-")] == [
        "identity-made",
        "identity-rotated",
        "identity-destroyed",
    ]
    world.restarted(ME)
    assert key_of(world) == state.identity_key
    for pair in ((1, 2), (2, 3)):
        round_ = Round(world, making.certificate(), b"pay").commit(*pair)
        assert len({round_.sign(index) for index in pair}) == 2


def test_it_is_done_again_and_the_first_name_is_free_by_then(making: Making) -> None:
    world = making.world
    rotated(world)
    second = key_of(world)
    rotated(world)
    assert key_of(world) != second
    assert names(world) == ["hsm-mpc/identity"]
    world.restarted(ME)
    assert Round(world, making.certificate(), b"pay").commit(1, 2).sign(1)


def test_a_token_without_curves_rotates_to_a_key_of_its_own_kind(worlds: Worlds) -> None:
    world = worlds(3, rsa_only=(ME,))
    making = Making.of(world)
    making.active()
    me(world).rotations.begin()
    (rotate,) = told(world)
    assert rotate.identity_key.algorithm is rotate.known_key.algorithm is Algorithm.RSA3072
    assert world.parties[1].repairs.consider_rotation(message(world, rotate)) is True
    me(world).rotations.turn()
    me(world).rotations.turned(all_taken(world))
    assert key_of(world) == rotate.identity_key
    world.restarted(ME)
    assert Round(world, making.certificate(), b"pay").commit(1, ME).sign(1)


def test_a_repeat_changes_nothing(making: Making) -> None:
    world = making.world
    first = me(world).rotations.begin()
    (rotate,) = told(world)
    assert me(world).rotations.offered()[0] == b"\0"
    world.restarted(ME)
    assert me(world).rotations.is_under_way()
    assert me(world).rotations.begin() == first
    assert told(world) == [rotate]
    me(world).rotations.turn()
    said = events(me(world))
    me(world).rotations.turn()
    assert events(me(world)) == said
    assert me(world).rotations.offered() == (b"\1", rotate.to_bytes())
    me(world).rotations.turned(all_taken(world))
    assert not me(world).rotations.is_under_way()
    assert me(world).rotations.offered() == ()


def test_a_key_that_a_killed_call_has_made_is_taken(making: Making) -> None:
    world = making.world
    token = me(world).acting.token
    left = Identity(token, keys.generate_identity_key(token, label=keys.SECOND_IDENTITY))
    assert me(world).rotations.begin().identity_key == left.key


def test_a_key_with_other_attributes_is_not_taken(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(identity: Identity) -> None:
        raise Refused("key-attributes", "it is extractable")

    monkeypatch.setattr(Identity, "require_attributes", lacking)
    assert rule_of(me(making.world).rotations.begin) == "key-attributes"
    assert kept_rotation(me(making.world).acting.store) is None


def test_what_is_told_is_signed_again_once_its_time_is_over(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    (first,) = told(world)
    assert first.deadline == world.clock() + rotating.CONSENT_SECONDS
    world.now[0] = first.deadline - 1
    assert told(world) == [first]
    world.now[0] = first.deadline
    (again,) = told(world)
    assert again.deadline == world.clock() + rotating.CONSENT_SECONDS
    again.check_signatures()
    me(world).rotations.turn()
    world.now[0] = again.deadline
    (later,) = told(world)
    later.check_signatures()
    assert later.deadline > again.deadline


def test_every_wallet_is_told_of(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    Making.of(world, "savings").active()
    with pytest.raises(NotReady, match="not told of every wallet"):
        me(world).rotations.turn()
    rotates = told(world)
    assert len({rotate.wallet_id for rotate in rotates}) == 2
    me(world).rotations.turn()
    first = [taken(world, index, rotates[0]) for index in OTHERS]
    with pytest.raises(NotReady) as missing:
        me(world).rotations.turned(first)
    assert missing.value.waiting_for == ("h1", "h3")
    me(world).rotations.turned(all_taken(world))


def test_without_wallets_nobody_has_to_be_told(world: World) -> None:
    old = key_of(world)
    state = me(world).rotations.begin()
    assert (state.turned, state.ended) == (True, True)
    assert key_of(world) == state.identity_key != old
    assert names(world) == ["hsm-mpc/identity/2"]
    world.restarted(ME)
    assert key_of(world) == state.identity_key


@pytest.mark.parametrize("wallets", [0, 1])
def test_nothing_turns_while_a_wallet_is_being_made(world: World, wallets: int) -> None:
    if wallets:
        Making.of(world).active()
        me(world).rotations.begin()
    Making.of(world, "savings").greeted()
    begun = me(world).rotations.turn if wallets else me(world).rotations.begin
    with pytest.raises(NotReady, match="is being made"):
        begun()
    own = kept_identity(me(world).acting.token, me(world).acting.store)
    assert own is not None
    assert own.key == key_of(world) == world.roster.member(ME).key


def test_a_wallet_that_is_not_active_yet_keeps_it_from_beginning(world: World) -> None:
    Making.of(world).confirmed()
    with pytest.raises(NotReady):
        me(world).rotations.begin()


def test_nothing_turns_while_two_epochs_live(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    refreshing = Refreshing(world, making.certificate().body, (1, 2, 3), making.dones)
    refreshing.made()
    refreshing.adopt(ME)
    with pytest.raises(NotReady, match="is about to take the place"):
        me(world).rotations.turn()


def test_nothing_turns_while_the_live_epoch_ends(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    epochs = me(world).acting.epochs(making.wallet_id)
    (record,) = epochs.records()
    epochs.change(replace(record, state=EpochState.RETIRING))
    with pytest.raises(NotReady, match="is about to take the place"):
        me(world).rotations.turn()


def test_nothing_begins_while_the_store_of_a_wallet_is_lost(making: Making) -> None:
    world = making.world
    shutil.rmtree(me(world).acting.store._folder / "wallets" / making.wallet_id.hex())
    world.restarted(ME)
    with pytest.raises(NotReady, match=making.wallet_id.hex()):
        me(world).rotations.begin()
    assert names(world) == ["hsm-mpc/identity"]


def test_what_was_confirmed_of_a_resharing_is_said_again_by_the_new_key(worlds: Worlds) -> None:
    """2 has confirmed its share and not voted, when it rotates its key to the end; another vote
    carries the resharing on, and the next refresh names every DONE of its epoch.
    """
    world = worlds(3)
    making = making_among(world, ("h1", "h2", "h3"))
    making.active()
    sharing = Sharing.of(world, making, ("h1", "h2", "h3"), 3)
    sharing.made()
    sharing.adopt(1)
    rotated(world)

    def done(h: EpochHash, index: int) -> bytes:
        said = world.parties[index].acting.epochs(making.wallet_id).kept(h, EpochDocument.DONE)
        assert said is not None
        return said

    carrying = sharing.refresh((1, 3))
    carrying.lineage = world.parties[1].acting.lineage_of(sharing.replaced)
    carrying.arrivals = sharing.arrivals
    carrying.first_dones = [done(sharing.replaced.hash, index) for index in (1, 2, 3)]
    carrying.joined()
    carrying.carry_on()
    dones = [carrying.adopt(index) for index in (1, 2, 3)]
    carrying.retirement = Retirement(tuple(dones), tuple(sharing.arrivals)).to_bytes()
    for index in (1, 2, 3):
        carrying.retire(index)
    sharing.retirement, sharing.attempts = carrying.retirement, carrying.attempts
    following = sharing.next()
    following.first_dones = [done(sharing.successor.hash, index) for index in (1, 2, 3)]
    following.lineage = world.parties[1].acting.lineage_of(sharing.successor)
    following.drive()
    assert following.certificate is not None
    Round(world, following.certificate, b"pay").commit(1, 2, 3).sign(2)


def test_without_a_card_nothing_turns(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    (me(world).acting.store._folder / "card").unlink()
    with pytest.raises(NotReady, match="holder init"):
        me(world).rotations.turn()


def test_a_holder_that_a_wallet_does_not_know_has_nothing_to_rotate(making: Making) -> None:
    world = making.world
    lineage = me(world).acting.lineage(making.certificate().body.terms)
    rival = onto_another_key(world, making)
    me(world).acting.keep_lineage(making.wallet_id, lineage.with_pending(Rotated(rival).to_bytes()))
    assert rule_of(me(world).rotations.begin) == "other-roster"


def onto_another_key(world: World, making: Making) -> Rotate:
    """A rotation of holder 2 onto a key that nobody's HSM has."""
    stranger = p256_key(9)
    body = making.certificate().body
    wanted = Rotate(
        making.wallet_id, body.hash, ME, key_of(world), stranger.public, world.clock() + 100
    )
    return replace(
        wanted,
        old_signature=me(world).acting.identity.sign(Tag.ROTATE, wanted.terms),
        new_signature=stranger.sign(Tag.ROTATE, wanted.terms),
    )


def test_before_anything_was_begun_there_is_nothing_to_end(making: Making) -> None:
    world = making.world
    assert me(world).rotations.offered() == ()
    assert rule_of(me(world).rotations.turn) == "no-rotation"
    assert rule_of(lambda: me(world).rotations.turned([])) == "no-rotation"
    me(world).rotations.begin()
    assert rule_of(lambda: me(world).rotations.turned([])) == "not-turned"


def test_the_old_key_stays_until_each_other_holder_has_the_new_one(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    me(world).rotations.turn()
    (rotate,) = told(world)
    one = taken(world, 1, rotate)
    forged = parse_envelope(taken(world, 3, rotate))
    by_another = seal_envelope(
        AMENDED, forged.address, forged.payload, Key.IDENTITY, world.parties[1].acting.identity.sign
    ).to_bytes()
    of_another = seal_envelope(
        AMENDED,
        forged.address,
        amended_payload(1, rotate.identity_key),
        Key.IDENTITY,
        world.parties[3].acting.identity.sign,
    ).to_bytes()
    for messages in ([], [one], [one, one], [one, by_another], [one, of_another], [one, b"noise"]):
        with pytest.raises(NotReady):
            me(world).rotations.turned(messages)
        assert len(names(world)) == 2
    me(world).rotations.turned([one, forged.to_bytes()])
    assert len(names(world)) == 1


# What the old key has signed


def test_records_and_consents_are_signed_by_the_new_key_before_the_old_one_goes(
    worlds: Worlds,
) -> None:
    world = worlds(3)
    world.asking = frozenset({ME})
    world.restarted(ME)
    making = Making.of(world)
    assert rule_of(lambda: making.greet(ME)) == "consent"
    consents = me(world).ceremonies.consents
    consents.agree(Plan.of(making.proposal).digest)
    making.active()
    waiting = Making.of(world, "savings")
    assert rule_of(lambda: waiting.greet(ME)) == "consent"
    digest = Plan.of(waiting.proposal).digest
    consents.agree(digest)
    me(world).rotations.begin()
    me(world).rotations.turn()
    world.restarted(ME)
    consents = me(world).ceremonies.consents
    assert [each.consented for each in consents.waiting()] == [True]
    assert me(world).wallets.all()
    me(world).rotations.turned(all_taken(world))
    assert [each.consented for each in consents.waiting()] == [True]
    kept = me(world).acting.store.plans.consent(digest)
    Consent.from_bytes(kept or b"").verify(key_of(world).verify)
    assert len(me(world).wallets.all()) == 1
    world.restarted(ME)
    assert len(me(world).wallets.all()) == 1


def test_the_own_confirmation_is_said_again(making: Making) -> None:
    world, h = making.world, making.certificate().body.hash
    epochs = me(world).acting.epochs(making.wallet_id)
    before = parse_envelope(epochs.kept(h, EpochDocument.DONE) or b"")
    me(world).rotations.begin()
    me(world).rotations.turn()
    after = parse_envelope(epochs.kept(h, EpochDocument.DONE) or b"")
    assert after.signed_part == before.signed_part
    key_of(world).verify(Tag.ENVELOPE, after.signed_part, after.signature)
    world.restarted(ME)
    epochs = me(world).acting.epochs(making.wallet_id)
    assert epochs.kept(h, EpochDocument.DONE) == after.to_bytes()


def test_a_turn_that_an_error_interrupted_goes_on(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = making.world
    me(world).rotations.begin()

    def fails(*_: object) -> None:
        raise BackendError("the HSM is away")

    with monkeypatch.context() as away:
        away.setattr(type(me(world).acting.channel), "certify_again", fails)
        with pytest.raises(BackendError):
            me(world).rotations.turn()
    old = world.roster.member(ME).key
    assert me(world).acting.channel.signer(world.clock()).channel.identity == old
    me(world).rotations.turn()
    channel = me(world).acting.channel.signer(world.clock()).channel
    assert channel.identity == key_of(world) != old
    me(world).rotations.turn()
    assert me(world).acting.channel.signer(world.clock()).channel == channel


def test_the_log_is_signed_by_the_old_key_before_the_turn(making: Making) -> None:
    world, old = making.world, key_of(making.world)
    rotated(world)
    log = lines(me(world))
    at = [str(line["event"]) for line in log].index("identity-rotated")
    assert log[at]["from"] == old.to_bytes().hex()
    assert log[at]["to"] == key_of(world).to_bytes().hex()
    assert log[at + 1]["event"] == "checkpoint"


def test_a_wallet_that_is_being_destroyed_is_waited_for(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = making.world
    me(world).rotations.begin()
    me(world).rotations.turn()
    messages = all_taken(world)
    order = said(world, destroy_of(world, making.certificate().body))

    def fails(*_: object) -> None:
        raise BackendError("the HSM is away")

    with monkeypatch.context() as away:
        away.setattr(keys, "destroy_labelled", fails)
        with pytest.raises(BackendError):
            me(world).destructions.destroy(order)
    with pytest.raises(NotReady, match="is being destroyed"):
        me(world).rotations.turned(messages)
    me(world).destructions.destroy(order)
    world.restarted(ME)
    assert "alarm" not in events(me(world))
    assert told(world) == []
    me(world).rotations.turned([])
    assert len(names(world)) == 1
    ended = me(world).acting.store.destruction(making.wallet_id)
    assert ended.kept(DestructionDocument.DESTROYED)
    world.restarted(ME)


def test_a_wallet_that_is_damaged_does_not_keep_a_holder_from_starting(making: Making) -> None:
    world, h = making.world, making.certificate().body.hash
    me(world).rotations.begin()
    me(world).rotations.turn()
    wallet = me(world).acting.store._folder / "wallets" / making.wallet_id.hex()
    (wallet / "epochs" / h.hex() / "done").unlink()
    world.restarted(ME)
    assert "alarm" in events(me(world))


def test_a_rotation_that_is_damaged_is_tampering(making: Making) -> None:
    store = me(making.world).acting.store
    store.keep_rotation(b"noise")
    with pytest.raises(Tampered, match="the rotation of the identity key"):
        kept_rotation(store)


def test_a_key_that_is_gone_before_its_turn_is_tampering(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    keys.destroy_identity_key(me(world).acting.token, keys.SECOND_IDENTITY)
    with pytest.raises(Tampered, match="an identity key of a rotation is missing"):
        me(world).rotations.turn()


def test_without_a_card_the_only_key_is_the_holders(making: Making) -> None:
    """Whoever has lost its store keeps the key that it was rotated to."""
    world = making.world
    card = me(world).acting.store._folder / "card"
    token, store = me(world).acting.token, me(world).acting.store
    me(world).rotations.begin()
    content = card.read_bytes()
    card.unlink()
    with pytest.raises(BadConfig, match="two identity keys"):
        kept_identity(token, store)
    store.keep_card(content)
    me(world).rotations.turn()
    me(world).rotations.turned(all_taken(world))
    content = card.read_bytes()
    card.unlink()
    own = kept_identity(token, store)
    assert own is not None
    assert own.key == key_of(world)
    keys.destroy_identity_key(token, keys.SECOND_IDENTITY)
    assert kept_identity(token, store) is None
    store.keep_card(content)
    with pytest.raises(Tampered, match="of this holder's card is missing"):
        kept_identity(token, store)


def test_a_card_of_before_the_rotation_is_tampering(making: Making) -> None:
    world = making.world
    card = me(world).acting.store._folder / "card"
    before = card.read_bytes()
    rotated(world)
    me(world).acting.store.keep_card(before)
    with pytest.raises(Tampered, match="not that of this holder's card"):
        kept_identity(me(world).acting.token, me(world).acting.store)


def test_killed_after_the_old_key_went_the_next_start_ends_it(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = making.world
    me(world).rotations.begin()
    me(world).rotations.turn()
    messages = all_taken(world)

    def fails(*_: object) -> None:
        raise BackendError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(type(me(world).acting.store), "end_rotation", fails)
        with pytest.raises(BackendError):
            me(world).rotations.turned(messages)
    assert len(names(world)) == 1
    world.restarted(ME)
    assert not me(world).rotations.is_under_way()


# At the others


def test_the_others_take_it_and_say_so(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    me(world).rotations.turn()
    (rotate,) = told(world)
    said_by = parse_envelope(taken(world, 1, rotate))
    assert said_by.payload == amended_payload(ME, rotate.identity_key)
    roster = world.parties[1].acting.lineage(making.certificate().body.terms).newest.roster
    assert roster.member(ME).key == rotate.identity_key
    assert events(world.parties[1]).count("roster-amended") == 1
    taken(world, 1, rotate)
    assert events(world.parties[1]).count("roster-amended") == 1


def test_administrators_have_no_say_in_it(worlds: Worlds) -> None:
    """Both keys have signed it: it is the same HSM."""
    world = worlds(3)
    Making.of(world, policy=TWO_OF_THREE).active()
    rotated(world)
    assert names(world) == ["hsm-mpc/identity/2"]


def test_a_holder_whose_operator_is_asked_takes_it_after_his_consent(worlds: Worlds) -> None:
    world = worlds(3)
    making = Making.of(world)
    making.active()
    world.asking = frozenset({1})
    world.restarted(1)
    me(world).rotations.begin()
    (rotate,) = told(world)
    asked = world.parties[1].repairs
    assert asked.consider_rotation(message(world, rotate)) is False
    assert world.parties[3].repairs.consider_rotation(message(world, rotate)) is True
    assert rule_of(lambda: taken(world, 1, rotate)) == "consent"
    consents = world.parties[1].ceremonies.consents
    (waiting,) = consents.waiting()
    assert waiting.wallet == "treasury"
    assert waiting.digest == Plan.of(rotate).digest
    consents.agree(waiting.digest)
    assert asked.consider_rotation(message(world, rotate)) is True
    taken(world, 1, rotate)
    assert consents.waiting() == []
    assert asked.consider_rotation(message(world, rotate)) is True
    taken(world, 1, rotate)
    world.now[0] = rotate.deadline + 1
    assert asked.consider_rotation(message(world, rotate)) is True


def test_a_plan_about_a_key_that_was_taken_otherwise_is_over(worlds: Worlds) -> None:
    """By a certificate, for example: whoever carries it then strikes the plan."""
    world = worlds(3)
    making = Making.of(world)
    making.active()
    world.asking = frozenset({1})
    world.restarted(1)
    me(world).rotations.begin()
    (rotate,) = told(world)
    assert rule_of(lambda: taken(world, 1, rotate)) == "consent"
    holder, terms = world.parties[1].acting, making.certificate().body.terms
    lineage = holder.lineage(terms).with_pending(Rotated(rotate).to_bytes())
    holder.keep_lineage(rotate.wallet_id, lineage)
    taken(world, 1, rotate)
    assert world.parties[1].ceremonies.consents.waiting() == []


def test_a_plan_whose_time_is_over_asks_nobody(worlds: Worlds) -> None:
    world = worlds(3)
    Making.of(world).active()
    world.asking = frozenset({1})
    world.restarted(1)
    me(world).rotations.begin()
    (rotate,) = told(world)
    world.now[0] = rotate.deadline
    assert world.parties[1].repairs.consider_rotation(message(world, rotate)) is False
    world.now[0] = rotate.deadline + 1
    asked = world.parties[1].repairs
    assert rule_of(lambda: asked.consider_rotation(message(world, rotate))) == "deadline"


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, old_signature=r.new_signature),
        lambda r: replace(r, new_signature=r.old_signature),
        lambda r: replace(r, index=3),
        lambda r: replace(r, deadline=r.deadline + 1),
    ],
)
def test_what_does_not_hold_is_not_taken(
    making: Making, change: Callable[[Rotate], Rotate]
) -> None:
    world = making.world
    me(world).rotations.begin()
    (rotate,) = told(world)
    wrong = change(rotate)
    with pytest.raises(ProtocolAbort) as aborted:
        taken(world, 1, wrong)
    assert aborted.value.culprits == ()
    with pytest.raises(ProtocolAbort) as aborted:
        world.parties[1].repairs.consider_rotation(message(world, wrong))
    assert aborted.value.culprits == ()


def test_only_a_coordinator_of_the_own_list_asks(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    (rotate,) = told(world)
    address = parse_envelope(message(world, rotate)).address
    forged = seal_envelope(
        ROTATE, address, rotate.to_bytes(), Key.COORDINATOR, p256_key(9).sign
    ).to_bytes()
    with pytest.raises(InvalidSignature):
        world.parties[1].repairs.consider_rotation(forged)
    elsewhere = world.said(ROTATE, rotate.wallet_id, NOTHING, bytes(32), rotate.to_bytes())
    with pytest.raises(BadEncoding, match="another epoch or wallet"):
        rotate_in(elsewhere, world.parties[1].acting.inbox(), world.clock())


def test_of_an_epoch_that_is_not_known_nobody_is_asked(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    (rotate,) = told(world)
    other = replace(rotate, epoch_hash=type(rotate.epoch_hash)(b"o" * 32))
    asked = world.parties[1].repairs
    assert rule_of(lambda: asked.consider_rotation(message(world, other))) == "other-epoch"


def test_of_two_keys_for_one_the_first_counts(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    (rotate,) = told(world)
    rival = onto_another_key(world, making)
    taken(world, 1, rotate)
    assert rule_of(lambda: taken(world, 1, rival)) == "other-roster"
    asked = world.parties[1].repairs
    assert rule_of(lambda: asked.consider_rotation(message(world, rival))) == "other-roster"


def test_a_holder_does_not_believe_a_rotation_of_its_own_before_its_turn(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    (rotate,) = told(world)
    assert rule_of(lambda: taken(world, ME, rotate)) == "not-turned"
    me(world).rotations.turn()
    assert taken(world, ME, rotate)


def test_nobody_deals_under_a_rotation_that_it_has_not_taken(making: Making) -> None:
    world = making.world
    me(world).rotations.begin()
    me(world).rotations.turn()
    (rotate,) = told(world)
    taken(world, 1, rotate)
    body = making.certificate().body
    refreshing = Refreshing(world, body, (1, 2, 3), making.dones)
    refreshing.joined()
    carrying = replace(refreshing.proposal(), amendments=(Rotated(rotate).to_bytes(),))
    refreshing.propose = refreshing.said(PROPOSE, carrying.to_bytes())
    for index in (1, ME):
        refreshing.deal(index)
    assert rule_of(partial(refreshing.deal, 3)) == "other-roster"
    taken(world, 3, rotate)
    assert refreshing.deal(3)
