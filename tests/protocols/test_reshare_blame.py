"""Every way to cheat in a resharing, and who is named for it (step 6.8.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import pytest

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.sharing import sum_of_commitments
from hsm_mpc.protocols import reshare
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Take
from tests.protocols.forgery import encoded, times_base
from tests.protocols.keygen import leaving_nothing, random_draws
from tests.protocols.refreshing import epoch_of, opened, random_epoch
from tests.protocols.reshare_reference import value
from tests.protocols.resharing import Messages, Resharing, before_dealing, resharing
from tests.protocols.test_dkg_blame import unreduced

LIAR = 2
ANOTHER = b"another attempt of the resharing"
OLD = None
"""An old holder, who sees only what is public."""


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Resharing:
    """3-of-4, reshared by holders 1, 2 and 4 to 3-of-5."""
    return resharing(random_epoch(any_suite, 3, 4), take, (1, 2, 4), 3, 5)


def culprits(at_work: Resharing, lies: Messages, me: int | None = 1) -> tuple[int, ...]:
    """Whom new holder `me` names, or an old one, if `lies` replace some messages.

    No slot is left.
    """
    messages = {**at_work.messages, **lies}
    if me is None:
        with pytest.raises(ProtocolAbort) as caught:
            at_work.check(messages)
        return caught.value.culprits
    delivery = at_work.new_delivery(me)
    with leaving_nothing(delivery.arena), pytest.raises(ProtocolAbort) as caught:
        reshare.receive(at_work.setup, me, delivery, messages)
    return caught.value.culprits


def named_by_all(at_work: Resharing, lies: Messages) -> set[tuple[int, ...]]:
    """By every new holder and an old one."""
    return {culprits(at_work, lies, me) for me in (*at_work.receivers, OLD)}


def at_one_only(at_work: Resharing, lie: bytes, me: int) -> bool:
    """Whether only new holder `me` sees that the dealing of `LIAR` is bad, and names it."""
    messages = {**at_work.messages, LIAR: lie}
    at_work.check(messages)
    for other in at_work.receivers:
        if other != me:
            abort(at_work.receive(other, messages))
    return culprits(at_work, {LIAR: lie}, me) == (LIAR,)


# --- dealers are exactly Q ------------------------------------------------------------------------


@pytest.mark.parametrize("dealers", [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), (0, 1, 2, 4)])
def test_a_resharing_wants_one_dealing_of_each_dealer(
    at_work: Resharing, dealers: tuple[int, ...]
) -> None:
    """Step 6.8.2: one is missing; one is of an old holder that does not deal, or of nobody."""
    messages = {index: at_work.messages.get(index, at_work.messages[1]) for index in dealers}
    for round_ in (at_work.check, lambda m: at_work.receive(1, m)):
        with pytest.raises(BadInput, match=r"not of \[1, 2, 4\]"):
            round_(messages)


# --- what it shares -------------------------------------------------------------------------------


@pytest.mark.parametrize("constant", ["plus one", "minus", "the share itself", "of another"])
def test_a_dealer_with_other_constant_names_dealer(at_work: Resharing, constant: str) -> None:
    """Step 6.8.3: C_{i,0} ≠ λ_i(Q; 0)·A(i), of a dealing that is sound otherwise."""
    part = at_work.part(LIAR)
    wrong = {
        "plus one": part + 1,
        "minus": -part,
        "the share itself": at_work.epoch.shares[LIAR],
        "of another": at_work.part(1),
    }[constant]
    lie = at_work.forged(LIAR, (5, 6), 71, constant=wrong)
    assert named_by_all(at_work, {LIAR: lie}) == {(LIAR,)}


def test_constants_that_make_another_sum_right_name_both_dealers(at_work: Resharing) -> None:
    """Step 6.8.3: one is too large by 1, the other too small, and A'_0 = A_0."""
    lies = {
        1: at_work.forged(1, (5, 6), 71, constant=at_work.part(1) + 1),
        2: at_work.forged(2, (7, 8), 72, constant=at_work.part(2) - 1),
    }
    assert named_by_all(at_work, lies) == {(1, 2)}


