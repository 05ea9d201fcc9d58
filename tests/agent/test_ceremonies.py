"""Who may begin a key generation, and what those leave that end early (2.6.2, 2.6.8, 6.6.1)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from hsm_mpc.agent.ceremonies import MOST_UNDER_WAY
from hsm_mpc.agent.keygen_files import KeygenFiles
from hsm_mpc.agent.reservations import ROUND_SECONDS
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    HsmMpcError,
    InvalidSignature,
    NameTaken,
    Refused,
    Tampered,
)
from hsm_mpc.hsm import keys, objects
from hsm_mpc.hsm.cryptoki import DATA_OBJECT, Attribute
from hsm_mpc.hsm.register import Register
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.store.proposals import SessionDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.wire.rounds import PROPOSAL, REQUEST, MessageKind
from tests.agent.faults import failing_at, steps_of
from tests.agent.making import Making, events, is_empty, keks, lied, lines, states
from tests.agent.simulate import LAB_POLICY, NOTHING, Party, World, Worlds, made_wallet
from tests.hsm.test_register import stored
from tests.named_steps import observed
from tests.software_identity import ed25519_key

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def making(world: World) -> Making:
    return Making.of(world)


@pytest.fixture
def pair(worlds: Worlds) -> World:
    """Two holders: less work for a test that does all of it many times."""
    return worlds(2)


@pytest.fixture
def party(world: World) -> Party:
    return world.parties[1]


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.rule


# PROPOSAL


def test_a_proposal_of_an_unknown_coordinator_is_refused(making: Making, party: Party) -> None:
    making.world.coordinator = ed25519_key(b"9" * 32)
    with pytest.raises(InvalidSignature):
        making.greet(1)
    assert is_empty(party)


@pytest.mark.parametrize(
    "changes",
    [{"session": b"s" * 32}, {"h": b"h" * 32}, {"wallet_id": WalletId(b"another wallet..")}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_proposal_names_its_own_wallet_and_no_session(
    making: Making, party: Party, changes: dict[str, bytes]
) -> None:
    """Step 1.7.3: PROPOSAL: wallet new."""
    said = {"wallet_id": making.wallet_id, "session": NOTHING, "h": NOTHING, **changes}
    message = making.world.said(
        PROPOSAL,
        WalletId(said["wallet_id"]),
        said["session"],
        said["h"],
        making.proposal.to_bytes(),
    )
    with pytest.raises(BadEncoding):
        party.ceremonies.propose(message, LAB_POLICY)
    assert is_empty(party)


@pytest.mark.parametrize("kind", [REQUEST])
def test_another_message_is_no_proposal(making: Making, party: Party, kind: MessageKind) -> None:
    payload = making.proposal.to_bytes()
    message = making.world.said(kind, making.wallet_id, NOTHING, NOTHING, payload)
    with pytest.raises(BadEncoding, match="a REQUEST where a PROPOSAL"):
        party.ceremonies.propose(message, LAB_POLICY)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_version_out_of_range_is_refused(making: Making, party: Party, version: int) -> None:
    """Step 1.7.10."""
    payload = bytes([version]) + making.proposal.to_bytes()[1:]
    message = making.world.said(PROPOSAL, making.wallet_id, NOTHING, NOTHING, payload)
    assert refused(lambda: party.ceremonies.propose(message, LAB_POLICY)) == "protocol-version"
    assert is_empty(party)


def test_a_garbled_proposal_is_refused(making: Making, party: Party) -> None:
    payload = making.proposal.to_bytes()
    for garbled in (payload[:-1], payload + b"\0", payload[:1], b"\1" + bytes(100)):
        message = making.world.said(PROPOSAL, making.wallet_id, NOTHING, NOTHING, garbled)
        with pytest.raises(BadEncoding):
            party.ceremonies.propose(message, LAB_POLICY)


def test_what_is_not_admitted_leaves_nothing(making: Making, party: Party) -> None:
    making.proposal = replace(making.proposal, deadline=making.world.clock() - 1)
    assert refused(lambda: making.greet(1)) == "deadline"
    assert is_empty(party)
    assert events(party) == []


def test_a_repeated_proposal_makes_no_second_key(making: Making, party: Party) -> None:
    assert making.greet(1) == making.greet(1)
    assert len(keks(party)) == 1
    assert events(party) == ["keygen-begun"]


# Names


def test_taken_name_is_refused(world: World) -> None:
    """Step 1.6.5: however far the wallet came that has it."""
    first = Making.of(world)

    def taken(how: str) -> None:
        with pytest.raises(NameTaken, match=f"'treasury' {how}"):
            Making.of(world).greet(1)

    first.greeted()
    taken("is being made; unless that goes on, the name is free again after 30 s")
    first.dealings = [first.deal(index) for index in (1, 2, 3)]
    taken("is being made")
    first.confirmations = [first.confirm(index) for index in (1, 2, 3)]
    waits = "waits for its certificate: hsm-mpc wallet show treasury finishes it"
    taken(waits)
    world.restarted(1)
    taken(waits)
    first.dones = [first.certify(index) for index in (1, 2, 3)]
    taken("is there already")
    first.activate(1)
    taken("is there already")
    assert Making.of(world, "other").greet(1)


def test_one_name_twice_at_once(world: World, party: Party) -> None:
    """Steps 1.6.5 and 2.6.8: checked and reserved under one lock."""
    rivals = [Making.of(world) for _ in range(6)]
    barrier = threading.Barrier(len(rivals))
    greeted: list[bytes] = []
    taken: list[NameTaken] = []

    def greet(making: Making) -> None:
        barrier.wait()
        try:
            greeted.append(making.greet(1))
        except NameTaken as error:
            taken.append(error)

    threads = [
        threading.Thread(target=run_shielded, args=(lambda each=each: greet(each),))
        for each in rivals
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(greeted), len(taken)) == (1, 5)
    assert len(keks(party)) == len(party.acting.store.proposals.hashes()) == 1


def test_a_name_is_free_again_when_its_session_has_ended(world: World, party: Party) -> None:
    Making.of(world).greet(1)
    world.later[0] += ROUND_SECONDS
    assert Making.of(world).greet(1)


def test_one_nonce_with_other_content_is_refused(making: Making) -> None:
    """Step 2.6.1: a wallet_id is of one PROPOSAL."""
    making.greet(1)
    making.proposal = replace(making.proposal, deadline=making.proposal.deadline + 1)
    with pytest.raises(NameTaken):
        making.greet(1)


def test_too_many_at_once_are_refused(world: World, party: Party) -> None:
    making = [Making.of(world, f"w{number}") for number in range(MOST_UNDER_WAY + 1)]
    for each in making[:-1]:
        each.greet(1)
    assert refused(lambda: making[-1].greet(1)) == "too-many-ceremonies"
    assert len(keks(party)) == MOST_UNDER_WAY
    making[0].world.later[0] += ROUND_SECONDS
    assert making[-1].greet(1)


def test_what_waits_for_its_certificate_is_not_counted(world: World) -> None:
    for number in range(MOST_UNDER_WAY):
        Making.of(world, f"w{number}").confirmed()
    assert Making.of(world, "another").greet(1)


# The end of a session


@pytest.mark.parametrize("round_", ["greeted", "dealt"])
def test_a_session_that_ran_out_of_time_leaves_nothing(
    making: Making, party: Party, round_: str
) -> None:
    """Steps 1.6.7 and 2.6.2: no_kek_left_after_an_aborted_session."""
    free = making.world.free_bytes()
    getattr(making, round_)()
    making.world.later[0] += ROUND_SECONDS - 1
    party.ceremonies.expire()
    assert len(keks(party)) == 1
    making.world.later[0] += 2
    for each in making.world.parties.values():
        each.ceremonies.expire()
        assert is_empty(each)
    assert making.world.free_bytes() == free
    assert lines(party)[-1]["reason"] == "out of time"
    assert refused(lambda: making.greet(1)) == "session-over"


def test_every_round_has_its_own_time(making: Making) -> None:
    making.greeted()
    making.world.later[0] += ROUND_SECONDS - 1
    making.dealings = [making.deal(index) for index in (1, 2, 3)]
    making.world.later[0] += ROUND_SECONDS - 1
    making.world.parties[1].ceremonies.expire()
    assert making.confirm(1)


def test_a_session_ends_at_its_deadline(making: Making, party: Party) -> None:
    making.greeted()
    making.world.now[0] = making.proposal.deadline + 1
    party.ceremonies.expire()
    assert is_empty(party)


def test_what_is_sealed_stays_beyond_every_deadline(making: Making, party: Party) -> None:
    """Step 2.6.8: PREPARED stays until its operator removes it."""
    making.confirmed()
    making.world.now[0] = making.proposal.deadline + 1
    making.world.later[0] += 10 * ROUND_SECONDS
    party.ceremonies.expire()
    assert states(party) == [EpochState.PREPARED]
    making.dones = [making.certify(index) for index in (1, 2, 3)]
    making.activate(1)
    assert states(party) == [EpochState.ACTIVE]


def test_a_nonce_is_refused_until_its_deadline_refuses_it(making: Making, party: Party) -> None:
    """Step 2.6.1: final for this nonce; a second HELLO would be equivocation of our own."""
    making.greet(1)
    making.world.later[0] += ROUND_SECONDS
    party.ceremonies.expire()
    ended = party.acting.store.ended
    for later, known in ((0, True), (1, False)):
        making.world.now[0] = making.proposal.deadline + 24 * 3600 + later
        Making.of(making.world, "another").greet(1)  # what ends later sweeps behind it
        making.world.later[0] += ROUND_SECONDS
        party.ceremonies.expire()
        assert ended.has(making.wallet_id) == known
        assert refused(lambda: making.greet(1)) == ("session-over" if known else "deadline")


def test_the_largest_deadline_is_remembered_too(making: Making, party: Party) -> None:
    making.proposal = replace(making.proposal, deadline=2**64 - 1)
    making.greet(1)
    making.world.later[0] += ROUND_SECONDS
    party.ceremonies.expire()
    assert refused(lambda: making.greet(1)) == "session-over"


def test_a_round_of_no_session_is_refused(making: Making, world: World) -> None:
    making.greeted()
    world.restarted(1)
    assert refused(lambda: making.deal(1)) == "no-session"
    for round_ in (
        world.parties[1].ceremonies.take_hellos,
        lambda messages: world.parties[1].ceremonies.take_dealings(messages, []),
    ):
        with pytest.raises(BadEncoding, match="without messages"):
            round_([])
        with pytest.raises(BadEncoding):
            round_([b"garbage"])


# A failure at every durable step, whatever it is


def fails_everywhere(
    making_of: Callable[[str], Making],
    prepare: Callable[[Making], object],
    work: Callable[[Making], object],
    check: Callable[[Making], None],
) -> None:
    """Each step fails in turn, and all after it; then disk and token are well again."""
    model = making_of("model")
    prepare(model)
    for number, name in enumerate(steps_of(lambda: work(model))):
        making = making_of(f"w{number}")
        prepare(making)
        free = making.world.free_bytes()
        with failing_at(number), pytest.raises(BackendError, match="no "):
            work(making)
        making.world.parties[1].ceremonies.expire()
        assert making.world.free_bytes() >= free, name
        check(making)
        making.world.later[0] += ROUND_SECONDS  # the other holders give up
        for party in making.world.parties.values():
            party.ceremonies.expire()


def left_nothing(making: Making) -> None:
    """No key, no register, no share; the name is free, the nonce is not."""
    party = making.world.parties[1]
    key_id = KeygenFiles(party.acting, making.proposal).key_id
    assert key_id not in keks(party)
    assert party.acting.registers.read(making.wallet_id) is None
    assert party.wallets.of(making.wallet_id) == ()
    assert making.wallet_id not in party.acting.store.wallet_ids()
    assert making.proposal.hash not in party.acting.store.proposals.hashes()
    assert refused(lambda: making.greet(1)) == "session-over"
    again = Making.of(making.world, making.proposal.name)
    assert again.greet(1)
    making.world.later[0] += ROUND_SECONDS
    party.ceremonies.expire()


@pytest.mark.long
def test_a_beginning_that_fails_at_any_step_leaves_nothing(pair: World) -> None:
    fails_everywhere(
        lambda name: Making.of(pair, name),
        lambda making: None,
        lambda making: making.greet(1),
        left_nothing,
    )


@pytest.mark.long
def test_a_dealing_that_fails_at_any_step_leaves_nothing(pair: World) -> None:
    fails_everywhere(
        lambda name: Making.of(pair, name),
        Making.greeted,
        lambda making: making.deal(1),
        left_nothing,
    )


@pytest.mark.long
def test_a_sealing_that_fails_at_any_step_leaves_nothing_or_what_is_prepared(pair: World) -> None:
    """Step 2.6.8: from PREPARED on nothing goes by itself, and nothing was signed."""

    def check(making: Making) -> None:
        party = making.world.parties[1]
        if not party.wallets.of(making.wallet_id):
            left_nothing(making)
            return
        assert [held.record.state for held in party.wallets.of(making.wallet_id)] == [
            EpochState.PREPARED
        ]
        answer = party.acting.store.proposals.kept(making.proposal.hash, SessionDocument.ROUND3)
        if answer is None:
            assert refused(lambda: making.confirm(1)) == "session-over"
        else:
            assert making.confirm(1) == answer
        party.ceremonies.discard(making.wallet_id)
        left_nothing(making)

    fails_everywhere(
        lambda name: Making.of(pair, name), Making.dealt, lambda making: making.confirm(1), check
    )


def test_what_cannot_be_cleaned_up_is_tried_again(making: Making, party: Party) -> None:
    making.greeted()
    making.world.later[0] += ROUND_SECONDS
    for number in range(4):
        with failing_at(number), pytest.raises(BackendError):
            party.ceremonies.expire()
    party.ceremonies.expire()
    assert is_empty(party)


def test_a_session_that_somebody_works_on_does_not_expire(making: Making, party: Party) -> None:
    making.greeted()
    making.world.later[0] += ROUND_SECONDS
    with party.ceremonies._reserved.alone_with(making.wallet_id):
        party.ceremonies.expire()
        assert len(keks(party)) == 1
    party.ceremonies.expire()
    assert is_empty(party)


# Restarts


@pytest.mark.parametrize("round_", ["greeted", "dealt"])
def test_a_restart_ends_what_is_not_sealed(making: Making, world: World, round_: str) -> None:
    """Step 2.6.2: d_i is gone, so KEK_0 goes; and HELLO is never signed anew (step 1.7.4)."""
    getattr(making, round_)()
    world.restarted(1)
    assert is_empty(world.parties[1])
    assert lines(world.parties[1])[-1]["reason"] == "restart"
    assert refused(lambda: making.greet(1)) == "session-over"
    assert refused(lambda: making.deal(1)) == "no-session"
    world.later[0] += ROUND_SECONDS
    assert made_wallet(world).body.terms.name == making.proposal.name


def test_a_restart_repeats_what_was_sent(making: Making, world: World) -> None:
    """Step 1.7.4: after a restart these bytes are repeated, never signed anew."""
    making.confirmed()
    world.restarted(1)
    assert making.greet(1) == making.hellos[0]
    assert making.deal(1) == making.dealings[0]
    assert making.confirm(1) == making.confirmations[0]
    making.dones = [making.certify(index) for index in (1, 2, 3)]
    world.restarted(1)
    assert making.certify(1) == making.dones[0]
    for index in (1, 2, 3):
        making.activate(index)
    world.restarted(1)
    making.activate(1)
    assert states(world.parties[1]) == [EpochState.ACTIVE]


def test_a_restart_forgets_what_a_certificate_made_needless(
    making: Making, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 2.6.10, after a crash between the two."""
    making.confirmed()
    with monkeypatch.context() as crash:
        crash.setattr(KeygenFiles, "forget", lambda _: None)
        making.certify(1)
    assert world.parties[1].acting.store.proposals.hashes() == (making.proposal.hash,)
    world.restarted(1)
    assert world.parties[1].acting.store.proposals.hashes() == ()
    assert states(world.parties[1]) == [EpochState.CERTIFIED]


