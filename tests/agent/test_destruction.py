"""`wallet destroy` at a holder: every key of a wallet goes, once its operator consents (6.10)."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from hsm_mpc.agent.holdings import Holdings
from hsm_mpc.agent.kek_digest import kek_digest_of
from hsm_mpc.agent.opener import find_wrapping_key
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.errors import BackendError, BadEncoding, NameTaken, NotReady, Refused, Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.ids import WalletId
from hsm_mpc.store.destruction import DestructionDocument
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.tags import Tag
from hsm_mpc.wire.about_wallets import address_about
from hsm_mpc.wire.destroyed import wallet_destroyed_in
from hsm_mpc.wire.envelope import bundle, parse_envelope, seal_envelope
from hsm_mpc.wire.holdings import RETIRED, Holding
from hsm_mpc.wire.rounds import DESTROY, FIRST_COORDINATOR, Key
from tests.agent.copies import opener, require_closed
from tests.agent.destroying import REASON, destroy_of, said
from tests.agent.making import Making, events, keks, lines
from tests.agent.refreshing import Refreshing
from tests.agent.rounds import Round
from tests.agent.simulate import NOTHING, Party, World, Worlds
from tests.crash.driving import drive

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(2)


@pytest.fixture
def making(world: World) -> Making:
    """A 2-of-2 wallet in epoch 0."""
    making = Making.of(world)
    drive(making)
    return making


@pytest.fixture
def body(making: Making) -> EpochBody:
    return making.certificate().body


@pytest.fixture
def party(making: Making) -> Party:
    """Its first holder."""
    return making.world.parties[1]


def rule_of(party: Party, source: bytes) -> str:
    """Of the refusal of a DESTROY, which leaves all keys where they are."""
    before = keks(party)
    with pytest.raises(Refused) as refused:
        party.destructions.destroy(source)
    with pytest.raises(Refused) as considered:
        party.destructions.consider(source)
    assert keks(party) == before
    assert considered.value.rule == refused.value.rule
    return refused.value.rule


def staged(world: World, making: Making) -> Refreshing:
    """A refresh of which both have a share, and that nobody has adopted."""
    refreshing = Refreshing(world, making.certificate().body, (1, 2), making.dones)
    refreshing.joined()
    refreshing.dealt()
    refreshing.certified()
    return refreshing


def test_every_key_and_share_goes_and_the_holder_says_so(
    world: World, party: Party, body: EpochBody
) -> None:
    acting, wallet_id = party.acting, body.terms.wallet_id
    copied = opener(party, body)
    (record,) = acting.epochs(wallet_id).records()
    key = find_wrapping_key(acting.token, record.kek_uri, wallet_id)
    digest = kek_digest_of(acting.token, key)
    order = destroy_of(world, body)
    message = party.destructions.destroy(said(world, order))
    destroyed = wallet_destroyed_in(message, wallet_id, acting.keys)
    assert parse_envelope(message).address.sender == 1
    assert destroyed.destroy_digest == order.digest
    assert [(each.kek_digest, each.at) for each in destroyed.keys] == [(digest, world.clock())]
    require_closed(party, copied)
    assert keks(party) == []
    assert acting.epochs(wallet_id).records() == ()
    assert acting.registers.wallet_ids() == ()
    assert acting.epochs(wallet_id).kept(body.hash, EpochDocument.CERTIFICATE) is not None
    assert events(party)[-2:] == ["wallet-destroying", "wallet-destroyed"]
    assert REASON in (acting.store._folder / "audit" / "log").read_text()


def test_nothing_of_the_wallet_is_done_any_more(
    world: World, making: Making, party: Party, body: EpochBody
) -> None:
    round_ = Round(world, making.certificate(), b"before").commit(1, 2)
    party.destructions.destroy(said(world, destroy_of(world, body)))
    refreshing = Refreshing(world, body, (1, 2), making.dones)
    refreshing.begin()
    for action in (
        lambda: round_.sign(1),
        lambda: Round(world, making.certificate(), b"after").commit(1),
        lambda: refreshing.join(1),
        lambda: party.successions.rewrap(body.terms.wallet_id),
        lambda: party.repairs.documents(body.terms.wallet_id, body.hash),
    ):
        with pytest.raises(Refused) as refused:
            action()
        assert refused.value.rule in ("wallet-destroyed", "lease-unknown")
    ended = [Holding.from_bytes(Holdings(world.parties[i].acting).page(None)[0]) for i in (1, 2)]
    assert wallet_destroyed_in(ended[0].ended, body.terms.wallet_id, party.acting.keys)
    assert (ended[0].state, ended[1].ended) == (RETIRED, b"")


def test_said_again_it_is_the_same_also_after_a_restart_and_to_another_order(
    world: World, party: Party, body: EpochBody
) -> None:
    first = party.destructions.destroy(said(world, destroy_of(world, body)))
    world.now[0] += 5000
    world.restarted(1)
    party = world.parties[1]
    other = replace(destroy_of(world, body), nonce=b"o" * 32)
    assert party.destructions.consider(said(world, other))
    assert party.destructions.destroy(said(world, other)) == first
    assert events(party).count("wallet-destroyed") == 1
    assert "alarm" not in events(party)


def test_its_name_stays_taken(world: World, making: Making, party: Party, body: EpochBody) -> None:
    party.destructions.destroy(said(world, destroy_of(world, body)))
    world.restarted(1)
    with pytest.raises(NameTaken):
        Making.of(world, making.proposal.name).greet(1)


def test_another_wallet_is_left_alone(world: World, party: Party, body: EpochBody) -> None:
    other = Making.of(world, "savings")
    drive(other)
    party.destructions.destroy(said(world, destroy_of(world, body)))
    assert len(keks(party)) == 1
    Round(world, other.certificate(), b"still").commit(1, 2).sign(1)


def test_a_staged_successor_goes_too(world: World, making: Making, party: Party) -> None:
    refreshing = staged(world, making)
    successor = opener(party, refreshing.successor)
    assert len(keks(party)) == 2
    message = party.destructions.destroy(said(world, destroy_of(world, refreshing.replaced)))
    destroyed = wallet_destroyed_in(message, making.wallet_id, party.acting.keys)
    assert len(destroyed.keys) == 2
    assert keks(party) == []
    require_closed(party, successor)
    assert party.acting.attempts(making.wallet_id).all() == ()
    world.restarted(1)
    assert world.parties[1].wallets.all() == ()


def test_a_key_that_no_record_names_goes_too(world: World, party: Party, body: EpochBody) -> None:
    acting, label = party.acting, keys.wrapping_label(body.terms.wallet_id)
    keys.generate_wrapping_key(acting.token, b"i" * 20, label, acting.wrapping)
    party.destructions.destroy(said(world, destroy_of(world, body)))
    assert keks(party) == []


def test_only_the_newest_epoch_is_one_whose_end_may_be_asked_for(
    world: World, making: Making, party: Party
) -> None:
    refreshing = staged(world, making)
    assert rule_of(party, said(world, destroy_of(world, refreshing.successor))) == "other-epoch"
    refreshing.adopt(1)
    assert rule_of(party, said(world, destroy_of(world, refreshing.replaced))) == "other-epoch"
    party.destructions.destroy(said(world, destroy_of(world, refreshing.successor)))
    assert keks(party) == []


def test_a_certified_wallet_goes_before_it_is_active(world: World) -> None:
    making = Making.of(world, "early").confirmed()
    body, party = making.certificate().body, world.parties[1]
    source = said(world, destroy_of(world, body))
    with pytest.raises(NotReady):
        party.destructions.destroy(source)
    making.certify(1)
    party.destructions.destroy(source)
    assert keks(party) == []
    world.restarted(1)
    with pytest.raises(Refused):
        making.certify(1)


def test_an_order_is_of_a_known_wallet_and_in_time(world: World, body: EpochBody) -> None:
    party = world.parties[1]
    unknown = replace(destroy_of(world, body), wallet_id=WalletId(b"u" * 16))
    assert rule_of(party, said(world, unknown)) == "unknown-wallet"
    order = destroy_of(world, body)
    world.now[0] = order.deadline + 1
    assert rule_of(party, said(world, order)) == "deadline"
    world.now[0] -= 1
    party.destructions.destroy(said(world, order))


def test_an_order_is_what_its_header_says_and_of_a_coordinator(
    world: World, party: Party, body: EpochBody
) -> None:
    order = destroy_of(world, body)
    other = WalletId(b"o" * 16)
    for wallet_id, h in ((other, order.epoch_hash), (order.wallet_id, b"o" * 32)):
        with pytest.raises(BadEncoding, match="header"):
            party.destructions.destroy(world.said(DESTROY, wallet_id, NOTHING, h, order.to_bytes()))
    address = address_about(order.wallet_id, order.epoch_hash, FIRST_COORDINATOR + 1)
    sign = world.coordinator.sign
    stranger = seal_envelope(DESTROY, address, order.to_bytes(), Key.COORDINATOR, sign)
    with pytest.raises(BadEncoding, match="sender"):
        party.destructions.destroy(stranger.to_bytes())
    assert len(keks(party)) == 1


def test_the_operator_is_asked_and_his_consent_serves_once(
    world: World, party: Party, body: EpochBody
) -> None:
    world.asking = frozenset({1})
    world.restarted(1)
    party = world.parties[1]
    order, other = destroy_of(world, body), destroy_of(world, body, b"o" * 32)
    assert not party.destructions.consider(said(world, order))
    with pytest.raises(Refused) as refused:
        party.destructions.destroy(said(world, order))
    assert refused.value.rule == "consent"
    consents = party.ceremonies.consents
    (waiting,) = consents.waiting()
    assert (waiting.asked, waiting.named) == (order, body.to_bytes())
    consents.agree(Plan.of(order).digest)
    assert not party.destructions.consider(said(world, other))
    with pytest.raises(Refused):
        party.destructions.destroy(said(world, other))
    assert len(keks(party)) == 1
    assert party.destructions.consider(said(world, order))
    party.destructions.destroy(said(world, order))
    assert keks(party) == []
    assert consents.waiting() == []


def test_outside_of_a_lab_every_operator_is_asked(
    world: World, party: Party, body: EpochBody
) -> None:
    roster = replace(party.acting.roster, lab=False)
    object.__setattr__(party.acting, "roster", roster)
    assert not party.destructions.consider(said(world, destroy_of(world, body)))


def test_a_token_that_keeps_the_key_is_an_error(
    world: World, party: Party, body: EpochBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "destroy_labelled", lambda *_: None)
    source = said(world, destroy_of(world, body))
    with pytest.raises(BackendError, match="opens"):
        party.destructions.destroy(source)
    monkeypatch.undo()
    party.destructions.destroy(source)
    assert keks(party) == []


# What a disk says, and a token


def put(party: Party, wallet_id: WalletId, content: bytes) -> None:
    """Somebody writes the decision to destroy a wallet."""
    path = party.acting.store._folder / "wallets" / wallet_id.hex() / "destroy"
    path.write_bytes(content)
    path.chmod(0o600)


def test_a_decision_that_this_holder_has_not_signed_destroys_nothing(
    world: World, making: Making, body: EpochBody
) -> None:
    """Not one that somebody put there, nor another wallet's, nor a damaged one; the holder starts,
    says it aloud, and its other wallets sign.
    """
    other = Making.of(world, "savings")
    drive(other)
    wallet_id, elsewhere = body.terms.wallet_id, other.wallet_id
    order = destroy_of(world, body).to_bytes()
    signature = world.parties[2].acting.identity.sign(Tag.DESTROY, order)
    for content in (b"", b"x", bundle([order, b"", signature]), bundle([order, b""])):
        put(world.parties[1], wallet_id, content)
        world.restarted(1)
        assert len(keks(world.parties[1])) == 2
        assert events(world.parties[1])[-1] == "alarm"
        Round(world, other.certificate(), b"still").commit(1, 2).sign(1)
        with pytest.raises(Tampered):
            world.parties[1].destructions.destroy(said(world, destroy_of(world, body)))
    (world.parties[1].acting.store._folder / "wallets" / wallet_id.hex() / "destroy").unlink()
    world.parties[1].destructions.destroy(said(world, destroy_of(world, body)))
    destruction = world.parties[1].acting.store.destruction(wallet_id)
    put(world.parties[1], elsewhere, destruction.kept(DestructionDocument.DESTROY) or b"")
    world.restarted(1)
    assert len(keks(world.parties[1])) == 1
    assert "another wallet" in str(lines(world.parties[1])[-1]["reason"])


def test_keys_go_whatever_their_attributes_are_and_however_many_have_one_name(
    world: World, party: Party, body: EpochBody, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting, label = party.acting, keys.wrapping_label(body.terms.wallet_id)
    for _ in range(2):
        with monkeypatch.context() as blind:
            blind.setattr(keys, "find_wrapping_key", lambda *_: None)
            keys.generate_wrapping_key(acting.token, b"i" * 20, label, acting.wrapping)
    assert len(keks(party)) == 3

    def changed(*_: object) -> None:
        raise Refused("key-attributes", "it is extractable now")

    monkeypatch.setattr(keys, "require_attributes", changed)
    party.destructions.destroy(said(world, destroy_of(world, body)))
    assert keks(party) == []


def test_a_key_in_another_token_is_found_before_anything_is_decided(
    world: World, party: Party, body: EpochBody
) -> None:
    epochs = party.acting.epochs(body.terms.wallet_id)
    (record,) = epochs.records()
    elsewhere = record.kek_uri.replace("token=", "token=x", 1)
    epochs.change(replace(record, extra_uris=(elsewhere,)))
    for asks in (party.destructions.consider, party.destructions.destroy):
        with pytest.raises(Tampered, match="another token"):
            asks(said(world, destroy_of(world, body)))
    assert len(keks(party)) == 1


def test_a_store_from_before_the_end_brings_nothing_back_and_that_is_said(
    world: World, making: Making, party: Party, body: EpochBody
) -> None:
    wallets = party.acting.store._folder / "wallets"
    folder, backup = wallets / body.terms.wallet_id.hex(), wallets.parent.parent / "backup"
    shutil.copytree(folder, backup)
    party.destructions.destroy(said(world, destroy_of(world, body)))
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    world.restarted(1)
    assert events(world.parties[1])[-1] == "alarm"
    with pytest.raises(Tampered):
        Round(world, making.certificate(), b"again").commit(1)