def test_the_part_of_another_set_of_dealers_names_its_dealer(
    at_work: Resharing, take: Take
) -> None:
    """Steps 1.2.5 and 6.8.3: λ_2({1, 2, 3}; 0) in place of λ_2({1, 2, 4}; 0)."""
    other = before_dealing(at_work.epoch, take, (1, 2, 3), 3, tuple(at_work.receivers.values()))
    lie = at_work.forged(LIAR, (5, 6), 71, constant=other.part(LIAR))
    assert named_by_all(at_work, {LIAR: lie}) == {(LIAR,)}


def test_the_share_of_an_older_epoch_names_its_dealer(at_work: Resharing) -> None:
    """Step 6.8.3: A(i) is that of the certified epoch."""
    older = random_epoch(at_work.suite, 3, 4, seed=9).shares[LIAR]
    lie = at_work.forged(LIAR, (5, 6), 71, constant=at_work.reference.part(LIAR, older))
    assert named_by_all(at_work, {LIAR: lie}) == {(LIAR,)}


# --- lengths and points ---------------------------------------------------------------------------


@pytest.mark.parametrize("rest", [(5,), (5, 6, 7), ()])
def test_another_number_of_points_names_its_dealer(
    at_work: Resharing, rest: tuple[int, ...]
) -> None:
    """Step 6.8.3: exactly t'; t_prime_plus_1_points, t' − 1, and the constant alone."""
    assert named_by_all(at_work, {LIAR: at_work.forged(LIAR, rest, 71)}) == {(LIAR,)}


def test_another_number_of_frames_names_its_dealer(at_work: Resharing) -> None:
    """Steps 1.1.3 and 6.8.3: n' of them, and nothing behind."""
    honest = at_work.dealing(LIAR)
    for lie in (
        replace(honest, sealed=honest.sealed[:-1]).to_bytes(),
        replace(honest, sealed=(*honest.sealed, honest.sealed[0])).to_bytes(),
        honest.to_bytes() + b"\0",
        b"",
    ):
        assert named_by_all(at_work, {LIAR: lie}) == {(LIAR,)}


def test_a_share_with_a_payload_names_its_dealer(at_work: Resharing) -> None:
    """Step 2.3.7: a frame of 49 bytes, also if it is for another holder."""
    lie = at_work.forged(LIAR, (5, 6), 71, raw={3: bytes(33)})
    assert named_by_all(at_work, {LIAR: lie}) == {(LIAR,)}


@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_point_that_is_none_names_its_dealer(at_work: Resharing, place: int) -> None:
    """Step 6.8.3: of commitments, and E."""
    group, message = at_work.suite.group, at_work.messages[LIAR]
    start = place * group.point_length
    if place == 3:
        start += 3 * (group.point_length + group.scalar_length)
    for wrong in (bytes(group.point_length), b"\1" + bytes(group.point_length - 1)):
        lie = message[:start] + wrong + message[start + len(wrong) :]
        assert named_by_all(at_work, {LIAR: lie}) == {(LIAR,)}


# --- proofs, copies, replays ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    ["possession", "ephemeral_possession", "static_possession", "ephemeral", "commitments"],
)
def test_a_proof_belongs_to_the_rest_of_its_dealing(at_work: Resharing, part: str) -> None:
    """Step 6.8.3: of two dealings of one dealer, both sound."""
    other = replace(at_work.dealing(LIAR))
    honest = type(other).from_bytes(at_work.forged(LIAR, (5, 6), 71), at_work.setup)
    lie = replace(honest, **{part: getattr(other, part)}).to_bytes()
    assert named_by_all(at_work, {LIAR: lie}) == {(LIAR,)}