def test_a_restart_repeats_to_the_same_messages_only(making: Making, world: World) -> None:
    """Step 1.7.4: other ones are equivocation, though memory was lost between them."""
    making.confirmed()
    world.restarted(1)
    lied(making, 2, nonce=bytes(32))
    with pytest.raises(HsmMpcError, match="two different messages HELLO"):
        making.deal(1)
    assert states(world.parties[1]) == [EpochState.PREPARED]


def test_a_restart_says_what_only_the_hsm_knows(world: World, party: Party) -> None:
    """Step 6.6.1: the HSM wins, and nothing is destroyed."""
    lost, damaged = WalletId(b"a lost wallet..."), WalletId(b"a damaged wallet")
    party.acting.registers.write(lost, Register(EpochHash(b"h" * 32)))
    party.acting.registers.write(damaged, Register(EpochHash(b"d" * 32)))
    _tear(party, damaged)
    world.restarted(1)
    alarms = {str(line["wallet_id"]): line for line in lines(world.parties[1])}
    assert "no share" in str(alarms[lost.hex()]["reason"])
    assert "damaged" in str(alarms[damaged.hex()]["reason"])
    assert {line["event"] for line in alarms.values()} == {"alarm"}
    assert world.parties[1].acting.registers.wallet_ids() == tuple(sorted((lost, damaged)))


