"""A holder in a succession: what it says, and what it refuses (section 6.5)."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.agent.succession import dropping, joining, retiring, successor_share
from hsm_mpc.agent.succession.dropping import MOST_STAGED, destroy_keys
from hsm_mpc.agent.succession.joining import (
    FURTHEST_AHEAD,
    JOINS_WITHIN,
    MOST_JOINS,
    PAUSE,
    PROOF_SHARES,
    UNHINDERED,
)
from hsm_mpc.agent.succession.live import LiveEpoch, opened_share
from hsm_mpc.agent.wallets import HeldEpoch
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.done import Done
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.register import Register, Vote
from hsm_mpc.ids import EpochHash
from hsm_mpc.secure import sodium
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.store import names
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.propose import Propose
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.envelope import bundle, parse_envelope, seal_envelope, unbundled
from hsm_mpc.wire.rounds import ADOPTION, ASK, PROPOSE, RETIRE, Key
from tests.agent.copies import opener, require_closed
from tests.agent.making import keks
from tests.agent.refreshing import Refreshing
from tests.agent.rounds import Round
from tests.agent.simulate import World, Worlds
from tests.crash.deaths import DeathError
from tests.named_steps import changes_seen, observed
from tests.software_identity import ed25519_key

SEALED_BYTES = 8 + 32 + 16
"""A dealt share in its frame."""

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def refreshing(world: World) -> Refreshing:
    return Refreshing.of_new_wallet(world)


def rule(action: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        action()
    return refused.value.rule


def register_of(world: World, refreshing: Refreshing, index: int = 1) -> Register:
    register = world.parties[index].acting.registers.read(refreshing.replaced.terms.wallet_id)
    assert register is not None
    return register


def states(world: World, index: int) -> dict[int, EpochState]:
    held = world.parties[index].wallets.all()
    return {each.body.epoch: each.record.state for each in held}


# The way through


def test_every_state_on_the_way_is_durable_before_it_is_said(
    world: World, refreshing: Refreshing
) -> None:
    """Register and record after each round; the wrapping keys in the token."""
    alpha = Attempt(world.clock() + 1, 0x8000).to_bytes()
    h = refreshing.replaced.hash
    refreshing.joined()
    assert register_of(world, refreshing) == Register(h, promised=alpha)
    refreshing.dealt()
    assert states(world, 1) == {0: EpochState.ACTIVE}
    refreshing.certified()
    vote = Vote(alpha, refreshing.successor.hash)
    assert register_of(world, refreshing) == Register(h, promised=alpha, acked=vote)
    assert states(world, 1) == {0: EpochState.ACTIVE, 1: EpochState.ACKED}
    assert len(keks(world.parties[1])) == 2
    dones = [refreshing.adopt(index) for index in (1, 2)]
    assert register_of(world, refreshing) == Register(h, alpha, vote, vote)
    assert states(world, 1) == {0: EpochState.ACTIVE, 1: EpochState.ADOPTED}
    dones.append(refreshing.adopt(3, refreshing.transcript))
    assert states(world, 3) == {0: EpochState.ACTIVE, 1: EpochState.ADOPTED}
    refreshing.retirement = Retirement(tuple(dones)).to_bytes()
    for index in (1, 2, 3):
        refreshing.retire(index)
        assert register_of(world, refreshing, index) == Register(refreshing.successor.hash)
        assert states(world, index) == {1: EpochState.ACTIVE}
        assert len(keks(world.parties[index])) == 1


def test_every_message_is_repeated_as_it_was_also_after_a_restart(
    world: World, refreshing: Refreshing
) -> None:
    """Step 1.7.4."""
    refreshing.joined()
    joined = refreshing.answers[1]
    refreshing.dealt()
    refreshing.certified()
    acked, done = refreshing.stage(1), refreshing.adopt(1)
    for _ in range(2):
        assert refreshing.join(1)[0] == joined[0]
        assert refreshing.deal(1) == refreshing.deals[0]
        assert refreshing.stage(1) == acked
        assert refreshing.adopt(1) == done
        world.restarted(1)
    refreshing.drive(absent=(3,))
    destroyed = refreshing.destroyed[1]
    world.restarted(1)
    assert refreshing.retire(1) == destroyed


def test_who_was_away_and_adopts_repeats_its_confirmation_as_it_was(
    world: World, refreshing: Refreshing
) -> None:
    """Step 1.7.4: it never joined the attempt, and has said DONE in it all the same."""
    refreshing.made()
    done = refreshing.adopt(3, refreshing.transcript)
    assert refreshing.adopt(3, refreshing.transcript) == done
    world.restarted(3)
    assert refreshing.adopt(3, refreshing.transcript) == done


def test_a_member_that_dealt_and_lost_its_memory_goes_on_from_its_disk(
    world: World, refreshing: Refreshing
) -> None:
    refreshing.joined()
    refreshing.dealt()
    for index in (1, 2):
        world.restarted(index)
    refreshing.certified()
    refreshing.drive(absent=(3,))
    assert states(world, 1) == states(world, 3) == {1: EpochState.ACTIVE}


def test_both_epochs_sign_until_the_old_one_is_retired(
    world: World, refreshing: Refreshing
) -> None:
    """Step 6.5.8: a staged or acknowledged share signs nothing."""
    wallet_id, old = refreshing.replaced.terms.wallet_id, refreshing.replaced.hash
    refreshing.made()
    new, wallets = refreshing.successor.hash, world.parties[1].wallets
    with pytest.raises(NotReady):
        wallets.signing(wallet_id, new)
    refreshing.adopt(1)
    assert wallets.signing(wallet_id, new).epoch_hash == new
    assert wallets.signing(wallet_id, old).epoch_hash == old
    refreshing.drive(absent=(3,))
    assert wallets.signing(wallet_id, new).epoch_hash == new
    with pytest.raises(Refused):
        wallets.signing(wallet_id, old)


def test_nonces_of_the_old_epoch_die_with_it(world: World, refreshing: Refreshing) -> None:
    """Step 6.5.7: what was begun in the old epoch is not finished in it."""
    epochs = world.parties[1].acting.epochs(refreshing.replaced.terms.wallet_id)
    kept = epochs.kept(refreshing.replaced.hash, EpochDocument.CERTIFICATE)
    assert kept is not None
    round_ = Round(world, Certificate.from_bytes(kept), b"pay").commit(1, 2)
    refreshing.drive(absent=(3,))
    assert rule(lambda: round_.sign(1)) in ("lease-unknown", "unknown-wallet")


def test_an_epoch_that_retires_while_it_is_looked_up_is_not_remembered(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.5.7: a request that found it active a moment before finds it later no more."""
    adopted_by_all(refreshing)
    wallet_id, old = refreshing.replaced.terms.wallet_id, refreshing.replaced.hash
    party = world.parties[1]
    honest, finish = party.wallets.find, retiring.finish
    forgotten, go = threading.Event(), threading.Event()

    def finished(live: LiveEpoch) -> bytes:
        forgotten.set()
        go.wait(30)
        return finish(live)

    def found(*named: Any) -> HeldEpoch:
        held = honest(*named)
        end.start()
        forgotten.wait(0.5)
        return held

    end = threading.Thread(target=lambda: run_shielded(lambda: refreshing.retire(1)))
    monkeypatch.setattr(retiring, "finish", finished)
    with monkeypatch.context() as racing:
        racing.setattr(party.wallets, "find", found)
        assert party.wallets.signing(wallet_id, old)
    go.set()
    end.join()
    assert register_of(world, refreshing) == Register(refreshing.successor.hash)
    assert rule(lambda: party.wallets.signing(wallet_id, old)) == "unknown-wallet"