def test_a_proof_of_another_point_names_its_dealer(at_work: Resharing) -> None:
    """Step 6.8.2: PoP is under C_{i,0}; who has not got the share proves C_{i,1} or E instead."""
    suite, reference, setup = at_work.suite, at_work.reference, at_work.setup
    honest = at_work.dealing(LIAR)
    commitments = (honest.commitments[0], *(times_base(suite, b) for b in (5, 6)))
    signed = setup.context + b"".join(commitments) + times_base(suite, 71)
    of_ephemeral, of_static = (
        reference.curve.signature(secret, signed + LIAR.to_bytes(2, "big"))
        for secret in (71, at_work.epoch.deliveries[LIAR])
    )
    for known in (5, 71):
        proof = reference.curve.signature(known, signed)
        lie = replace(
            honest,
            commitments=commitments,
            possession=proof,
            ephemeral=times_base(suite, 71),
            ephemeral_possession=of_ephemeral,
            static_possession=of_static,
        )
        assert named_by_all(at_work, {LIAR: lie.to_bytes()}) == {(LIAR,)}


def test_a_copied_dealing_names_only_its_copier(at_work: Resharing) -> None:
    """Step 6.8.3: whole, and with the own ciphertexts."""
    first = at_work.dealing(1)
    for lie in (first, replace(first, sealed=at_work.dealing(LIAR).sealed)):
        assert named_by_all(at_work, {LIAR: lie.to_bytes()}) == {(LIAR,)}


def test_a_copied_ephemeral_key_names_only_its_copier(at_work: Resharing) -> None:
    """Step 6.8.3: E_2 = E_1, of which holder 2 proves no logarithm; an old holder sees it, too."""
    copied = at_work.dealing(1).ephemeral
    lies = {LIAR: at_work.forged(LIAR, (5, 6), 71, shown=copied)}
    assert named_by_all(at_work, lies) == {(LIAR,)}


@pytest.mark.parametrize("twelfth", [1000, 2**200 + 7])
def test_parts_of_the_key_that_are_equal_name_nobody(
    any_suite: Suite, take: Take, twelfth: int
) -> None:
    """Step 6.8.3: f(1) = 60 and f(4) = −12 make w_3 = w_6 over {1, 3, 6}, whatever the key is.

    Holders 1 and 4 of a 3-of-6 can come to these shares if they deal last in a refresh.
    """
    coefficients = (12 * twelfth, 81 - 15 * twelfth, 3 * twelfth - 21)
    epoch = epoch_of(any_suite, coefficients, range(11, 17))
    at_work = resharing(epoch, take, (1, 3, 6), 2, 3)
    assert at_work.part(3) == at_work.part(6)
    assert at_work.check()[0] == epoch.commitments[0]
    for me in at_work.receivers:
        abort(at_work.receive(me))


def test_an_ephemeral_key_that_two_dealers_share_harms_nobody_else(at_work: Resharing) -> None:
    """Step 6.8.3: both know e. Their pads differ by V_i, and what they hide is their own."""
    lies = {dealer: at_work.forged(dealer, (5, 6), 71) for dealer in (1, 2)}
    messages = {**at_work.messages, **lies}
    for me in at_work.receivers:
        abort(at_work.receive(me, messages))


def test_a_dealing_of_another_session_names_its_dealer(at_work: Resharing) -> None:
    """Step 6.8.2: proof and pads are bound to the sid; a replay."""
    replayed = at_work.forged(LIAR, (5, 6), 71, session=ANOTHER)
    assert named_by_all(at_work, {LIAR: replayed}) == {(LIAR,)}
    honest, end = at_work.forged(LIAR, (5, 6), 71), -5 * (8 + 48)
    assert named_by_all(at_work, {LIAR: replayed[:end] + honest[end:]}) == {(LIAR,)}
    mixed = honest[:end] + replayed[end:]
    assert {culprits(at_work, {LIAR: mixed}, me) for me in at_work.receivers} == {(LIAR,)}


def test_a_dealing_to_other_new_holders_names_its_dealer(at_work: Resharing, take: Take) -> None:
    """Step 6.8.2: of an attempt with the same sid, where one V' was another."""
    others = (*tuple(at_work.receivers.values())[:4], 4242)
    other = before_dealing(at_work.epoch, take, (1, 2, 4), 3, others)
    lie = other.forged(LIAR, (5, 6), 71)
    assert named_by_all(at_work, {LIAR: lie}) == {(LIAR,)}


# --- the share for us -----------------------------------------------------------------------------