def _tear(party: Party, wallet_id: WalletId) -> None:
    label = f"hsm-mpc/register/{wallet_id.hex()}".encode()
    kind = {Attribute.CLASS: objects.number(DATA_OBJECT), Attribute.LABEL: label}
    for handle in objects.matching(party.acting.token, kind):
        objects.destroy(party.acting.token, handle, "register")
    stored(party.acting.token, b"torn", wallet_id)


# share discard


def test_discard_removes_what_a_creation_left(making: Making, party: Party) -> None:
    """Step 2.6.8: KEK_0, register, share; and the name is free."""
    making.confirmed()
    party.ceremonies.discard(making.wallet_id)
    assert is_empty(party)
    assert events(party)[-1] == "keygen-discarded"
    assert refused(lambda: making.greet(1)) == "session-over"
    assert refused(lambda: making.certify(1)) == "unknown-wallet"
    assert Making.of(making.world).greet(1)


def test_discard_after_a_restart(making: Making, world: World) -> None:
    making.confirmed()
    world.restarted(1)
    world.parties[1].ceremonies.discard(making.wallet_id)
    assert is_empty(world.parties[1])


@pytest.mark.parametrize("stage", ["done", "active"])
def test_a_certified_share_is_not_discarded(making: Making, party: Party, stage: str) -> None:
    getattr(making, stage)()
    assert refused(lambda: party.ceremonies.discard(making.wallet_id)) == "not-prepared"
    assert len(keks(party)) == 1


