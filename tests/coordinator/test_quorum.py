"""ROAST (docs/protocols/signing.md section 7): any t honest holders finish, whatever others do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product
from random import Random

import pytest

from hsm_mpc.coordinator.quorum import LOST_LEASES, Quorum
from hsm_mpc.coordinator.quorum_actions import (
    Action,
    Ask,
    Exclude,
    Fail,
    Publish,
    Send,
    Suspect,
)
from hsm_mpc.errors import HsmMpcError, InvalidSignature, ProtocolAbort
from hsm_mpc.protocols.frost_bip340.aggregate import Signing
from hsm_mpc.protocols.frost_bip340.nonces import AggregateNonce, PublicNonce
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.protocols.signing_messages import (
    Commitment,
    PartialPayload,
    SignPayload,
    list_hash,
)
from hsm_mpc.secure.arena import Arena
from tests.coordinator.roast import (
    LIARS,
    NOT_A_POINT,
    WRONG,
    BadNonce,
    BadPartial,
    Decliner,
    HashList,
    HashScheme,
    Holder,
    Liar,
    Outcome,
    Refuser,
    Relay,
    Riding,
    any_set,
    commitment,
    right,
)
from tests.protocols.frost import MESSAGE, Wallet, be, received, times_g

# Section 7.6: t honest of n finish with n − t liars


def require_success(outcome: Outcome, kinds: dict[int, type[Holder]], t: int) -> None:
    """Finished, nobody honest excluded, and no more lists than step 7.6 allows."""
    assert outcome.signature is not None
    assert outcome.failed is None
    liars = {index for index, kind in kinds.items() if not kind.honest}
    assert outcome.excluded.keys() <= {
        index for index in liars if kinds[index] in (BadNonce, BadPartial)
    }
    # When a list is opened, each earlier one waits for somebody of its own, or lost somebody.
    refusers = sum(kind is Refuser for kind in kinds.values())
    assert len(outcome.sent) <= len(kinds) - t + 1 + LOST_LEASES * refusers


def mixtures(n: int, t: int) -> Iterator[dict[int, type[Holder]]]:
    """Every set of up to n − t liars, each of every kind; the others honest."""
    for count in range(n - t + 1):
        for places in combinations(range(1, n + 1), count):
            for kinds in product(LIARS, repeat=count):
                chosen: dict[int, type[Holder]] = dict(zip(places, kinds, strict=True))
                yield {index: chosen.get(index, Holder) for index in range(1, n + 1)}


def with_riding(kinds: dict[int, type[Holder]]) -> dict[int, type[Holder]]:
    return {index: Riding if kind is Holder else kind for index, kind in kinds.items()}


@pytest.mark.parametrize(("t", "n", "orders"), [(2, 3, 12), (3, 3, 12), (3, 5, 2)])
def test_t_honest_of_n_finish_with_n_minus_t_liars(
    t: int, n: int, orders: int, report_line: Callable[[str], None]
) -> None:
    runs = 0
    for kinds in mixtures(n, t):
        for order in range(orders):
            for cast in (kinds, with_riding(kinds)):
                require_success(Relay(t, cast, (cast, order)).run(), cast, t)
                runs += 1
    assert runs == 2 * orders * sum(1 for _ in mixtures(n, t))
    report_line(f"quorum: {runs} schedules of {t}-of-{n} with every set of liars")


def test_samples_of_4_of_7_finish() -> None:
    numbers = Random(7)
    for run in range(600):
        liars = numbers.sample(range(1, 8), numbers.randrange(4))
        kinds: dict[int, type[Holder]] = {
            index: numbers.choice(LIARS) if index in liars else numbers.choice((Holder, Riding))
            for index in range(1, 8)
        }
        require_success(Relay(4, kinds, run).run(), kinds, 4)


@pytest.mark.parametrize("kind", LIARS)
def test_two_liars_of_one_kind_stop_nobody(kind: type[Liar]) -> None:
    for order in range(40):
        kinds: dict[int, type[Holder]] = {1: kind, 2: kind, 3: Holder, 4: Riding, 5: Holder}
        require_success(Relay(3, kinds, order).run(), kinds, 3)


def test_with_t_minus_1_honest_there_is_no_signature() -> None:
    for kind in LIARS:
        if kind.__name__ == "Late":  # it is honest, in the end
            continue
        for order in range(10):
            outcome = Relay(2, {1: Holder, 2: kind, 3: kind}, order).run()
            assert outcome.signature is None


# A machine by hand


class Machine:
    """2-of-3, or as asked, whose events are written out in the test."""

    def __init__(
        self, t: int = 2, n: int = 3, allowed: Callable[[frozenset[int]], bool] = any_set
    ) -> None:
        self.scheme = HashScheme()
        self.quorum = Quorum(t, n, 0, self.scheme, allowed)
        self.started = self.quorum.start()

    def commit(self, index: int, number: int = 1) -> Sequence[Action]:
        return self.quorum.on_commit(commitment(index, number))

    def opened(self, *indices: int, number: int = 1) -> bytes:
        """The payload of the session that these COMMITs open."""
        actions: list[Action] = []
        for index in indices:
            actions += self.commit(index, number)
        (send,) = [action for action in actions if isinstance(action, Send)]
        return send.payload

    def answer(
        self, index: int, payload: bytes, signature: bytes | None = None
    ) -> Sequence[Action]:
        listed = [
            commitment(i, n)
            for message in SignPayload.from_bytes(payload).commits
            for i in range(1, 8)
            for n in range(1, 9)
            if commitment(i, n).message == message
        ]
        own = next(entry for entry in listed if entry.index == index)
        signature = right(index, listed) if signature is None else signature
        partial = PartialPayload(own.lease_id, list_hash(payload), signature)
        return self.quorum.on_partial(index, partial, partial.to_bytes())

    def standings(self) -> str:
        """First letters, P for parked."""
        return "".join(self.quorum.standing(index).name[0] for index in (1, 2, 3))


def test_everybody_is_asked_first() -> None:
    machine = Machine()
    assert list(machine.started) == [Ask(1), Ask(2), Ask(3)]
    assert machine.standings() == "UUU"


def test_the_first_t_offers_make_a_list_in_ascending_order() -> None:
    """Step 3.2.3."""
    machine = Machine()
    assert list(machine.commit(3)) == []
    (send,) = machine.commit(1)
    messages = (commitment(1, 1).message, commitment(3, 1).message)
    assert send == Send((1, 3), SignPayload(1, 0, messages).to_bytes())
    assert machine.standings() == "BUB"


def test_attempts_are_counted() -> None:
    """Step 3.2.3: never two lists under one attempt."""
    machine = Machine(t=2, n=4)
    first, second = machine.opened(1, 2), machine.opened(3, 4)
    assert [SignPayload.from_bytes(payload).attempt for payload in (first, second)] == [1, 2]


def test_a_complete_session_is_published_and_nothing_follows() -> None:
    machine = Machine()
    payload = machine.opened(1, 2)
    machine.answer(1, payload)
    assert list(machine.answer(2, payload)) == [Publish(b"signature by \1\2")]
    assert machine.quorum.finished
    assert machine.scheme.lists[0].verified == [1, 2], "each on arrival (step 3.2.5)"
    for actions in (
        machine.commit(3),
        machine.answer(2, payload),
        machine.quorum.on_declined(3, "late"),
        machine.quorum.on_fault(3, "late", ()),
        machine.quorum.on_lost_lease(2, payload),
        machine.quorum.on_silence(3),
    ):
        assert list(actions) == []


def test_other_lists_end_with_the_first_complete_one() -> None:
    machine = Machine(t=2, n=6)
    first, second, third = (machine.opened(*pair) for pair in ((1, 2), (3, 4), (5, 6)))
    machine.answer(1, first)
    machine.answer(2, first)
    for actions in (
        machine.quorum.on_commit(commitment(1, 2, NOT_A_POINT)),
        machine.quorum.on_commit(commitment(2, 2, commitment(1, 1).public_nonce)),
        machine.answer(3, second),
        machine.answer(4, second),
        machine.quorum.on_lost_lease(5, third),
        machine.quorum.on_fault(6, "late", ()),
        *(machine.quorum.on_declined(index, "late") for index in range(1, 7)),
    ):
        assert list(actions) == []


def test_an_answer_makes_its_holder_ready_for_the_next_list() -> None:
    machine = Machine(t=2, n=3)
    payload = machine.opened(1, 2)
    assert list(machine.answer(1, payload)) == [Ask(1)]
    assert machine.standings() == "UBU"
    machine.commit(3)
    (send,) = machine.commit(1, 2)
    assert isinstance(send, Send)
    assert send.signers == (1, 3)


# Exclusion, and nothing but evidence


def test_a_wrong_partial_signature_excludes_its_signer_with_evidence() -> None:
    """Steps 3.5.1 and 7.3: the list with its own COMMIT, and what it signed under it."""
    machine = Machine()
    payload = machine.opened(1, 2)
    machine.answer(1, payload)
    (exclude,) = machine.answer(2, payload, WRONG)
    assert isinstance(exclude, Exclude)
    assert exclude.index == 2
    partial = PartialPayload(commitment(2, 1).lease_id, list_hash(payload), WRONG)
    assert exclude.evidence == (payload, partial.to_bytes())
    assert machine.standings() == "UEU"


def test_each_cheat_of_a_list_is_excluded_on_arrival() -> None:
    """Step 3.5.1."""
    machine = Machine(t=3, n=6)
    payload = machine.opened(1, 2, 3)
    excluded = []
    for index, answer in ((1, WRONG), (2, None), (3, WRONG)):
        actions = machine.answer(index, payload, *([answer] if answer else []))
        excluded.append([action.index for action in actions if isinstance(action, Exclude)])
    assert excluded == [[1], [], [3]]


def test_a_list_with_a_cheat_in_it_is_never_complete() -> None:
    machine = Machine()
    payload = machine.opened(1, 2)
    (exclude,) = machine.answer(1, payload, WRONG)
    assert isinstance(exclude, Exclude)
    assert exclude.index == 1
    assert machine.standings() == "EBU"
    assert list(machine.answer(2, payload)) == [Ask(2)]
    assert not machine.quorum.finished


def test_a_nonce_that_is_no_point_excludes_its_sender() -> None:
    machine = Machine()
    entry = commitment(2, 1, NOT_A_POINT)
    (exclude,) = machine.quorum.on_commit(entry)
    assert exclude == Exclude(2, "its nonce is no point", (entry.message,))
    assert machine.standings() == "UEU"


def test_signed_bytes_that_contradict_exclude_their_sender() -> None:
    """Steps 1.7.3 and 1.7.4: as the wire reports them."""
    machine = Machine()
    payload = machine.opened(1, 2)
    (exclude,) = machine.quorum.on_fault(1, "two messages for one slot", (b"one", b"other"))
    assert exclude == Exclude(1, "two messages for one slot", (b"one", b"other"))
    assert list(machine.quorum.on_fault(1, "again", ())) == []
    assert list(machine.answer(2, payload)) == [Ask(2)]


def test_two_commits_for_one_lease_exclude_their_sender() -> None:
    """Step 1.7.4, sub = lease_id."""
    machine = Machine()
    machine.commit(1)
    other = commitment(1, 1, b"another nonce")
    (exclude,) = machine.quorum.on_commit(other)
    assert isinstance(exclude, Exclude)
    assert exclude.evidence == (commitment(1, 1).message, other.message)


def test_nothing_that_an_excluded_holder_says_brings_it_back() -> None:
    machine = Machine()
    machine.quorum.on_commit(commitment(2, 1, NOT_A_POINT))
    for actions in (
        machine.commit(2, 2),
        machine.quorum.on_silence(2),
        machine.quorum.on_declined(2, "permission"),
    ):
        assert list(actions) == []
    assert machine.standings() == "UEU"


def test_garbage_excludes_nobody() -> None:
    """Step 7.3: what matches no list, no lease or no signature is dropped."""
    machine = Machine()
    payload = machine.opened(1, 2)
    lease, known = commitment(1, 1).lease_id, list_hash(payload)
    for partial in (
        PartialPayload(lease, b"x" * 32, WRONG),
        PartialPayload(commitment(2, 1).lease_id, known, WRONG),
    ):
        assert list(machine.quorum.on_partial(1, partial, b"")) == []
    stranger = PartialPayload(lease, known, WRONG)
    assert list(machine.quorum.on_partial(3, stranger, b"")) == []
    assert list(machine.quorum.on_commit(commitment(3, 1, k=1))) == []
    assert list(machine.quorum.on_lost_lease(1, b"another list")) == []
    assert list(machine.quorum.on_lost_lease(3, payload)) == []
    assert machine.standings() == "BBU"


def test_a_second_answer_to_one_list_is_dropped() -> None:
    machine = Machine()
    payload = machine.opened(1, 2)
    machine.answer(1, payload)
    assert list(machine.answer(1, payload, WRONG)) == []
    assert list(machine.answer(2, payload)) == [Publish(b"signature by \1\2")]


# Silence


def test_a_silent_holder_is_parked_and_not_excluded() -> None:
    machine = Machine()
    assert list(machine.quorum.on_silence(1)) == []
    assert machine.standings() == "PUU"
    payload = machine.opened(2, 1)
    assert SignPayload.from_bytes(payload).commits[0] == commitment(1, 1).message


def test_a_ready_holder_that_falls_silent_is_in_no_list() -> None:
    machine = Machine()
    machine.commit(1)
    machine.quorum.on_silence(1)
    assert list(machine.commit(2)) == []
    assert machine.standings() == "PRU"


def test_a_parked_holder_comes_back_with_its_next_message() -> None:
    """Step 7.2: also with one that is of no other use."""
    machine = Machine()
    machine.commit(1)
    machine.quorum.on_silence(1)
    machine.commit(2)
    (send,) = machine.commit(1)
    assert isinstance(send, Send), "it repeats its open COMMIT, which is still good"
    machine.quorum.on_silence(3)
    partial = PartialPayload(b"an unknown lease", b"x" * 32, WRONG)
    assert list(machine.quorum.on_partial(3, partial, b"")) == [Ask(3)]
    assert machine.standings() == "BBU"


def test_whoever_owes_a_partial_stays_busy_in_silence() -> None:
    """Step 7.5: it may still answer."""
    machine = Machine()
    payload = machine.opened(1, 2)
    machine.quorum.on_silence(1)
    assert machine.standings() == "BBU"
    machine.answer(2, payload)
    assert list(machine.answer(1, payload)) == [Publish(b"signature by \1\2")]


# One list at a time


def test_a_holder_that_offers_without_answering_is_in_one_list() -> None:
    """Step 7.6: else it could spoil one list after another."""
    machine = Machine()
    payload = machine.opened(1, 2)
    machine.commit(3)
    assert list(machine.commit(1, 2)) == []
    assert machine.standings() == "BBR"
    (send,) = machine.answer(1, payload)
    assert isinstance(send, Send), "the offer that waited is used once its answer is there"
    assert send.signers == (1, 3)


# Lost leases


def test_a_lost_lease_frees_the_holder_when_t_is_n() -> None:
    """Step 7.5: the holder restarted; asked again, it signs."""
    machine = Machine(t=3, n=3)
    payload = machine.opened(1, 2, 3)
    assert list(machine.answer(1, payload)) == [Ask(1)]
    assert list(machine.quorum.on_lost_lease(2, payload)) == [Ask(2)]
    assert list(machine.answer(3, payload)) == [Ask(3)]
    again = machine.opened(1, 2, 3, number=2)
    for index in (1, 2):
        machine.answer(index, again)
    assert list(machine.answer(3, again)) == [Publish(b"signature by \1\2\3")]


def test_whoever_loses_lease_after_lease_is_left_out() -> None:
    """Else it could spoil one list after another; it is no proof of fault, so not excluded."""
    machine = Machine(t=2, n=2)
    for number in range(1, LOST_LEASES + 1):
        payload = machine.opened(1, 2, number=number)
        assert list(machine.quorum.on_lost_lease(1, payload)) == [Ask(1)]
        assert list(machine.answer(2, payload)) == [Ask(2)]
    payload = machine.opened(1, 2, number=LOST_LEASES + 1)
    (fail,) = machine.quorum.on_lost_lease(1, payload)
    assert isinstance(fail, Fail)
    assert fail.reasons[1] == f"lost {LOST_LEASES + 1} nonces that it offered"


def needs_holder_1(indices: frozenset[int]) -> bool:
    return 1 in indices


def test_who_offered_first_is_preferred() -> None:
    """Step 7.4: low latency."""
    machine = Machine(t=2, n=4, allowed=needs_holder_1)
    for index in (4, 3, 2):
        assert list(machine.commit(index)) == []
    (send,) = machine.commit(1)
    assert isinstance(send, Send)
    assert send.signers == (1, 4)


def test_who_lost_fewer_leases_is_preferred() -> None:
    machine = Machine(t=2, n=4, allowed=needs_holder_1)
    payload = machine.opened(4, 1)
    assert list(machine.quorum.on_lost_lease(4, payload)) == [Ask(4)]
    assert list(machine.commit(4, 2)) == []
    assert list(machine.commit(3)) == []
    assert list(machine.answer(1, payload)) == [Ask(1)]
    (send,) = machine.commit(1, 2)
    assert isinstance(send, Send)
    assert send.signers == (1, 3)


# Copied nonces


def test_a_copied_nonce_makes_a_pair_and_is_never_listed_twice() -> None:
    """Step 3.4.6: every honest signer would refuse that list; who copied cannot be seen."""
    machine = Machine()
    machine.commit(1)
    copied = commitment(2, 1, commitment(1, 1).public_nonce)
    suspect, ask = machine.quorum.on_commit(copied)
    assert suspect == Suspect((1, 2), (commitment(1, 1).message, copied.message))
    assert ask == Ask(2)
    assert machine.standings() == "RUU"


def test_who_copied_a_lease_gets_nobody_excluded() -> None:
    """Steps 1.7.4, 7.3: one lease_id signed by two holders is no contradiction of either."""
    for nonce in (b"another nonce", None):  # of its own, or the whole COMMIT copied
        machine = Machine()
        copied = replace(commitment(2, 1, nonce), index=1, message=b"signed by 1")
        machine.quorum.on_commit(copied)
        suspect, ask = machine.commit(2)
        assert suspect == Suspect((1, 2), (copied.message, commitment(2, 1).message))
        assert ask == Ask(2)
        assert machine.standings() == "RUU"


def test_a_nonce_twice_of_one_holder_is_never_listed() -> None:
    """Step 3.4.6: under another lease_id, so it is no repeat."""
    machine = Machine()
    machine.commit(1)
    again = commitment(1, 2, commitment(1, 1).public_nonce)
    (suspect,) = [a for a in machine.quorum.on_commit(again) if isinstance(a, Suspect)]
    assert suspect == Suspect((1, 1), (commitment(1, 1).message, again.message))
    (send,) = machine.commit(2)
    assert isinstance(send, Send)
    listed = SignPayload.from_bytes(send.payload).commits
    assert listed == (commitment(1, 1).message, commitment(2, 1).message)


# Policy


def test_a_policy_quorum_is_respected() -> None:
    """Step 7.4: at least one of {1, 2}."""
    machine = Machine(t=2, n=4, allowed=lambda indices: bool(indices & {1, 2}))
    machine.commit(3)
    assert list(machine.commit(4)) == []
    (send,) = machine.commit(2)
    assert isinstance(send, Send)
    assert send.signers == (2, 3)


def test_only_candidates_are_asked_and_sign() -> None:
    """Of 32 holders, without a look at every set of 16."""
    candidates = frozenset(range(9, 26))
    quorum = Quorum(16, 32, 0, HashScheme(), candidates.issuperset, candidates)
    assert [action.index for action in quorum.start() if isinstance(action, Ask)] == list(
        range(9, 26)
    )
    assert list(quorum.on_commit(commitment(1, 1))) == []
    actions = [action for index in candidates for action in quorum.on_commit(commitment(index, 1))]
    (send,) = actions
    assert isinstance(send, Send)
    assert candidates.issuperset(send.signers)


def test_too_few_candidates_fail_at_once() -> None:
    quorum = Quorum(2, 3, 0, HashScheme(), any_set, frozenset({2}))
    ask, fail = quorum.start()
    assert ask == Ask(2)
    assert isinstance(fail, Fail)
    assert fail.reasons == {1: "not a candidate", 2: "nothing heard", 3: "not a candidate"}


def test_where_no_allowed_set_is_left_the_reasons_are_told() -> None:
    machine = Machine(t=2, n=4, allowed=lambda indices: bool(indices & {1, 2}))
    machine.commit(3)
    machine.quorum.on_commit(commitment(1, 1, NOT_A_POINT))
    (fail,) = machine.quorum.on_declined(2, "permission")
    assert fail == Fail(
        {
            1: "proven faulty: its nonce is no point",
            2: "declined: permission",
            3: "offered a nonce",
            4: "nothing heard",
        }
    )
    assert machine.quorum.finished


def test_a_holder_that_declines_is_not_asked_again() -> None:
    machine = Machine()
    outcome = Relay(2, {1: Decliner, 2: Holder, 3: Holder}, 0).run()
    assert outcome.asked[1] == 1
    assert outcome.excluded == {}
    machine.quorum.on_declined(1, "permission")
    assert list(machine.commit(1)) == []
    assert machine.standings() == "DUU"


# Our own bug


@pytest.mark.parametrize("said", [InvalidSignature("wrong"), ProtocolAbort("wrong")])
def test_valid_partials_with_an_invalid_sum_are_an_alarm(
    monkeypatch: pytest.MonkeyPatch, said: HsmMpcError
) -> None:
    """Step 3.5.2: no culprit."""

    def broken(*_: object) -> bytes:
        raise said

    monkeypatch.setattr(HashList, "signature", broken)
    machine = Machine()
    payload = machine.opened(1, 2)
    machine.answer(1, payload)
    with pytest.raises(HsmMpcError, match="valid partial signatures make an invalid signature"):
        machine.answer(2, payload)


# With the real scheme


def nonce_of(first: int, second: int) -> bytes:
    return times_g(first) + times_g(second)


def partial_by_hand(
    wallet: Wallet, signing: Signing, listed: Sequence[Commitment], index: int, nonce: int
) -> bytes:
    """The right partial signature from the nonce pair (nonce, nonce): a liar knows its numbers."""
    nonces = AggregateNonce.of([PublicNonce.parse(entry.public_nonce) for entry in listed])
    signers = wallet.epoch.signers([entry.index for entry in listed])
    session = Session.of(signers, signing.key, nonces, MESSAGE)
    sum_of_nonces = session.nonce_sign * nonce * (1 + session.nonce_factor)
    return be(sum_of_nonces + session.share_factor(index) * wallet.share(index))


def test_liars_whose_nonces_cancel_out_stop_nobody(protocol_arena: Arena) -> None:
    """Section 7, step 3.5.2: t of them make right partial signatures of which no signature comes.

    Each could not have done it without all others, so all of them are out, with what proves it.
    """
    wallet = Wallet.dealt(protocol_arena, 2, 4)
    signing = Signing(wallet.epoch, wallet.key, MESSAGE)
    quorum = Quorum(2, 4, 0, signing, any_set)
    quorum.start()
    liars = {1: 5, 2: -5}
    listed = [commitment(index, 1, nonce_of(secret, secret)) for index, secret in liars.items()]
    quorum.on_commit(listed[0])
    (send,) = quorum.on_commit(listed[1])
    assert isinstance(send, Send)
    actions: list[Action] = []
    for index, secret in liars.items():
        signature = partial_by_hand(wallet, signing, listed, index, secret)
        lease_id = listed[index - 1].lease_id
        partial = PartialPayload(lease_id, list_hash(send.payload), signature)
        actions += quorum.on_partial(index, partial, b"PARTIAL of %d" % index)
    reason = "the nonces of the list cancel out"
    one, two = b"PARTIAL of 1", b"PARTIAL of 2"
    assert [action for action in actions if isinstance(action, Exclude)] == [
        Exclude(1, reason, (send.payload, one, two)),
        Exclude(2, reason, (send.payload, two, one)),
    ]
    assert not quorum.finished
    leases = {index: wallet.lease(index) for index in (3, 4)}
    commits = {index: received(lease.commit) for index, lease in leases.items()}
    quorum.on_commit(commits[3])
    (send,) = quorum.on_commit(commits[4])
    assert isinstance(send, Send)
    for index, lease in leases.items():
        signature = wallet.answer(lease, list(commits.values()), wallet.task(index))
        partial = PartialPayload(lease.lease_id, list_hash(send.payload), signature)
        actions += quorum.on_partial(index, partial, b"honest")
    assert isinstance(actions[-1], Publish)


def test_the_machine_signs_with_bip_445(protocol_arena: Arena) -> None:
    """One cheat, one bad nonce, two honest: the signature verifies, the evidence is the cheat's."""
    wallet = Wallet.dealt(protocol_arena, 2, 4)
    quorum = Quorum(2, 4, 0, Signing(wallet.epoch, wallet.key, MESSAGE), any_set)
    quorum.start()
    leases = {index: wallet.lease(index) for index in (1, 2, 3)}
    commits = {index: received(lease.commit) for index, lease in leases.items()}
    (exclude,) = quorum.on_commit(commitment(4, 1, bytes(66)))
    assert isinstance(exclude, Exclude)
    quorum.on_commit(commits[1])
    (send,) = quorum.on_commit(commits[2])
    assert isinstance(send, Send)

    def partial(index: int, payload: bytes) -> PartialPayload:
        listed = [received(message) for message in SignPayload.from_bytes(payload).commits]
        signature = wallet.answer(leases[index], listed, wallet.task(index))
        return PartialPayload(leases[index].lease_id, list_hash(payload), signature)

    cheat = PartialPayload(leases[2].lease_id, list_hash(send.payload), b"\1" * 32)
    actions = quorum.on_partial(2, cheat, b"cheat")
    assert [action for action in actions if isinstance(action, Exclude)] == [
        Exclude(2, "the partial signature of holder 2 is wrong", (send.payload, b"cheat"))
    ]
    assert list(quorum.on_partial(1, partial(1, send.payload), b"honest")) == [Ask(1)]
    leases[1] = wallet.lease(1)
    quorum.on_commit(commits[3])
    (send,) = quorum.on_commit(received(leases[1].commit))
    assert isinstance(send, Send)
    quorum.on_partial(3, partial(3, send.payload), b"honest")
    (publish,) = quorum.on_partial(1, partial(1, send.payload), b"honest")
    assert isinstance(publish, Publish)
    leases[2].secret_nonce.release()