def test_a_flipped_ciphertext_bit_names_its_dealer(at_work: Resharing) -> None:
    """Step 6.8.3: at the one whose ciphertext it is; nobody else can see it."""
    width = 8 + 48
    for me, bit in product((1, 3, 5), (0, 7)):
        changed = bytearray(at_work.messages[LIAR])
        changed[len(changed) - (6 - me) * width + 8] ^= 1 << bit
        assert at_one_only(at_work, bytes(changed), me)


def test_a_ciphertext_of_another_new_holder_names_its_dealer(at_work: Resharing) -> None:
    """Step 6.8.3."""
    honest = at_work.dealing(LIAR)
    first, second, *rest = honest.sealed
    swapped = replace(honest, sealed=(second, first, *rest)).to_bytes()
    named = [culprits(at_work, {LIAR: swapped}, me) for me in (1, 2)]
    assert named == [(LIAR,)] * 2
    abort(at_work.receive(3, {**at_work.messages, LIAR: swapped}))


def test_a_share_to_an_old_holder_of_this_index_names_its_dealer(at_work: Resharing) -> None:
    """Step 6.8.2: sealed to V_1..V_4, 5 in place of V'_1..V'_5."""
    reference = at_work.reference
    old = (*reference.deliveries, 4242)
    coefficients = [at_work.part(LIAR), 5, 6]
    wrong = replace(reference, receivers=old).dealing(LIAR, coefficients, 71)
    head, end = reference.dealing(LIAR, coefficients, 71), -5 * (8 + 48)
    lie = head[:end] + wrong[end:]
    assert {culprits(at_work, {LIAR: lie}, me) for me in at_work.receivers} == {(LIAR,)}


@pytest.mark.parametrize("raw", ["order", "largest", "zero", "unreduced"])
def test_a_share_that_is_no_scalar_names_its_dealer(at_work: Resharing, raw: str) -> None:
    """Step 1.8.7; in the last one f(me) = 5 is sent as 5 + q."""
    suite = at_work.suite
    for me in (1, 4):
        slope = (5 - at_work.part(LIAR) - 6 * me**2) * pow(me, -1, suite.group.order)
        plaintext = {
            "order": unreduced(suite, 0),
            "largest": b"\xff" * 32,
            "zero": bytes(32),
            "unreduced": unreduced(suite, 5),
        }[raw]
        lie = at_work.forged(LIAR, (slope, 6), 71, raw={me: plaintext})
        assert at_one_only(at_work, lie, me)


def test_a_share_that_is_truly_0_names_its_dealer(at_work: Resharing) -> None:
    """Step 1.8.7: f(me) = 0, as it is committed to; an honest dealer never hits that."""
    me = 3
    slope = -(at_work.part(LIAR) + 6 * me**2) * pow(me, -1, at_work.suite.group.order)
    assert at_one_only(at_work, at_work.forged(LIAR, (slope, 6), 71), me)


@pytest.mark.parametrize("off", [1, -1, 2**200])
def test_a_wrong_share_names_its_dealer(at_work: Resharing, off: int) -> None:
    """Step 6.8.3: Feldman's check."""
    for me in (1, 5):
        right = value((at_work.part(LIAR), 5, 6), me)
        raw = {me: encoded(at_work.suite, right + off)}
        assert at_one_only(at_work, at_work.forged(LIAR, (5, 6), 71, raw=raw), me)


def test_the_share_of_another_new_holder_names_its_dealer(at_work: Resharing) -> None:
    """Step 6.8.3: f(2) for holder 1, and f(0), which is the part itself."""
    for at in (0, 2):
        share = encoded(at_work.suite, value((at_work.part(LIAR), 5, 6), at))
        assert at_one_only(at_work, at_work.forged(LIAR, (5, 6), 71, raw={1: share}), 1)


def test_errors_that_cancel_out_name_both_dealers_of_shares(at_work: Resharing) -> None:
    """Step 6.8.3: +1 and −1, and the sum of all shares is the right one."""
    lies = {
        dealer: at_work.forged(
            dealer,
            (5, 6),
            70 + dealer,
            raw={1: encoded(at_work.suite, value((at_work.part(dealer), 5, 6), 1) + off)},
        )
        for dealer, off in ((1, 1), (2, -1))
    }
    assert culprits(at_work, lies) == (1, 2)


