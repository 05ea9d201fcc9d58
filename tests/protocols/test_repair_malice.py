"""Every field of R1 and R2 changed by its sender, and whole messages by whoever carries them.

What the carrier changes is refused before, by the signature of the envelope (step 1.7.3). So here
holder 2 has signed what comes, and it is seen whom each honest party names: only ever holder 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.protocols import repair
from hsm_mpc.protocols.repair_checks import verify
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Take
from tests.malice.fields import Field, Layout
from tests.protocols.keygen import random_draws
from tests.protocols.refreshing import random_epoch
from tests.protocols.repairing import Repairing, opened, repairing

LIAR, LOST, HELPERS = 2, 3, (1, 2, 4)


@pytest.fixture
def at_work(any_suite: Suite, take: Take) -> Repairing:
    """3-of-4: holders 1, 2 and 4 repair the share of holder 3. Holder 2 lies."""
    return repairing(random_epoch(any_suite, 3, 4), take, LOST, HELPERS)


def of_split(suite: Suite) -> list[Field]:
    """The fields of R1."""
    layout = Layout(suite.group)
    for helper in HELPERS:
        layout.point(f"D for h{helper}")
    proof = suite.group.point_length + 32
    layout.signature("PoP", proof).signature("PoP^V", proof).point("E")
    for helper in HELPERS:
        layout.length(f"the frame for h{helper}", 8)
        layout.raw(f"ciphertext for h{helper}", 32).raw(f"tag for h{helper}", 16)
    return layout.ends()


def of_sum(suite: Suite) -> list[Field]:
    """The fields of R2."""
    layout, proof = Layout(suite.group).raw("digest", 32), suite.group.point_length + 32
    layout.signature("PoP", proof).signature("PoP^V", proof).point("E").length("the frame", 8)
    return layout.raw("ciphertext", 32).raw("tag", 16).ends()


def named(round_: Callable[[], object]) -> tuple[int, ...] | None:
    """Whom a round names; None if it goes on."""
    try:
        round_()
    except ProtocolAbort as aborted:
        return aborted.culprits
    return None


def collected(at_work: Repairing, messages: Mapping[int, bytes], me: int) -> tuple[int, ...] | None:
    delivery, draws = at_work.delivery(me), random_draws(at_work.suite, 1)
    return named(lambda: repair.collect(at_work.keeps[me], delivery, messages, draws))


def recovered(at_work: Repairing, sums: Mapping[int, bytes]) -> tuple[int, ...] | None:
    splits, delivery = at_work.splits(), at_work.delivery(LOST)
    return named(lambda: repair.recover(splits, delivery, sums).release())


def test_every_changed_field_of_a_split_names_its_sender(at_work: Repairing) -> None:
    """Step 6.7.4: in public; a ciphertext at its receiver only, that for the liar at nobody."""
    for field in of_split(at_work.suite):
        messages = {**at_work.messages, LIAR: field.change(at_work.messages[LIAR])}
        sealed = field.name.startswith(("ciphertext", "tag"))
        public = None if sealed else (LIAR,)
        assert named(lambda: verify(at_work.setup, messages)) == public, field.name  # noqa: B023
        for me in (1, 4):
            wanted = (LIAR,) if not sealed or field.name.endswith(f"h{me}") else None
            assert collected(at_work, messages, me) == wanted, (field.name, me)


def test_every_changed_field_of_a_sum_names_its_sender(at_work: Repairing) -> None:
    """Step 6.7.5."""
    sums = at_work.sums()
    for field in of_sum(at_work.suite):
        lied = {**sums, LIAR: field.change(sums[LIAR])}
        assert recovered(at_work, lied) == (LIAR,), field.name


def test_dropped_and_doubled_messages_are_the_carriers(at_work: Repairing) -> None:
    """Steps 6.7.4 and 6.7.5: nobody is named, and nothing is said of them."""
    sums, draws = at_work.sums(), random_draws(at_work.suite, 1)
    splits, lost, own = at_work.splits(), at_work.delivery(LOST), at_work.delivery(1)
    for dropped in HELPERS:
        some = {index: each for index, each in at_work.messages.items() if index != dropped}
        with pytest.raises(BadInput):
            verify(at_work.setup, some)
        with pytest.raises(BadInput):
            repair.collect(at_work.keeps[1], own, some, draws)
        with pytest.raises(BadInput):
            some = {index: each for index, each in sums.items() if index != dropped}
            repair.recover(splits, lost, some)
    with pytest.raises(BadInput):
        verify(at_work.setup, {**at_work.messages, LOST: at_work.messages[1]})


def test_messages_in_anothers_place_name_whose_signature_is_on_them(at_work: Repairing) -> None:
    """Steps 6.7.4 and 6.7.5: holder 2 signs what another sent, of either round."""
    sums, other = at_work.sums(), at_work.messages
    for theirs in (other[1], other[4], sums[1], sums[LIAR]):
        messages = {**other, LIAR: theirs}
        assert named(lambda: verify(at_work.setup, messages)) == (LIAR,)  # noqa: B023
        for me in (1, 4):
            assert collected(at_work, messages, me) == (LIAR,)
    for theirs in (sums[1], sums[4], other[1], other[LIAR]):
        assert recovered(at_work, {**sums, LIAR: theirs}) == (LIAR,)


def test_messages_of_another_repair_name_whoever_replays_them(
    at_work: Repairing, any_suite: Suite, take: Take
) -> None:
    """Step 6.7.2: of another order, with the same helpers or with others, and of another epoch."""
    sums, messages = at_work.sums(), at_work.messages
    past = at_work.reference.of_session(b"an earlier order".ljust(32, b"."))
    replayed = [past.split(LIAR, at_work.deltas(LIAR), 71)]
    others = repairing(at_work.epoch, take, 1, (2, 3, 4))
    elsewhere = repairing(random_epoch(any_suite, 3, 4, seed=2), take, LOST, HELPERS)
    replayed += [others.messages[LIAR], elsewhere.messages[LIAR]]
    for split in replayed:
        lied = {**messages, LIAR: split}
        assert named(lambda: verify(at_work.setup, lied)) == (LIAR,)  # noqa: B023
        assert collected(at_work, lied, 1) == (LIAR,)
    for made in (others.sums()[LIAR], elsewhere.sums()[LIAR]):
        assert recovered(at_work, {**sums, LIAR: made}) == (LIAR,)


def test_a_second_split_of_ones_own_is_as_good_as_the_first(at_work: Repairing) -> None:
    """Step 1.7.4: that it is the second, its two signatures prove; all who see one go on."""
    second = {
        **at_work.messages,
        LIAR: at_work.reference.split(LIAR, at_work.deltas(LIAR), 71),
    }
    for me in (1, 4):
        assert collected(at_work, second, me) is None
    keep = repair.resume(at_work.setup, LIAR, at_work.delivery(LIAR), second[LIAR])
    at_work.keeps[LIAR] = keep
    share = at_work.recover(messages=second)
    assert opened(at_work.suite, share) == at_work.epoch.shares[LOST]


def test_liars_in_the_majority_are_named_all_the_same(at_work: Repairing) -> None:
    """Steps 6.7.4 and 6.7.5: t − 1 liars, and the one that is honest."""
    lied = {index: each[:-1] for index, each in at_work.messages.items() if index != 1}
    assert collected(at_work, {**at_work.messages, **lied}, 1) == (2, 4)
    sums = at_work.sums()
    false = {index: each[:-1] + bytes([each[-1] ^ 1]) for index, each in sums.items() if index != 1}
    assert recovered(at_work, {**sums, **false}) == (2, 4)