def test_a_successor_that_goes_while_others_are_looked_up_is_no_damage(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signing reads the store while a succession changes it."""
    refreshing.made()
    h, wallet_id = refreshing.successor.hash, refreshing.replaced.terms.wallet_id
    epochs = world.parties[1].acting.epochs(wallet_id)
    kept = Epochs.kept

    def going(of: Epochs, each: EpochHash, document: EpochDocument) -> bytes | None:
        if each == h and document is EpochDocument.BODY and h in epochs.hashes():
            epochs.drop(h)
        return kept(of, each, document)

    monkeypatch.setattr(Epochs, "kept", going)
    (held,) = world.parties[1].wallets.of(wallet_id)
    assert held.body == refreshing.replaced


# JOIN


def test_an_attempt_too_far_ahead_is_not_joined(world: World, refreshing: Refreshing) -> None:
    """Step 6.5.11."""
    refreshing.attempts = FURTHEST_AHEAD
    refreshing.begin()
    assert rule(lambda: refreshing.join(1)) == "attempt-too-far"
    assert register_of(world, refreshing) == Register(refreshing.replaced.hash)
    refreshing.attempts -= 1
    refreshing.join(1)


def test_no_initiator_is_followed_too_often(world: World, refreshing: Refreshing) -> None:
    """Step 6.5.11."""
    for _ in range(MOST_JOINS):
        refreshing.begin()
        refreshing.join(1)
    refreshing.begin()
    assert rule(lambda: refreshing.join(1)) == "too-many-attempts"
    world.later[0] += JOINS_WITHIN + 1
    refreshing.join(1)


def test_an_epoch_that_many_attempts_have_not_replaced_gets_one_of_each_initiator_now_and_then(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.5.11: what each costs stays on the disk, also after a restart."""
    assert (UNHINDERED, PROOF_SHARES, PAUSE) == (64, 16, 3600)
    monkeypatch.setattr(joining, "UNHINDERED", 3)
    for pauses in (0, 0, 0, PAUSE, PAUSE, PAUSE, 2 * PAUSE):
        refreshing.begin()
        if pauses:
            world.later[0] += pauses - 1
            with pytest.raises(Refused, match="the next one in 1 s") as caught:
                refreshing.join(1)
            assert caught.value.rule == "too-many-attempts"
            world.later[0] += 1
        refreshing.join(1)
    refreshing.begin()
    with pytest.raises(Refused, match=r"coordinator 32768 begins one in 7200 s here"):
        refreshing.join(1)
    world.restarted(1)
    refreshing.join(1)
    refreshing.begin()
    assert rule(lambda: refreshing.join(1)) == "too-many-attempts"


def test_attempts_of_one_coordinator_make_no_other_one_wait(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.5.11: nor does an epoch that was replaced."""
    monkeypatch.setattr(joining, "UNHINDERED", 3)
    world = worlds(3)
    world.rivals = (ed25519_key(b"3" * 32),)
    for index in world.parties:
        world.restarted(index)
    first = Refreshing.of_new_wallet(world)
    for _ in range(3):
        first.begin()
        first.join(1)
    first.begin()
    assert rule(lambda: first.join(1)) == "too-many-attempts"
    other = replace(first, attempts=first.attempts + 1, coordinator=1, answers={})
    other.drive(absent=(3,))
    following = other.next()
    following.begin()
    following.join(1)


def test_one_refresh_does_not_follow_another_too_soon(world: World, refreshing: Refreshing) -> None:
    """Step 6.5.11: `refresh_min_interval`, from the end of the epoch before."""
    world.seconds_between_refreshes = 600
    world.restarted(1)
    refreshing.drive(absent=(3,))
    following = refreshing.next()
    following.begin()
    with pytest.raises(Refused, match="so the next one in 600 s") as caught:
        following.join(1)
    assert caught.value.rule == "refresh-interval"
    assert following.join(2)[0]
    world.now[0] += 599
    assert rule(lambda: following.join(1)) == "refresh-interval"
    world.now[0] += 1
    following.join(1)


def test_a_lower_attempt_is_not_joined(refreshing: Refreshing) -> None:
    refreshing.attempts = 5
    refreshing.join(1)
    refreshing.attempts = 4
    assert rule(lambda: refreshing.join(1)) == "attempt-overtaken"


def test_with_too_many_staged_successors_nothing_is_joined(
    refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 6.2: each costs a key in the HSM."""
    assert MOST_STAGED == 4
    monkeypatch.setattr(dropping, "MOST_STAGED", 1)
    refreshing.made()
    refreshing.begin()
    assert rule(lambda: refreshing.join(1)) == "staged-full"
    assert refreshing.join(3)[0]


def test_attempts_that_failed_do_not_end_all_refreshing(
    world: World, refreshing: Refreshing
) -> None:
    """Step 6.5.10: what a newer attempt has overtaken makes room, key and all; the newest stays."""
    for _ in range(MOST_STAGED + 2):
        refreshing.joined()
        refreshing.dealt()
        refreshing.stage(1)
        assert len(keks(world.parties[1])) <= 1 + MOST_STAGED
    refreshing.certified()
    refreshing.drive(absent=(3,))
    assert states(world, 1) == {1: EpochState.ACTIVE}
    assert len(keks(world.parties[1])) == 1


def test_a_successor_that_made_room_is_made_again_if_others_adopt_it(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.4.7: while the old epoch opens, the transcript is enough."""
    refreshing.made()
    first = refreshing.certificate
    refreshing.joined()
    refreshing.dealt()
    with monkeypatch.context() as crowded:
        crowded.setattr(dropping, "MOST_STAGED", 1)
        refreshing.begin()
        refreshing.join(1)
    assert states(world, 1) == {0: EpochState.ACTIVE}
    assert first is not None
    refreshing.attempts, refreshing.propose = 1, first.propose
    refreshing.adopt(3, refreshing.transcript)
    refreshing.attempts = 4
    refreshing.members = (1, 3)
    refreshing.joined()
    assert refreshing.proposal().successor == refreshing.successor.hash
    refreshing.adopt(1, refreshing.transcript)
    assert states(world, 1) == {0: EpochState.ACTIVE, 1: EpochState.ADOPTED}


def test_an_ask_is_of_the_initiator_of_its_attempt(world: World, refreshing: Refreshing) -> None:
    refreshing.begin()
    ask = replace(refreshing.ask(), attempt=Attempt(world.clock(), 0x8001))
    with pytest.raises(BadEncoding, match="initiator"):
        world.parties[1].successions.join(refreshing.said(ASK, ask.to_bytes()))


def test_an_ask_is_signed(world: World, refreshing: Refreshing) -> None:
    refreshing.begin()
    message = refreshing.said(ASK, refreshing.ask().to_bytes())
    with pytest.raises(InvalidSignature):
        world.parties[1].successions.join(message[:-1] + bytes([message[-1] ^ 1]))


def test_the_end_of_the_epoch_before_is_proven(world: World, refreshing: Refreshing) -> None:
    """Step 6.1.4."""
    refreshing.drive(absent=(3,))
    following = refreshing.next()
    following.begin()
    for before in (b"", Retirement(()).to_bytes(), following.before[:-1]):
        following.before = before
        assert rule(lambda: following.join(1)) == "not-retired"
    following.before = refreshing.retirement
    following.join(1)


def test_before_the_first_epoch_none_was_retired(world: World, refreshing: Refreshing) -> None:
    """Section 6.3: of epoch 0 the retirement is empty. What is kept of it is nobody's padding."""
    refreshing.begin()
    for before in (b"x", bytes(1 << 19)):
        refreshing.before = before
        assert rule(lambda: refreshing.join(1)) == "not-retired"
    assert register_of(world, refreshing) == Register(refreshing.replaced.hash)


def test_messages_of_another_epoch_are_refused(world: World, refreshing: Refreshing) -> None:
    old = Refreshing(world, refreshing.replaced, (1, 2), refreshing.first_dones, attempts=7)
    refreshing.drive(absent=(3,))
    assert rule(lambda: old.join(1)) == "other-epoch"


def test_a_share_that_does_not_open_joins_nothing(world: World, refreshing: Refreshing) -> None:
    """Step 6.5.1: and e opens."""
    party = world.parties[1]
    (held,) = party.wallets.all()
    destroy_keys(party.acting, held.wallet_id, held.record)
    refreshing.begin()
    with pytest.raises(Tampered):
        refreshing.join(1)
    assert register_of(world, refreshing) == Register(refreshing.replaced.hash)


# PROPOSE and DEAL


def changed(refreshing: Refreshing, change: Callable[[Propose], Propose]) -> None:
    refreshing.propose = refreshing.said(PROPOSE, change(refreshing.proposal()).to_bytes())


def test_what_was_not_joined_is_not_dealt_for(refreshing: Refreshing) -> None:
    refreshing.joined()
    assert rule(lambda: refreshing.deal(3)) == "not-joined"
    changed(refreshing, lambda content: replace(content, ask_digest=b"a" * 32))
    assert rule(lambda: refreshing.deal(1)) == "not-joined"


def test_an_overtaken_attempt_is_not_dealt_for(refreshing: Refreshing) -> None:
    refreshing.joined()
    refreshing.attempts += 1
    refreshing.join(1)
    assert rule(lambda: refreshing.deal(1)) == "attempt-overtaken"


def test_who_is_no_member_deals_nothing(refreshing: Refreshing) -> None:
    refreshing.begin()
    for index in (1, 2, 3):
        refreshing.join(index)
    del refreshing.answers[3]
    changed(refreshing, lambda content: content)
    assert rule(lambda: refreshing.deal(3)) == "no-member"


def test_one_proposal_of_an_attempt_is_answered(refreshing: Refreshing) -> None:
    refreshing.joined()
    refreshing.dealt()
    refreshing.join(3)
    changed(refreshing, lambda content: content)
    assert rule(lambda: refreshing.deal(1)) == "other-proposal"


def test_the_own_newest_confirmation_stands_in_it(world: World, refreshing: Refreshing) -> None:
    """A key that is older would have its dealings sealed to what is destroyed."""
    refreshing.drive(absent=(3,))
    following = refreshing.next()
    following.members = (1, 2, 3)
    following.joined()
    own = following.answers[3][1]
    assert own == following.proposal().dones[2]
    alien = world.parties[3].acting.signed_by_identity(
        parse_envelope(own).kind,
        parse_envelope(own).address,
        parse_envelope(own).payload[:-1] + b"x",
    )
    changed(following, lambda content: replace(content, dones=(*content.dones[:2], alien)))
    assert following.deal(1)
    assert rule(lambda: following.deal(3)) == "old-confirmation"


def test_an_altered_own_join_ends_the_attempt(world: World, refreshing: Refreshing) -> None:
    refreshing.joined()
    original = parse_envelope(refreshing.answers[1][0])
    twin = world.parties[1].acting.signed_by_identity(
        original.kind, original.address, original.payload
    )
    assert twin != refreshing.answers[1][0]
    changed(refreshing, lambda content: replace(content, joins=(twin, content.joins[1])))
    with pytest.raises(ProtocolAbort, match="own join came back altered"):
        refreshing.deal(1)


def test_a_proposal_against_the_rules_is_the_coordinators_fault(refreshing: Refreshing) -> None:
    refreshing.joined()
    changed(refreshing, lambda content: replace(content, joins=content.joins[:1]))
    with pytest.raises(ProtocolAbort) as abort:
        refreshing.deal(1)
    assert abort.value.culprits == ()
    assert "coordinator" in str(abort.value)


# ACK


def test_nothing_is_staged_before_it_was_dealt(refreshing: Refreshing) -> None:
    refreshing.joined()
    refreshing.dealt()
    assert rule(lambda: refreshing.stage(3)) == "not-dealt"


def test_an_overtaken_attempt_is_not_staged(refreshing: Refreshing) -> None:
    refreshing.joined()
    refreshing.dealt()
    refreshing.attempts += 1
    refreshing.join(1)
    assert rule(lambda: refreshing.stage(1)) == "attempt-overtaken"


def test_the_dealings_are_those_of_the_members_each_with_its_channel(
    world: World, refreshing: Refreshing
) -> None:
    refreshing.joined()
    refreshing.dealt()
    deals, channels = refreshing.deals, refreshing.channels
    third = world.parties[3].acting.channel_announcement()
    for wrong_deals, wrong_channels in (
        (deals[:1], channels[:1]),
        (deals, [channels[1], channels[0]]),
        (deals, [channels[0], third]),
        ([deals[0], deals[0]], channels),
    ):
        with pytest.raises((BadEncoding, InvalidSignature)):
            world.parties[1].successions.stage(wrong_deals, wrong_channels)
    with pytest.raises(BadEncoding):
        world.parties[1].successions.stage([], [])


def test_a_bad_dealing_names_its_dealer_and_leaves_evidence(
    world: World, refreshing: Refreshing
) -> None:
    refreshing.joined()
    refreshing.dealt()
    message = parse_envelope(refreshing.deals[1])
    to_first = len(message.payload) - 3 * SEALED_BYTES + 8
    broken = bytearray(message.payload)
    broken[to_first] ^= 1
    lie = world.parties[2].acting.channel_message(message.kind, message.address, bytes(broken))
    with pytest.raises(ProtocolAbort) as abort:
        world.parties[1].successions.stage(
            [refreshing.deals[0], lie.to_bytes()], refreshing.channels
        )
    assert abort.value.culprits == (2,)
    assert world.parties[1].acting.store.evidence.kept()
    assert states(world, 1) == {0: EpochState.ACTIVE}
    assert len(keks(world.parties[1])) == 1


def test_a_dealing_that_names_another_attempt_inside_blames_its_dealer(
    world: World, refreshing: Refreshing
) -> None:
    refreshing.joined()
    refreshing.dealt()
    message = parse_envelope(refreshing.deals[1])
    payload = message.payload[:9] + b"x" + message.payload[10:]
    lie = world.parties[2].acting.channel_message(message.kind, message.address, payload)
    with pytest.raises(ProtocolAbort) as abort:
        world.parties[1].successions.stage(
            [refreshing.deals[0], lie.to_bytes()], refreshing.channels
        )
    assert abort.value.culprits == (2,)


def test_a_dealing_for_another_proposal_names_nobody(world: World, refreshing: Refreshing) -> None:
    """Its coordinator has signed two for one attempt, and shows it beside the wrong one: what the
    dealer has proven is good for the other.
    """
    refreshing.joined()
    refreshing.dealt()
    refreshing.join(3)
    changed(refreshing, lambda content: content)
    deals = [*refreshing.deals, refreshing.deal(3)]
    channels = [*refreshing.channels, world.parties[3].acting.channel_announcement()]
    with pytest.raises(ProtocolAbort, match="holder 1 has dealt for another proposal") as abort:
        world.parties[3].successions.stage(deals, channels)
    assert abort.value.culprits == ()
    assert not world.parties[3].acting.store.evidence.kept()


def test_an_altered_own_dealing_ends_the_attempt(world: World, refreshing: Refreshing) -> None:
    refreshing.joined()
    refreshing.dealt()
    message = parse_envelope(refreshing.deals[0])
    payload = message.payload[:-1] + bytes([message.payload[-1] ^ 1])
    twin = world.parties[1].acting.channel_message(message.kind, message.address, payload)
    with pytest.raises(ProtocolAbort, match="own dealing came back altered") as abort:
        world.parties[1].successions.stage(
            [twin.to_bytes(), refreshing.deals[1]], refreshing.channels
        )
    assert abort.value.culprits == ()


# CERT and DONE


def test_who_has_no_share_wants_the_transcript_and_no_other(
    world: World, refreshing: Refreshing
) -> None:
    """Step 6.4.7."""
    refreshing.made()
    with pytest.raises(NotReady, match="transcript"):
        refreshing.adopt(3)
    propose, *pairs = unbundled(refreshing.transcript)
    for wrong in (
        bundle([propose, *pairs[:-1]]),
        bundle([propose, *pairs[2:], *pairs[:2]]),
        bundle([pairs[1], *pairs]),
    ):
        with pytest.raises((BadEncoding, InvalidSignature)):
            refreshing.adopt(3, wrong)
    assert states(world, 3) == {0: EpochState.ACTIVE}
    refreshing.adopt(3, refreshing.transcript)


def test_dealings_that_the_certificate_does_not_name_make_no_share(
    world: World, refreshing: Refreshing
) -> None:
    """Rightly signed by the same dealer in the same attempt: only the certificate tells."""
    refreshing.made()
    propose, *pairs = unbundled(refreshing.transcript)
    message = parse_envelope(pairs[3])
    other = message.payload[:-1] + bytes([message.payload[-1] ^ 1])
    twin = world.parties[2].acting.channel_message(message.kind, message.address, other)
    with pytest.raises(BadEncoding, match="not those of the certificate"):
        refreshing.adopt(3, bundle([propose, *pairs[:3], twin.to_bytes()]))


def test_an_attempt_for_another_successor_adopts_nothing(refreshing: Refreshing) -> None:
    refreshing.made()
    first = refreshing.certificate
    refreshing.joined()
    assert refreshing.certificate is first
    assert rule(lambda: refreshing.adopt(1)) == "other-successor"


def test_what_was_adopted_is_carried_on_by_the_next_attempt(
    world: World, refreshing: Refreshing
) -> None:
    """Step 6.5.2: the certificate comes from whoever has adopted it."""
    refreshing.made()
    refreshing.adopt(1)
    successor, transcript = refreshing.successor, refreshing.transcript
    refreshing.certificate = None
    refreshing.joined()
    assert refreshing.proposal().successor == successor.hash
    assert rule(lambda: refreshing.deal(1)) == "carried-on"
    refreshing.certificate = None
    refreshing.drive(absent=(3,))
    assert refreshing.successor == successor
    assert refreshing.transcript == transcript
    assert states(world, 3) == {1: EpochState.ACTIVE}


def carried_on(refreshing: Refreshing) -> Refreshing:
    """Adopted by 1 and 2 in an attempt that carries it on, and in one more: both proofs are one
    PROPOSE longer each time.
    """
    refreshing.made()
    refreshing.adopt(1)
    for _ in range(2):
        refreshing.joined()
        refreshing.carry_on()
        for index in (1, 2):
            refreshing.adopt(index)
    return refreshing


def proofs(world: World, refreshing: Refreshing) -> list[int]:
    """Of each attempt that holder 1 keeps: how many PROPOSEs lead to its adoption there."""
    attempts = world.parties[1].acting.attempts(refreshing.replaced.terms.wallet_id)
    kept = [attempts.kept(alpha, AttemptDocument.CARRIED) for alpha in attempts.all()]
    return [0 if proof is None else len(unbundled(proof)) for proof in kept]


def test_of_all_adoptions_only_the_last_is_proven_on_the_disk(
    world: World, refreshing: Refreshing
) -> None:
    """Step 6.5.11: each proof has all those before in it; the last is what JOIN tells of."""
    last = carried_on(refreshing)
    assert proofs(world, refreshing) == [0, 0, 2]
    world.restarted(1)
    last.joined()
    last.carry_on()
    assert len(unbundled(last.history)) == 2
    dones = [last.adopt(index, last.transcript) for index in (1, 2, 3)]
    assert proofs(world, refreshing) == [0, 0, 0, 3]
    last.retirement = Retirement(tuple(dones)).to_bytes()
    for index in (1, 2, 3):
        last.retire(index)
        assert states(world, index) == {1: EpochState.ACTIVE}


def test_a_death_before_an_older_proof_is_gone_costs_nothing(
    world: World, refreshing: Refreshing
) -> None:
    def dying(when: str, name: str) -> None:
        if (when, name) == ("before", "attempt-carried.unlink"):
            raise DeathError(name)

    last = carried_on(refreshing)
    last.joined()
    last.carry_on()
    with observed(dying), pytest.raises(DeathError):
        last.adopt(1)
    world.restarted(1)
    assert proofs(world, refreshing) == [0, 0, 2, 3]
    assert parse_envelope(last.adopt(1)).kind is ADOPTION
    last.joined()
    last.carry_on()
    last.adopt(1)
    assert proofs(world, refreshing) == [0, 0, 0, 0, 4]
    last.certificate = None
    last.drive(absent=(3,))


def test_who_has_adopted_what_is_carried_on_too_often_joins_no_more_and_its_vote_counts(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.5.11: else it would adopt in no attempt, and no confirmation would count."""
    last = carried_on(refreshing)
    proof = len(bundle([last.propose, *unbundled(last.history)]))
    last.begin()
    monkeypatch.setattr(names, "DOCUMENT_CAP", proof * 4 // 3 - 1)
    with pytest.raises(Refused, match=f"their proof has {proof} bytes") as caught:
        last.join(1)
    assert caught.value.rule == "too-many-attempts"
    vote = register_of(world, refreshing).adopted
    assert vote is not None
    assert register_of(world, refreshing).promised == vote.attempt
    last.attempts -= 1
    dones = [last.adopt(index, last.transcript) for index in (1, 2, 3)]
    last.retirement = Retirement(tuple(dones)).to_bytes()
    last.retire(1)
    assert states(world, 1) == {1: EpochState.ACTIVE}


def test_the_longer_its_proof_the_more_seldom_it_joins(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.5.11: with many holders few attempts make a long one."""
    last = carried_on(refreshing)
    proof = len(bundle([last.propose, *unbundled(last.history)]))
    for shares, pause in ((1, PAUSE), (2, 2 * PAUSE), (11, PAUSE << 10)):
        monkeypatch.setattr(names, "DOCUMENT_CAP", PROOF_SHARES * proof // shares)
        last.begin()
        world.later[0] += pause - 1
        assert rule(lambda: last.join(1)) == "too-many-attempts"
        world.later[0] += 1
        assert last.join(1)[3] == bundle([last.propose, *unbundled(last.history)])


def test_a_proof_that_is_too_long_to_be_kept_is_refused_before_anything_is_written(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a chain that others have lengthened: this holder could neither keep nor show it."""
    last = carried_on(refreshing)
    proof = len(bundle([last.propose, *unbundled(last.history)]))
    monkeypatch.setattr(names, "DOCUMENT_CAP", proof - 1)
    before = register_of(world, refreshing, 3)
    with changes_seen() as changes, pytest.raises(Refused, match="carried on by 2 at") as caught:
        last.adopt(3, last.transcript)
    assert caught.value.rule == "too-many-attempts"
    assert (changes, register_of(world, refreshing, 3)) == ([], before)
    monkeypatch.setattr(names, "DOCUMENT_CAP", proof)
    last.adopt(3, last.transcript)


def test_a_higher_promise_adopts_nothing_below(refreshing: Refreshing) -> None:
    refreshing.made()
    refreshing.attempts += 1
    refreshing.join(1)
    refreshing.attempts -= 1
    assert rule(lambda: refreshing.adopt(1)) == "attempt-overtaken"
    refreshing.adopt(2)


def test_a_certificate_is_verified(world: World, refreshing: Refreshing) -> None:
    refreshing.made()
    assert refreshing.certificate is not None
    forged = replace(
        refreshing.certificate,
        acknowledgements=tuple(reversed(refreshing.certificate.acknowledgements)),
    )
    refreshing.certificate = forged
    with pytest.raises(Tampered):
        refreshing.adopt(1)
    assert states(world, 1)[1] is EpochState.ACKED


# RETIRE and DESTROYED


def adopted_by_all(refreshing: Refreshing) -> None:
    refreshing.made()
    dones = [refreshing.adopt(index, refreshing.transcript) for index in (1, 2, 3)]
    refreshing.retirement = Retirement(tuple(dones)).to_bytes()


def test_too_few_adoptions_destroy_nothing(world: World, refreshing: Refreshing) -> None:
    """W = 3 of a 2-of-3 wallet."""
    adopted_by_all(refreshing)
    dones = Retirement.from_bytes(refreshing.retirement).dones
    refreshing.retirement = Retirement(dones[:2]).to_bytes()
    with pytest.raises(ProtocolAbort) as abort:
        refreshing.retire(1)
    assert abort.value.culprits == ()
    assert states(world, 1) == {0: EpochState.ACTIVE, 1: EpochState.ADOPTED}


def test_what_nobody_has_signed_names_nobody(world: World, refreshing: Refreshing) -> None:
    """The relay can write any holder's index above a RETIRE that does not parse."""
    adopted_by_all(refreshing)
    garbage = parse_envelope(refreshing.said(RETIRE, b"garbage"))
    address = replace(garbage.address, sender=2)
    forged = seal_envelope(RETIRE, address, garbage.payload, Key.CHANNEL, lambda *_: bytes(64))
    with pytest.raises(ProtocolAbort, match="a retirement that is none") as abort:
        refreshing.successions(1).retire(forged.to_bytes(), b"", b"")
    assert abort.value.culprits == ()


def test_a_share_of_the_successor_that_does_not_open_keeps_the_old_one(
    world: World, refreshing: Refreshing
) -> None:
    """Step 6.5.7: never the old key before the new share opens."""
    adopted_by_all(refreshing)
    party = world.parties[1]
    new = next(each for each in party.wallets.all() if each.body.epoch == 1)
    destroy_keys(party.acting, new.wallet_id, new.record)
    with pytest.raises(Tampered):
        refreshing.retire(1)
    assert states(world, 1)[0] is EpochState.ACTIVE
    assert party.wallets.signing(new.wallet_id, refreshing.replaced.hash)


@pytest.mark.parametrize("lost", ["blob", "key"])
def test_a_share_of_the_successor_that_was_lost_is_made_again_while_the_old_one_opens(
    world: World, refreshing: Refreshing, lost: str
) -> None:
    """Step 6.6.1; and what it says of it next is of the share that it has."""
    adopted_by_all(refreshing)
    party = world.parties[1]
    new = next(each for each in party.wallets.all() if each.body.epoch == 1)
    if lost == "key":
        destroy_keys(party.acting, new.wallet_id, new.record)
    else:
        party.acting.epochs(new.wallet_id).blob_path(new.body.hash).write_bytes(b"lost")
    for index in (2, 3):
        refreshing.retire(index)
    with pytest.raises(Tampered):
        refreshing.retire(1)
    refreshing.retire(1, refreshing.transcript)
    assert states(world, 1) == {1: EpochState.ACTIVE}
    assert len(keks(party)) == 1
    following = refreshing.next()
    following.members = (1, 2, 3)
    following.drive()
    assert states(world, 1) == {2: EpochState.ACTIVE}


def test_a_lost_share_is_made_again_under_the_kind_of_key_that_the_token_makes_by_now(
    world: World, refreshing: Refreshing
) -> None:
    """Another profile, or another version of the module, may have changed it since."""
    adopted_by_all(refreshing)
    party = world.parties[1]
    new = next(each for each in party.wallets.all() if each.body.epoch == 1)
    destroy_keys(party.acting, new.wallet_id, new.record)
    object.__setattr__(party.acting, "wrapping", Wrapping.RSA_OAEP_SHA1)
    for index in (2, 3):
        refreshing.retire(index)
    refreshing.retire(1, refreshing.transcript)
    assert states(world, 1) == {1: EpochState.ACTIVE}
    with opened_share(party.acting, new.body):
        pass


def test_who_was_cut_off_retires_all_the_same_and_says_nothing_below_its_promise(
    world: World, refreshing: Refreshing
) -> None:
    """Holder 1 acknowledged and then joined a higher attempt: no vote, but the epoch is decided."""
    sizes = refreshing.replaced.terms.sizes
    assert sizes.adopt == 3
    adopted_by_all(refreshing)
    old = refreshing.attempt
    refreshing.attempts += 1
    refreshing.join(1)
    refreshing.attempts -= 1
    for index in (1, 2, 3):
        refreshing.retire(index)
    assert states(world, 1) == {1: EpochState.ACTIVE}
    following = refreshing.next()
    following.attempts = refreshing.attempts + 1
    following.members = (1, 2, 3)
    following.drive()
    assert old < following.attempt
    assert states(world, 1) == {2: EpochState.ACTIVE}


def test_who_never_voted_confirms_in_the_attempt_that_it_promised_last(
    world: World, refreshing: Refreshing
) -> None:
    """Step 6.5.1: it says no DONE below its own JOIN."""
    refreshing.made()
    refreshing.attempts += 1
    refreshing.join(3)
    higher = refreshing.attempt
    refreshing.attempts -= 1
    dones = [refreshing.adopt(index) for index in (1, 2)]
    third = world.parties[3].acting.signed_by_identity(
        parse_envelope(dones[0]).kind,
        replace(parse_envelope(dones[0]).address, sender=3),
        parse_envelope(dones[0]).payload,
    )
    refreshing.retirement = Retirement((*dones, third)).to_bytes()
    with pytest.raises(NotReady):
        refreshing.retire(3)
    refreshing.retire(3, refreshing.transcript)
    following = refreshing.next()
    following.attempts = 5
    following.begin()
    own = parse_envelope(following.join(3)[1])
    assert Done.from_bytes(own.payload, refreshing.replaced.terms.group).attempt == higher


def test_every_successor_that_was_overtaken_goes_too(world: World, refreshing: Refreshing) -> None:
    """Two attempts were acknowledged, the second was adopted: nothing of the first is left."""
    refreshing.made()
    refreshing.certificate = None
    refreshing.drive(absent=(3,))
    for index in (1, 2, 3):
        party = world.parties[index]
        assert len(keks(party)) == 1
        assert party.acting.attempts(refreshing.replaced.terms.wallet_id).all() == ()
        assert len(party.acting.epochs(refreshing.replaced.terms.wallet_id).hashes()) == 2


def test_a_key_that_a_restored_disk_has_forgotten_goes_with_the_epoch(
    world: World, refreshing: Refreshing
) -> None:
    """Step 6.5.7: an old copy of the disk has the blob of a failed attempt."""
    refreshing.made()
    folder = world.parties[1].acting.store._folder
    shutil.rmtree(next(folder.rglob(f"epochs/{refreshing.successor.hash.hex()}")))
    world.restarted(1)
    refreshing.certificate = None
    refreshing.drive(absent=(3,))
    assert states(world, 1) == {1: EpochState.ACTIVE}
    assert len(keks(world.parties[1])) == 1


@pytest.mark.parametrize("half", ["share", "delivery"])
def test_a_successor_that_opens_to_something_else_is_never_acked(
    refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    """Step 6.4.6."""
    refreshing.joined()
    refreshing.dealt()
    differs = iter([half != "share", half != "delivery"])
    monkeypatch.setattr(sodium, "equal", lambda *_: next(differs))
    with pytest.raises(Tampered, match="opens to something else"):
        refreshing.stage(1)


def test_old_copies_of_everything_on_disk_are_noise(world: World, refreshing: Refreshing) -> None:
    party = world.parties[1]
    copy = opener(party, refreshing.replaced)
    with party.acting.arena.scope() as take:
        copy.open_into(take(64))
    refreshing.drive(absent=(3,))
    require_closed(party, copy)


def test_a_damaged_attempt_of_one_wallet_keeps_no_signer_from_starting(
    world: World, refreshing: Refreshing
) -> None:
    """It is an alarm, and the wallet is not refreshed; everything else goes on."""
    refreshing.joined()
    kept = next(world.parties[1].acting.store._folder.rglob("attempts/*/ask"))
    kept.write_bytes(b"damaged")
    world.restarted(1)
    with pytest.raises(Tampered, match="attempt"):
        refreshing.deal(1)
    wallet_id, h = refreshing.replaced.terms.wallet_id, refreshing.replaced.hash
    assert world.parties[1].wallets.signing(wallet_id, h)


def test_a_successor_that_a_crash_left_half_sealed_goes_at_the_next_start(
    world: World, refreshing: Refreshing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.6.1: the record names the key; without a blob both go."""
    refreshing.joined()
    refreshing.dealt()

    def disk_full(*_: object) -> None:
        raise BackendError("no space left")

    with monkeypatch.context() as broken:
        broken.setattr(successor_share, "blob_of", disk_full)
        with pytest.raises(BackendError):
            refreshing.stage(1)
    assert len(keks(world.parties[1])) == 2
    world.restarted(1)
    assert len(keks(world.parties[1])) == 1
    assert states(world, 1) == {0: EpochState.ACTIVE}
    refreshing.drive(absent=(3,))
    assert states(world, 1) == {1: EpochState.ACTIVE}