def test_all_culprits_of_a_resharing_are_named_at_once(any_suite: Suite, take: Take) -> None:
    """Section 1.10: a length, a constant, a proof, a ciphertext and a share."""
    at_work = resharing(random_epoch(any_suite, 6, 6), take, range(1, 7), 2, 3)
    unproven = replace(at_work.dealing(3), ephemeral=times_base(any_suite, 71))
    unopened = bytearray(at_work.messages[4])
    unopened[-3 * (8 + 48) + 20] ^= 1
    lies = {
        1: at_work.messages[1][:-1],
        2: at_work.forged(2, (5,), 72, constant=6),
        3: unproven.to_bytes(),
        4: bytes(unopened),
        5: at_work.forged(5, (5,), 75, raw={1: encoded(any_suite, 1)}),
    }
    with pytest.raises(ProtocolAbort) as caught:
        at_work.receive(1, {**at_work.messages, **lies})
    assert caught.value.culprits == (1, 2, 3, 4, 5)
    for reason in ("left", "not its part", "possession", "does not open", "not the committed one"):
        assert reason in str(caught.value)
    assert culprits(at_work, lies, OLD) == (1, 2, 3)


def test_every_changed_byte_of_a_dealing_names_its_dealer(at_work: Resharing) -> None:
    """Step 6.8.3: and nobody else; in what is sealed for others only they see it."""
    message, me, width = at_work.messages[LIAR], 2, 8 + 48
    sealed = len(message) - 5 * width
    for place in range(0, len(message), 7):
        changed = bytearray(message)
        changed[place] ^= 1 << place % 8
        lies, (of, at) = {LIAR: bytes(changed)}, divmod(place - sealed, width)
        if place < sealed or of + 1 == me or at < 8:
            assert culprits(at_work, lies, me) == (LIAR,)
        else:
            abort(at_work.receive(me, {**at_work.messages, **lies}))


# --- sums -----------------------------------------------------------------------------------------


def test_a_sum_of_commitments_that_is_the_identity_names_nobody(at_work: Resharing) -> None:
    """Step 6.8.3: A'_1 = O or A'_2 = O, by dealers that lie together; t' would be less."""
    for first, second in (((5, 6), (-10, 8)), ((5, 6), (7, -12))):
        lies = {
            1: at_work.forged(1, first, 71),
            2: at_work.forged(2, second, 72),
            4: at_work.forged(4, first, 74),
        }
        assert named_by_all(at_work, lies) == {()}
    with pytest.raises(ProtocolAbort, match="coefficient 2 is the identity"):
        at_work.receive(1, lies)


def test_a_public_share_that_is_the_identity_names_nobody(at_work: Resharing) -> None:
    """Step 6.8.3: A'(4) = O, which holder 1 sees though its own share is good."""
    group = at_work.suite.group
    key = sum(map(at_work.part, at_work.setup.dealers))
    slope = -(key + 30 * 4**2) * pow(4, -1, group.order) - 20
    lies = {
        1: at_work.forged(1, (10, 10), 71),
        2: at_work.forged(2, (10, 10), 72),
        4: at_work.forged(4, (slope, 10), 74),
    }
    for me in at_work.receivers:
        assert culprits(at_work, lies, me) == ()
    with pytest.raises(ProtocolAbort, match="holder 4 is the identity"):
        at_work.receive(1, lies)


def test_a_liar_is_named_though_a_sum_is_the_identity(at_work: Resharing) -> None:
    """Step 6.8.3."""
    lies = {
        1: at_work.forged(1, (5, 6), 71),
        2: at_work.forged(2, (7, -12), 72, raw={1: encoded(at_work.suite, 1)}),
        4: at_work.forged(4, (5, 6), 74),
    }
    assert culprits(at_work, lies) == (LIAR,)


