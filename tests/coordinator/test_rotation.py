"""A holder puts another identity key into the place of its own (step 6.7.9)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.coordinator.consents import WaitingPlans
from hsm_mpc.errors import BackendError, NotReady, QuorumUnreachable, Refused
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import Scheme
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wire.calls import HolderMethod
from tests.coordinator.office import Office, Parts
from tests.coordinator.test_destruction import Honest, failing_at
from tests.coordinator.test_repair import lose_store, only_one_epoch_is_left, signs_in_every_pair
from tests.coordinator.test_replaced import Replace, history, replace_hsm, roster_of
from tests.coordinator.test_reshare import POLICY, every_quorum_signs, five

__all__ = ["five", "replace_hsm"]

ALL_FIVE = ("h1", "h2", "h3", "h4", "h5")


def test_the_next_refresh_carries_it_and_all_sign(office: Office) -> None:
    before = office.made()
    party = office.world.parties[2]
    old = party.acting.identity.key
    state = run_shielded(party.rotations.begin)
    assert (state.turned, state.ended, state.wallets) == (False, False, ("treasury",))
    assert party.acting.identity.key == old
    wallet = office.client.refresh("treasury", ())
    assert office.reports == []
    assert party.acting.identity.key == state.identity_key != old
    assert (wallet.body.epoch, wallet.body.group_key) == (1, before.body.group_key)
    assert wallet.newest is not None
    assert wallet.newest.replaced == ()
    signs_in_every_pair(office)
    for index in office.world.parties:
        only_one_epoch_is_left(office, index, wallet.body)
        assert roster_of(office, index) == wallet.body.terms.roster_hash
        run_shielded(partial(office.world.restarted, index))
    signs_in_every_pair(office)
    office.client.refresh("treasury", ())
    signs_in_every_pair(office)
    links = history(office).links
    assert [link.rotated for link in links] == [(), ("h2",), ()]
    assert [link.lost for link in links] == [(), (), ()]


def begun(office: Office, index: int = 2) -> VerifyingKey:
    """The new key of a holder whose operator has asked for one."""
    return run_shielded(office.world.parties[index].rotations.begin).identity_key


def key_of(office: Office, index: int = 2) -> VerifyingKey:
    return office.world.parties[index].acting.identity.key


def under_way(office: Office, index: int = 2) -> bool:
    return office.world.parties[index].rotations.is_under_way()


def test_without_the_operators_consent_nothing_turns_and_the_refresh_goes_on(
    office: Office,
) -> None:
    office.made()
    office.world.asking = frozenset({1})
    run_shielded(partial(office.world.restarted, 1))
    new = begun(office)
    assert office.client.refresh("treasury", ()).body.epoch == 1
    assert key_of(office) != new
    (report,) = office.reports
    assert "rotation of the identity key of h2: h1: the operator has not consented" in report
    consents = office.world.parties[1].ceremonies.consents
    (waiting,) = consents.waiting()
    run_shielded(partial(consents.agree, waiting.digest))
    assert office.client.refresh("treasury", ()).body.epoch == 2
    assert (key_of(office), under_way(office)) == (new, False)
    signs_in_every_pair(office)


def test_what_an_operator_has_declined_does_not_turn(office: Office) -> None:
    office.made()
    office.world.asking = frozenset({1})
    run_shielded(partial(office.world.restarted, 1))
    new = begun(office)
    office.client.refresh("treasury", ())
    consents = office.world.parties[1].ceremonies.consents
    (waiting,) = consents.waiting()
    run_shielded(partial(consents.decline, waiting.digest))
    office.client.refresh("treasury", ())
    assert key_of(office) != new
    assert "wants no part in that plan" in office.reports[-1]


def test_nothing_turns_as_long_as_somebody_does_not_answer(four: Office) -> None:
    new = begun(four)
    four.links[4].down = True
    assert four.client.refresh("treasury", (4,)).body.epoch == 1
    assert key_of(four) != new
    assert "nobody answers" in four.reports[-1]
    four.links[4].down = False
    four.client.refresh("treasury", ())
    assert (key_of(four), under_way(four)) == (new, False)


def test_the_old_key_waits_for_who_was_away_after_the_turn(four: Office) -> None:
    new = begun(four)

    def away(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.AMEND:
            raise BackendError("nobody answers")
        return honest(parts)

    four.links[4].tamper = away
    with pytest.raises(Refused) as refused:  # it has not taken what the proposal carries
        four.client.refresh("treasury", ())
    assert refused.value.rule == "other-roster"
    assert (key_of(four), under_way(four)) == (new, True)
    assert "the new key is not taken yet by h4" in four.reports[-1]
    four.links[4].down = True
    assert four.client.refresh("treasury", (4,)).body.epoch == 1
    assert under_way(four)
    four.links[4].down, four.links[4].tamper = False, None
    assert four.client.refresh("treasury", ()).body.epoch == 2
    assert not under_way(four)
    signs_in_every_pair(four)
    assert [link.rotated for link in history(four).links] == [(), ("h2",), ()]


def test_whoever_has_turned_may_be_away_when_it_is_carried(four: Office) -> None:
    """What it has said again by its new key is known: the others deal to it."""
    begun(four)
    four.links[1].tamper = failing_at(HolderMethod.JOIN)
    with pytest.raises(QuorumUnreachable):
        four.client.refresh("treasury", ())
    assert not under_way(four)
    four.links[1].tamper = None
    four.links[2].down = True
    assert four.client.refresh("treasury", (2,)).body.epoch == 1
    four.links[2].down = False
    four.client.refresh("treasury", ())
    signs_in_every_pair(four)


def test_a_coordinator_that_lost_all_reaches_whoever_has_turned(four: Office) -> None:
    begun(four)
    four.links[1].tamper = failing_at(HolderMethod.JOIN)
    with pytest.raises(QuorumUnreachable):
        four.client.refresh("treasury", ())
    with Office.opened(four.world, four.folder / "new") as lost:
        lost.recovery.from_all()
        body = lost.client.show("treasury").body
        said_again = lost.registry.repaired(body.terms.wallet_id)
        assert list(said_again) == [(body.hash, 2)]
        (holding,) = lost.recovery._holdings(2)
        lost.recovery._take_repaired(replace(holding, done=b""), 2)  # of whom a crash took it
        assert lost.registry.repaired(body.terms.wallet_id) == said_again
        lost.links[2].down = True
        assert lost.client.refresh("treasury", (2,)).body.epoch == 1
        lost.links[2].down = False
        lost.client.refresh("treasury", ())
        signs_in_every_pair(lost)
        assert [link.rotated for link in history(lost).links] == [(), ("h2",), ()]


def test_another_coordinators_wallet_is_told_of_too(office: Office) -> None:
    office.made()
    with Office.opened(office.world, office.folder / "second") as second:
        second.made("savings")
        new = begun(office)
        office.client.refresh("treasury", ())
        assert (key_of(office), under_way(office)) == (new, False)
        second.recovery.from_all()
        second.signed(second.client.show("savings"), b"pay", (1, 2))
        second.client.refresh("savings", ())
        second.signed(second.client.show("savings"), b"pay", (2, 3))


def test_two_holders_rotate_at_once(office: Office) -> None:
    office.made()
    new = [begun(office, index) for index in (1, 3)]
    office.client.refresh("treasury", ())
    office.client.refresh("treasury", ())
    assert [key_of(office, index) for index in (1, 3)] == new
    assert not under_way(office, 1)
    assert not under_way(office, 3)
    signs_in_every_pair(office)
    rotated = [name for link in history(office).links for name in link.rotated]
    assert sorted(rotated) == ["h1", "h3"]


def test_a_holder_speaks_for_no_other(office: Office) -> None:
    office.made()
    begun(office)

    def lies(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.ROTATION:
            return office.links[2].call(method, parts, 1.0)
        return honest(parts)

    office.links[1].tamper = lies
    office.links[2].tamper = None
    office.client.refresh("treasury", ())
    assert any("of h1: it tells of another holder's key" in each for each in office.reports)


def test_a_lost_hsm_is_replaced_after_its_key_was_rotated(
    office: Office, replace_hsm: Replace
) -> None:
    office.made()
    begun(office)
    office.client.refresh("treasury", ())
    replace_hsm(office, 2)
    wallet = office.client.repair("treasury", 2)
    assert wallet.newest is not None
    assert wallet.newest.replaced == (2,)
    signs_in_every_pair(office)
    links = history(office).links
    assert [link.rotated for link in links] == [(), ("h2",), ()]
    assert [link.replaced for link in links] == [(), (), ("h2",)]


def test_a_share_is_repaired_after_the_key_was_rotated(office: Office) -> None:
    """The same HSM says DESTROYED of what it had with the key before."""
    office.made()
    begun(office)
    office.links[2].tamper = failing_at(HolderMethod.RETIRE)
    office.client.refresh("treasury", ())
    office.links[2].tamper = None
    lose_store(office, 2)
    wallet = office.client.repair("treasury", 2)
    assert wallet.newest is not None
    assert wallet.newest.waiting_for == ()
    assert "h2" in history(office).links[0].destroyed
    signs_in_every_pair(office)


def test_a_destroyed_wallet_is_not_told_of(office: Office) -> None:
    office.made()
    office.client.destroy("treasury", "it is over")
    other = office.made("savings")
    state = run_shielded(office.world.parties[2].rotations.begin)
    assert state.wallets == ("savings",)
    office.client.refresh("savings", ())
    assert not under_way(office)
    office.signed(office.client.show("savings"), b"pay", (1, 2))
    assert other.body.group_key == office.client.show("savings").body.group_key


def test_a_holder_that_is_not_ready_says_why(office: Office) -> None:
    office.made()
    begun(office)

    def unready(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.ROTATION:
            raise NotReady("a wallet is not active")
        return honest(parts)

    office.links[2].tamper = unready
    office.client.refresh("treasury", ())
    assert office.reports == ["rotation of the identity key of h2: a wallet is not active"]


def test_the_plan_of_a_rotation_is_kept_by_its_holder_alone(office: Office) -> None:
    office.made()
    begun(office)
    _, source = run_shielded(office.world.parties[2].rotations.offered)
    rotate = Rotate.from_bytes(source)
    plans, now = WaitingPlans(office.registry, office.world.clock), office.world.clock()
    assert rotate.deadline > now
    office.registry.keep_plan("treasury", Plan.of(rotate).to_bytes(), now + 3600, now)
    office.world.now[0] = rotate.deadline - 3600
    assert plans.of("treasury") == []


def test_each_wallet_hears_of_it_by_the_place_that_the_holder_has_in_it(five: Office) -> None:
    """h4 is the second of one wallet, the fourth of another, and has left a third."""
    names = {"treasury": ("h2", "h4", "h5"), "savings": ALL_FIVE, "petty": ("h3", "h4")}
    for name, holders in names.items():
        five.client.create(name, Scheme.TAPROOT, 2, POLICY, holders)
    five.client.reshare("petty", 2, ("h1", "h3"))
    new = begun(five, 4)
    refreshed = [five.client.refresh(name, ()) for name in ("treasury", "savings")]
    assert five.reports == []
    assert (key_of(five, 4), under_way(five, 4)) == (new, False)
    for wallet in refreshed:
        every_quorum_signs(five, wallet)
    shared = five.client.reshare("treasury", 2, ("h1", "h4"))
    assert shared.roster.member(2).key == new
    every_quorum_signs(five, shared)
    with pytest.raises(
        Refused, match="another identity key"
    ):  # it has left that one before the rotation
        five.client.reshare("petty", 2, ("h3", "h4"))
