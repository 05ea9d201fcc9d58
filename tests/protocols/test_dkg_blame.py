"""Every way to cheat in a key generation, and who is named for it (section 2.5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.protocols import dkg
from hsm_mpc.protocols.dealing_checks import dealt_soundly
from hsm_mpc.protocols.dkg_messages import Dealing1
from hsm_mpc.protocols.pads import Pads
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Take
from tests.protocols.keygen import (
    STATICS,
    Dealt,
    deal,
    forged,
    leaving_nothing,
    parties,
    scripted,
    times_base,
)


def culprits(dealt: Dealt, messages: dict[int, bytes], me: int = 1) -> tuple[int, ...]:
    """Whom holder `me` names when it receives these messages. It keeps no slot (step 1.8.4)."""
    static = dealt.parties[me - 1].static
    with leaving_nothing(static.arena), pytest.raises(ProtocolAbort) as caught:
        dkg.exchange(dealt.keeps[me], static, messages)
    return caught.value.culprits


def unreduced(suite: Suite, scalar: int) -> bytes:
    """The scalar plus the order, in the suite's byte order."""
    little = suite.group.scalar_bytes(1)[0] == 1
    return (scalar + suite.group.order).to_bytes(32, "little" if little else "big")


def test_a_commitment_of_another_length_names_its_sender(dealt: Dealt) -> None:
    """Step 2.5.5: commitment_of_t_plus_1_points, of_t_minus_1; a trailing byte; nothing at all."""
    honest = Dealing1.from_bytes(dealt.messages[2], dealt.parties[0].setup)
    longer = replace(honest, commitments=(*honest.commitments, times_base(dealt.suite, 5)))
    shorter = replace(honest, commitments=honest.commitments[:1])
    for message in (longer.to_bytes(), shorter.to_bytes(), dealt.messages[2] + b"\0", b""):
        assert culprits(dealt, {**dealt.messages, 2: message}) == (2,)


def test_a_message_with_frames_of_another_length_names_its_sender(dealt: Dealt) -> None:
    """Step 2.5.7: oversized_frame."""
    honest = Dealing1.from_bytes(dealt.messages[3], dealt.parties[0].setup)
    oversized = replace(honest, sealed=(honest.sealed[0] + b"\0", *honest.sealed[1:]))
    assert culprits(dealt, {**dealt.messages, 3: oversized.to_bytes()}) == (3,)


