"""Key generation among honest holders, and every way to cheat it (section 2.5)."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_mpc.errors import BackendError, BadInput, ProtocolAbort
from hsm_mpc.groups import proofs
from hsm_mpc.groups.sharing import lagrange
from hsm_mpc.protocols import dkg, schnorr
from hsm_mpc.protocols.rounds import abort, advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, Take, publish
from tests.protocols.keygen import (
    STATICS,
    Dealt,
    Party,
    deal,
    decoded,
    encoded,
    forged,
    leaving_nothing,
    parties,
    play,
    random_draws,
    scripted,
    times_base,
)


def confirmed(
    parties: list[Party], keeps: list[dkg.Keep2to3]
) -> tuple[list[dkg.Keep3to4], dict[int, bytes]]:
    """Round 3 at every holder."""
    results = [
        advance(dkg.confirm, keep, party.static) for party, keep in zip(parties, keeps, strict=True)
    ]
    return [keep for keep, _ in results], {keep.setup.me: outbox.to_all for keep, outbox in results}


# --- honest holders -------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_every_t_subset_holds_the_key_and_no_smaller_one(
    any_suite: Suite, protocol_arena: Arena, data: st.DataObject
) -> None:
    """Sections 2.5 and 8.3."""
    holders = data.draw(st.integers(2, 5))
    threshold = data.draw(st.integers(2, holders))
    seed = data.draw(st.integers(0, 2**32))
    numbers, order = random.Random(seed), any_suite.group.order
    secrets = [numbers.randrange(1, order) for _ in range(holders)]
    with protocol_arena.scope() as take:
        everyone = parties(any_suite, take, threshold, secrets)
        shares, keeps = play(everyone, seed)
        key = keeps[0].commitments[0]
        for size in (threshold, threshold - 1):
            for quorum in combinations(shares, size):
                terms = (lagrange(i, quorum, order) * decoded(any_suite, shares[i]) for i in quorum)
                total = any_suite.group.base_multiple(sum(terms))
                assert (total == key) is (size == threshold)
        for keep in keeps:
            assert keep.commitments == keeps[0].commitments
            assert keep.transcript == keeps[0].transcript
            assert keep.public_shares == tuple(
                times_base(any_suite, decoded(any_suite, shares[i])) for i in sorted(shares)
            )
        agreements = finished(everyone, keeps)
        assert all(agreement == agreements[0] for agreement in agreements)


def finished(parties: list[Party], keeps: list[dkg.Keep2to3]) -> list[dkg.Agreement]:
    kept, signatures = confirmed(parties, keeps)
    return [advance(dkg.finish, keep, signatures) for keep in kept]


def test_the_group_key_is_the_sum_of_all_constants(three: list[Party]) -> None:
    """Step 2.5.9: a_{j,0} of holder j is 100·j."""
    keeps, messages = {}, {}
    for party in three:
        me = party.setup.me
        draws = scripted(party.setup.suite, 100 * me, 10 + me, 777 + me)
        keeps[me], outbox = dkg.start(party.setup, party.static, draws)
        messages[me] = outbox.to_all
    result, suite = Dealt(three, keeps, messages).exchange(2), three[0].setup.suite
    assert result.commitments == (times_base(suite, 600), times_base(suite, 36))
    assert publish(result.share) == encoded(suite, 600 + 2 * 36)


def test_an_agreement_is_checked_by_whoever_has_the_transcript(three: list[Party]) -> None:
    """Step 2.5.12."""
    _, keeps = play(three)
    agreement = finished(three, keeps)[0]
    for party, signature in zip(three, agreement.signatures, strict=True):
        key = party.setup.key_of(party.setup.me)
        proofs.verify(party.setup.suite, signature, key, agreement.transcript)


# --- round 1 --------------------------------------------------------------------------------------


def test_a_round_leaves_only_what_it_keeps(protocol_arena: Arena, three: list[Party]) -> None:
    """Step 2.5.4: coefficients, ephemeral secret, shares and pads are wiped."""
    party = three[0]
    with leaving_nothing(protocol_arena):
        keep, _ = dkg.start(party.setup, party.static, random_draws(party.setup.suite, 1))
        abort(keep)


def test_a_first_round_that_raises_wipes(protocol_arena: Arena, three: list[Party]) -> None:
    """Step 1.8.4: the randomness fails, and so does a coefficient that is 0."""

    def failing(into: Secret) -> None:
        raise BackendError("no randomness")

    party = three[0]
    for draw, error in (
        (failing, BackendError),
        (scripted(party.setup.suite, 5, 0, 7), ProtocolAbort),
    ):
        with leaving_nothing(protocol_arena), pytest.raises(error) as caught:
            dkg.start(party.setup, party.static, draw)
        assert caught.tb, "whose frames still hold the slots"


# --- round 2 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [{2}, {1, 2, 3}])
def test_a_round_wants_one_message_of_each_holder(dealt: Dealt, missing: set[int]) -> None:
    received = {j: message for j, message in dealt.messages.items() if j not in missing}
    with pytest.raises(BadInput, match=r"not of \[1, 2, 3\]"):
        dealt.exchange(1, received)


def test_a_message_of_a_stranger_is_refused(dealt: Dealt) -> None:
    with pytest.raises(BadInput, match=r"not of \[1, 2, 3\]"):
        dealt.exchange(1, {**dealt.messages, 4: dealt.messages[3]})


def test_the_second_round_leaves_only_the_share(protocol_arena: Arena, three: list[Party]) -> None:
    """Step 2.5.9: all s_{j,i} and pads are wiped."""
    with leaving_nothing(protocol_arena):
        dealt = deal(three)
        keeps = [dealt.exchange(index) for index in (1, 2, 3)]
        for keep in keeps:
            assert keep.share.size == 32
            abort(keep)


def test_a_keep_serves_one_second_round_only(dealt: Dealt) -> None:
    abort(dealt.exchange(1))
    with pytest.raises(BackendError, match="after its release"):
        dealt.exchange(1)


# --- round 3 --------------------------------------------------------------------------------------


def test_n_minus_1_signatures_do_not_certify(three: list[Party]) -> None:
    """Step 2.5.12."""
    _, keeps = play(three)
    kept, signatures = confirmed(three, keeps)
    del signatures[2]
    with pytest.raises(BadInput, match=r"not of \[1, 2, 3\]"):
        dkg.finish(kept[0], signatures)


@pytest.mark.parametrize("index", [2, 3])
def test_a_wrong_signature_does_not_certify_and_names_nobody(
    three: list[Party], index: int
) -> None:
    """Step 2.5.12: it may be a split view."""
    _, keeps = play(three)
    kept, signatures = confirmed(three, keeps)
    flipped = signatures[index][:-1] + bytes([signatures[index][-1] ^ 1])
    wrong = {**signatures, index: flipped}
    with pytest.raises(ProtocolAbort, match=rf"holders \[{index}\]") as caught:
        dkg.finish(kept[0], wrong)
    assert caught.value.culprits == ()


def test_an_own_signature_that_was_altered_does_not_certify(three: list[Party]) -> None:
    """Step 2.5.12."""
    _, keeps = play(three)
    kept, signatures = confirmed(three, keeps)
    with pytest.raises(ProtocolAbort, match="came back altered") as caught:
        dkg.finish(kept[0], {**signatures, 1: signatures[2]})
    assert caught.value.culprits == ()


def test_a_split_view_never_certifies(dealt: Dealt) -> None:
    """Step 2.5.12: holder 3 dealt one polynomial to holder 1 and another one to holder 2."""
    other = forged(dealt.parties[2], (600, 3), 89).to_bytes()
    views = [dealt.messages, {**dealt.messages, 3: other}]
    keeps = [dealt.exchange(1, views[0]), dealt.exchange(2, views[1])]
    assert keeps[0].transcript != keeps[1].transcript
    kept, signatures = confirmed(dealt.parties[:2], keeps)
    for view, keep in zip(views, kept, strict=True):
        third = dealt.parties[2]
        with third.static.open() as key:
            signature = schnorr.sign(
                third.setup.suite,
                third.static.arena,
                key,
                third.setup.key_of(3),
                keep.transcript,
            )
        assert view
        with pytest.raises(ProtocolAbort, match="not of our transcript"):
            dkg.finish(keep, {**signatures, 3: signature})


def test_two_transcripts_signed_by_one_holder_are_evidence(dealt: Dealt) -> None:
    """Step 2.5.12: both signatures verify under P_3, each on its own T, for anybody."""
    third = dealt.parties[2]
    suite, key = third.setup.suite, third.setup.key_of(3)
    with third.static.open() as secret:
        signatures = {
            text: schnorr.sign(suite, third.static.arena, secret, key, text)
            for text in (b"T as holder 1 saw it", b"T as holder 2 saw it")
        }
    for text, signature in signatures.items():
        proofs.verify(suite, signature, key, text)


def test_an_extension_that_differs_never_certifies(any_suite: Suite, take: Take) -> None:
    """Step 2.4.3: the signatures are over T, and ext stands in T."""
    ours = parties(any_suite, take, 2, STATICS)
    dealt = deal(ours)
    theirs = parties(any_suite, take, 2, STATICS, extension=b"another plan")
    keep = dealt.exchange(1)
    other = advance(
        dkg.exchange,
        replace(dealt.keeps[2], setup=theirs[1].setup),
        ours[1].static,
        dealt.messages,
    )
    kept, signatures = confirmed(ours[:2], [keep, other])
    with pytest.raises(ProtocolAbort, match=r"holders \[2, 3\]"):
        dkg.finish(kept[0], {**signatures, 3: signatures[2]})


def test_the_third_round_wipes_the_share(protocol_arena: Arena, three: list[Party]) -> None:
    """Step 1.8.9: what was sealed is no longer needed in the open."""
    with leaving_nothing(protocol_arena):
        _, keeps = play(three)
        confirmed(three, keeps)
        for keep in keeps:
            with pytest.raises(BackendError, match="after its release"):
                publish(keep.share)