@pytest.mark.parametrize("pair", [(1, 2), (2, 4), (1, 4)])
def test_dealers_whose_shares_cancel_do_not_stop_a_resharing(
    at_work: Resharing, pair: tuple[int, int]
) -> None:
    """Steps 1.8.4 and 6.8.3: two dealings, each sound, whose shares for us add up to 0.

    The library refuses a sum of 0. The two would have ended the attempt, and nobody were to blame.
    """
    me, group = 3, at_work.suite.group
    first, second = pair
    to_us = value((at_work.part(first), 5, 6), me)
    slope = -(to_us + at_work.part(second) + 7 * me**2) * pow(me, -1, group.order)
    lies = {
        first: at_work.forged(first, (5, 6), 71),
        second: at_work.forged(second, (slope, 7), 72),
    }
    renewed = at_work.receive(me, {**at_work.messages, **lies})
    assert group.public_point(renewed.share) == renewed.public_shares[me - 1]
    abort(renewed)


def test_dealers_that_all_lie_together_stop_nothing_by_sums_on_the_way(
    at_work: Resharing,
) -> None:
    """Steps 1.8.4 and 6.8.3: shares 9, −9 and 11 for us; the result is 11."""
    me, group = 2, at_work.suite.group
    lies = {}
    for dealer, to_us in ((1, 9), (2, -9), (4, 11)):
        slope = (to_us - at_work.part(dealer) - dealer * me**2) * pow(me, -1, group.order)
        lies[dealer] = at_work.forged(dealer, (slope, dealer), 70 + dealer)
    assert opened(at_work.suite, at_work.receive(me, lies)) == 11


def test_parts_that_do_not_add_up_to_the_key_are_found(
    at_work: Resharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.8.3: A'_0 = A_0, though memory or library failed."""

    def failing(*given: object) -> tuple[bytes, ...]:
        first, *rest = sum_of_commitments(*given)  # type: ignore[arg-type]
        return (rest[0], first, *rest[1:])

    monkeypatch.setattr(reshare, "sum_of_commitments", failing)
    assert named_by_all(at_work, {}) == {()}
    with pytest.raises(ProtocolAbort, match="do not add up"):
        at_work.check()


# --- our own secrets ------------------------------------------------------------------------------


def refused(at_work: Resharing, match: str, round_: Callable[[], object]) -> None:
    """Nobody is named, and no slot is left."""
    arena = at_work.take(32).arena
    with leaving_nothing(arena), pytest.raises(ProtocolAbort, match=match) as caught:
        round_()
    assert caught.value.culprits == ()


def test_another_delivery_key_than_ours_accuses_nobody_in_a_resharing(at_work: Resharing) -> None:
    """Step 6.8.3: nothing would open, and every dealer would be named."""
    setup, share, draws = at_work.setup, at_work.share(1), random_draws(at_work.suite, 1)
    for wrong in (at_work.delivery(2), at_work.new_delivery(1)):
        refused(at_work, "own index 1", partial(reshare.deal, setup, 1, wrong, share, draws))
    for wrong in (at_work.new_delivery(2), at_work.delivery(1)):
        refused(at_work, "new index 1", partial(reshare.receive, setup, 1, wrong, at_work.messages))


def test_a_share_that_is_not_ours_is_never_dealt(at_work: Resharing) -> None:
    """Steps 6.8.2 and 6.8.3: of another holder or epoch. Everybody would name us."""
    older = random_epoch(at_work.suite, 3, 4, seed=9)
    at_older = before_dealing(older, at_work.take, (1, 2, 4), 3, (21, 22, 23))
    own, draws = at_work.delivery(1), random_draws(at_work.suite, 1)
    for wrong in (at_work.share(2), at_older.share(1)):
        refused(
            at_work,
            "own share does not fit",
            partial(reshare.deal, at_work.setup, 1, own, wrong, draws),
        )


def test_a_fault_in_adding_up_the_parts_is_caught(
    at_work: Resharing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.8.3: memory or library failed."""
    monkeypatch.setattr(type(at_work.suite.group), "add_at", lambda *_: None)
    assert culprits(at_work, {}) == ()