def test_nothing_is_discarded_of_a_wallet_that_is_not_there(making: Making, party: Party) -> None:
    assert refused(lambda: party.ceremonies.discard(making.wallet_id)) == "unknown-wallet"
    making.greeted()
    assert refused(lambda: party.ceremonies.discard(making.wallet_id)) == "unknown-wallet"
    assert making.deal(1)


def test_a_discard_that_fails_at_any_step_ends_at_the_next_start(pair: World) -> None:
    """Step 6.6.1: whether its key was destroyed says whether it was under way."""
    count = 0
    while True:
        making = Making.of(pair, f"w{count}").confirmed()
        party = pair.parties[1]
        try:
            with failing_at(count):
                party.ceremonies.discard(making.wallet_id)
        except BackendError:
            had_key = KeygenFiles(party.acting, making.proposal).key_id in keks(party)
            pair.restarted(1)
            party = pair.parties[1]
            if had_key:
                assert states(party) == [EpochState.PREPARED]
                party.ceremonies.discard(making.wallet_id)
        else:
            break
        assert is_empty(party)
        pair.parties[2].ceremonies.discard(making.wallet_id)
        count += 1
    assert count > 5


def test_what_another_token_holds_is_not_discarded(making: Making, world: World) -> None:
    """Its key would stay: and a token that was swapped is no reason to throw a share away."""
    making.confirmed()
    (held,), (theirs,) = (world.parties[index].wallets.all() for index in (1, 2))
    epochs = world.parties[1].acting.epochs(making.wallet_id)
    epochs.change(replace(held.record, kek_uri=theirs.record.kek_uri))
    with pytest.raises(Tampered, match="another token"):
        world.parties[1].ceremonies.discard(making.wallet_id)
    with pytest.raises(Tampered, match="another token"):
        world.restarted(1)
    assert states(world.parties[1]) == [EpochState.PREPARED]