@pytest.mark.parametrize("bit", [0, 33 * 8, 140 * 8, 1500])
def test_an_own_message_that_was_altered_blames_nobody(dealt: Dealt, bit: int) -> None:
    """Step 2.5.5: own_message_altered; only the relay can have done it."""
    altered = bytearray(dealt.messages[1])
    altered[bit // 8] ^= 1
    assert culprits(dealt, {**dealt.messages, 1: bytes(altered)}) == ()


def test_an_own_message_of_another_session_blames_nobody(dealt: Dealt) -> None:
    """Step 2.5.5."""
    other = deal(dealt.parties, seed=9)
    assert culprits(dealt, {**dealt.messages, 1: other.messages[1]}) == ()


def test_equal_constants_of_two_holders_name_the_pair(dealt: Dealt) -> None:
    """Step 2.5.5: equal_C0_of_two_parties, each with a proof of its own."""
    second, third = dealt.parties[1:]
    messages = {
        **dealt.messages,
        2: forged(second, (500, 3), 71).to_bytes(),
        3: forged(third, (500, 4), 72).to_bytes(),
    }
    assert culprits(dealt, messages) == (2, 3)


def test_equal_ephemeral_keys_of_two_holders_name_the_pair(dealt: Dealt) -> None:
    """Step 2.5.5: equal_E."""
    second, third = dealt.parties[1:]
    messages = {
        **dealt.messages,
        2: forged(second, (500, 3), 71).to_bytes(),
        3: forged(third, (501, 4), 71).to_bytes(),
    }
    assert culprits(dealt, messages) == (2, 3)


def test_a_copied_constant_names_only_the_copier(dealt: Dealt) -> None:
    """Steps 2.5.5 and 2.5.6: holder 3 shows C_{2,0} and cannot prove it."""
    second = Dealing1.from_bytes(dealt.messages[2], dealt.parties[0].setup)
    own = forged(dealt.parties[2], (501, 4), 72)
    copied = replace(own, commitments=(second.commitments[0], own.commitments[1]))
    assert culprits(dealt, {**dealt.messages, 3: copied.to_bytes()}) == (3,)


def test_a_copied_ephemeral_key_names_only_the_copier(dealt: Dealt) -> None:
    """Steps 2.5.5 and 2.5.7: holder 3 shows E_2, proves its own C_0, and has no pad with E_2."""
    second = Dealing1.from_bytes(dealt.messages[2], dealt.parties[0].setup)
    copied = forged(dealt.parties[2], (501, 4), 72, shown=second.ephemeral)
    assert culprits(dealt, {**dealt.messages, 3: copied.to_bytes()}) == (3,)


def test_a_copied_commitment_without_knowledge_names_its_sender(dealt: Dealt) -> None:
    """Step 2.5.6, rogue key: C_{3,0} = Y' − C_{1,0} − C_{2,0}, whose logarithm nobody knows."""
    third = dealt.parties[2]
    own = dealt.keeps[1].own.commitments[0]
    group = dealt.suite.group
    rogue = group.combine([times_base(dealt.suite, 4242), group.negate_point(own)]) or b""
    honest = forged(third, (4242, 9), 73)
    cheat = replace(honest, commitments=(rogue, honest.commitments[1]))
    assert culprits(dealt, {**dealt.messages, 3: cheat.to_bytes()}) == (3,)


@pytest.mark.parametrize("part", ["possession", "ephemeral", "commitments"])
def test_a_proof_belongs_to_its_commitment_and_ephemeral_key(dealt: Dealt, part: str) -> None:
    """Step 2.5.6."""
    other = forged(dealt.parties[1], (600, 3), 74)
    honest = forged(dealt.parties[1], (601, 4), 75)
    mixed = replace(honest, **{part: getattr(other, part)})
    assert culprits(dealt, {**dealt.messages, 2: mixed.to_bytes()}) == (2,)


def test_a_proof_under_another_context_names_its_sender(
    any_suite: Suite, take: Take, dealt: Dealt
) -> None:
    """Step 2.2.4: pop_under_other_context, a replay."""
    before = parties(any_suite, take, 2, STATICS, session=b"an earlier session")
    replayed = forged(before[1], (600, 3), 76)
    honest = forged(dealt.parties[1], (600, 3), 76)
    cheat = replace(honest, possession=replayed.possession)
    assert culprits(dealt, {**dealt.messages, 2: cheat.to_bytes()}) == (2,)
    assert culprits(dealt, {**dealt.messages, 2: replayed.to_bytes()}) == (2,)


def test_a_flipped_ciphertext_bit_names_its_dealer(dealt: Dealt) -> None:
    """Step 2.5.7: at the one whose ciphertext it is; to the others it says nothing."""
    changed = bytearray(dealt.messages[2])
    changed[-1] ^= 1  # the tag for holder 3
    messages = {**dealt.messages, 2: bytes(changed)}
    assert culprits(dealt, messages, me=3) == (2,)
    abort(dealt.exchange(1, messages))


def test_a_ciphertext_of_another_receiver_names_its_dealer(dealt: Dealt) -> None:
    """Step 2.5.7."""
    honest = Dealing1.from_bytes(dealt.messages[2], dealt.parties[0].setup)
    swapped = replace(honest, sealed=(honest.sealed[2], honest.sealed[1], honest.sealed[0]))
    assert culprits(dealt, {**dealt.messages, 2: swapped.to_bytes()}) == (2,)


@pytest.mark.parametrize(
    "share",
    [
        pytest.param(None, id="decrypted_share_above_order"),
        pytest.param(b"\xff" * 32, id="largest"),
        pytest.param(bytes(32), id="decrypted_zero_share"),
    ],
)
def test_a_share_that_is_no_scalar_names_its_sender(dealt: Dealt, share: bytes | None) -> None:
    """Step 1.8.7."""
    raw = unreduced(dealt.suite, 0) if share is None else share
    cheat = forged(dealt.parties[1], (600, 3), 77, raw_shares={1: raw})
    assert culprits(dealt, {**dealt.messages, 2: cheat.to_bytes()}) == (2,)


def test_a_canonical_share_is_required_though_the_sum_would_fit(dealt: Dealt) -> None:
    """Step 1.8.7: f_2(1) = 5 is sent as 5 + q."""
    cheat = forged(dealt.parties[1], (2, 3), 77, raw_shares={1: unreduced(dealt.suite, 5)})
    assert culprits(dealt, {**dealt.messages, 2: cheat.to_bytes()}) == (2,)


def test_a_share_off_by_one_names_its_dealer(dealt: Dealt) -> None:
    """Step 2.5.8."""
    cheat = forged(dealt.parties[2], (600, 3), 78, shares={1: 604})
    assert culprits(dealt, {**dealt.messages, 3: cheat.to_bytes()}) == (3,)


def test_two_wrong_shares_name_both_dealers(dealt: Dealt) -> None:
    """Step 2.5.8."""
    messages = {
        **dealt.messages,
        2: forged(dealt.parties[1], (600, 3), 79, shares={1: 604}).to_bytes(),
        3: forged(dealt.parties[2], (700, 3), 80, shares={1: 799}).to_bytes(),
    }
    assert culprits(dealt, messages) == (2, 3)


def test_errors_that_cancel_out_name_both_dealers(dealt: Dealt) -> None:
    """Step 2.5.8: two dealers err by +1 and −1, and the sum of all shares is the right one."""
    messages = {
        **dealt.messages,
        2: forged(dealt.parties[1], (600, 3), 79, shares={1: 604}).to_bytes(),
        3: forged(dealt.parties[2], (700, 3), 80, shares={1: 702}).to_bytes(),
    }
    assert culprits(dealt, messages) == (2, 3)


def test_all_culprits_of_all_checks_are_named_at_once(any_suite: Suite, take: Take) -> None:
    """Section 1.10: a bad length, a bad proof, a bad ciphertext and a bad share."""
    five = parties(any_suite, take, 2, (11, 12, 13, 14, 15))
    dealt = deal(five)
    unproven = forged(five[2], (600, 3), 81)
    messages = {
        **dealt.messages,
        2: dealt.messages[2][:-1],
        3: replace(unproven, ephemeral=times_base(any_suite, 82)).to_bytes(),
        4: forged(five[3], (700, 3), 83, raw_shares={1: bytes(32)}).to_bytes(),
        5: forged(five[4], (800, 3), 84, shares={1: 1}).to_bytes(),
    }
    with pytest.raises(ProtocolAbort) as caught:
        dealt.exchange(1, messages)
    assert caught.value.culprits == (2, 3, 4, 5)
    text = str(caught.value)
    for reason in ("279 left", "possession", "no scalar", "not the committed one"):
        assert reason in text


def test_a_sum_of_commitments_that_is_the_identity_aborts_without_culprit(dealt: Dealt) -> None:
    """Step 2.5.9: two dealers chose highest coefficients that cancel ours."""
    keep, outbox = dkg.start(
        dealt.parties[0].setup, dealt.parties[0].static, scripted(dealt.suite, 9, 8, 7)
    )
    ours = Dealt(dealt.parties, {1: keep}, {**dealt.messages, 1: outbox.to_all})
    messages = {
        **ours.messages,
        2: forged(dealt.parties[1], (600, -5), 85).to_bytes(),
        3: forged(dealt.parties[2], (700, -3), 86).to_bytes(),
    }
    assert culprits(ours, messages) == ()


def test_a_wrong_share_is_named_though_the_sum_is_the_identity(dealt: Dealt) -> None:
    """Steps 2.5.8 and 2.5.9."""
    keep, outbox = dkg.start(
        dealt.parties[0].setup, dealt.parties[0].static, scripted(dealt.suite, 9, 8, 7)
    )
    ours = Dealt(dealt.parties, {1: keep}, {**dealt.messages, 1: outbox.to_all})
    messages = {
        **ours.messages,
        2: forged(dealt.parties[1], (600, -5), 85, shares={1: 12}).to_bytes(),
        3: forged(dealt.parties[2], (700, -3), 86).to_bytes(),
    }
    assert culprits(ours, messages) == (2,)


def test_a_public_share_that_is_the_identity_aborts_without_culprit(dealt: Dealt) -> None:
    """Step 2.5.9: A(3) = O, which holder 1 sees though its own share is good."""
    keep, outbox = dkg.start(
        dealt.parties[0].setup, dealt.parties[0].static, scripted(dealt.suite, 9, 8, 7)
    )
    ours = Dealt(dealt.parties, {1: keep}, {**dealt.messages, 1: outbox.to_all})
    messages = {
        **ours.messages,
        2: forged(dealt.parties[1], (600, 3), 87).to_bytes(),
        3: forged(dealt.parties[2], (-9 - 600 - 3 * (8 + 3 + 5), 5), 88).to_bytes(),
    }
    assert culprits(ours, messages) == ()


def test_dealers_whose_shares_cancel_do_not_stop_a_key_generation(
    any_suite: Suite, take: Take
) -> None:
    """Steps 1.8.4 and 2.5.9: two dealings, each sound, whose shares for us add up to 0.

    The library refuses a sum of 0. The two would have ended the session, and nobody were to blame.
    """
    dealt = deal(parties(any_suite, take, 3, STATICS))
    first, second = (
        (5, 6, 7),
        (600, 70, -(5 + 6 * 3 + 7 * 9 + 600 + 70 * 3) * pow(9, -1, any_suite.group.order)),
    )
    messages = {
        **dealt.messages,
        1: forged(dealt.parties[0], first, 89).to_bytes(),
        2: forged(dealt.parties[1], second, 90).to_bytes(),
    }
    keep = dealt.exchange(3, messages)
    assert any_suite.group.public_point(keep.share) == keep.public_shares[2]
    abort(keep)


def test_a_fault_in_adding_up_the_shares_is_caught(
    dealt: Dealt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 2.5.9: x·B = A(i), else memory or library failed: no culprit, and no slot is left."""
    monkeypatch.setattr(type(dealt.suite.group), "add_at", lambda *_: None)
    static = dealt.parties[0].static
    with leaving_nothing(static.arena), pytest.raises(ProtocolAbort, match="own share") as caught:
        dkg.exchange(dealt.keeps[1], static, dealt.messages)
    assert caught.value.culprits == ()


@pytest.mark.parametrize(
    ("cheat", "sound"),
    [({}, True), ({"shares": {1: 1}}, False), ({"raw_shares": {1: bytes(32)}}, False)],
    ids=["honest", "wrong", "zero"],
)
def test_one_dealing_is_judged_by_the_accusers_key(
    dealt: Dealt, cheat: dict[str, dict[int, int]], sound: bool
) -> None:
    """Step 2.6.9; nothing is left behind."""
    accuser, dealer = dealt.parties[0], dealt.parties[1]
    dealing = forged(dealer, (600, 3), 91, **cheat)  # type: ignore[arg-type]
    with leaving_nothing(accuser.static.arena):
        assert dealt_soundly(accuser.setup, 1, accuser.static, 2, dealing) is sound
        other = replace(dealing, sealed=(dealing.sealed[1], *dealing.sealed[1:]))
        assert not dealt_soundly(accuser.setup, 1, accuser.static, 2, other)


def test_what_does_not_open_is_not_judged_by_what_it_left(
    dealt: Dealt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 2.5.7: a cipher may leave the right share where it says that nothing is authentic."""
    real = Pads.open

    def opens_and_denies(*arguments: Any) -> bool:
        assert real(*arguments)
        return False

    monkeypatch.setattr(Pads, "open", opens_and_denies)
    accuser = dealt.parties[0]
    dealing = Dealing1.from_bytes(dealt.messages[2], accuser.setup)
    assert not dealt_soundly(accuser.setup, 1, accuser.static, 2, dealing)