def test_a_share_is_not_certified_while_it_is_being_discarded(making: Making, party: Party) -> None:
    """Two threads: DONE never tells of a share whose key is gone."""
    making.confirmed()
    certificate = making.certified()
    outcome: list[object] = []

    def certify() -> None:
        try:
            outcome.append(party.ceremonies.certify(certificate))
        except HsmMpcError as error:
            outcome.append(error)

    thread = threading.Thread(target=run_shielded, args=(certify,))

    def begin_between(when: str, name: str) -> None:
        if when == "after" and name == "key.destroy" and not thread.is_alive():
            thread.start()
            thread.join(0.2)

    with observed(begin_between):
        party.ceremonies.discard(making.wallet_id)
    thread.join()
    assert isinstance(outcome[0], Refused)
    assert is_empty(party)


# What a damaged store does


def test_a_name_behind_a_damaged_body_is_not_given_away(making: Making, world: World) -> None:
    making.active()
    store = world.parties[1].acting.store._folder
    (body,) = store.glob("wallets/*/epochs/*/body")
    body.unlink()
    with pytest.raises(Tampered):
        world.restarted(1)


def test_a_key_that_is_there_already_is_not_used(making: Making, party: Party) -> None:
    files = KeygenFiles(party.acting, making.proposal)
    keys.generate_wrapping_key(
        party.acting.token, files.key_id, keys.wrapping_label(making.wallet_id)
    )
    with pytest.raises(HsmMpcError, match="there already"):
        making.greet(1)
    assert is_empty(party)


def test_a_proposal_reads_back_from_disk(making: Making, party: Party) -> None:
    making.greet(1)
    loaded = KeygenFiles.load(party.acting, making.proposal.hash)
    assert loaded.proposal == making.proposal
    assert isinstance(loaded.proposal, Proposal)
