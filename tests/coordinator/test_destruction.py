"""`wallet destroy` at the relay and at the client: whom it asks, and what is believed (6.10)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hsm_mpc.certificates.destruction import WalletDestroyed
from hsm_mpc.client.verified import VerifiedEnd, verified_end
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    BadInput,
    Declined,
    NotReady,
    QuorumUnreachable,
    Refused,
    Tampered,
)
from hsm_mpc.ids import WalletId
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wire.calls import Call, CoordinatorMethod, HolderMethod, parts_of
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.wallet_calls import Shown
from tests.agent.making import keks, resigned
from tests.coordinator.office import Office, Parts

Honest = Callable[[Parts], tuple[bytes, ...]]


def destroyed(office: Office, reason: str = "we move") -> VerifiedEnd:
    return office.client.destroy("treasury", reason)


def asking(office: Office, *indices: int) -> None:
    office.world.asking = frozenset(indices)
    for index in indices:
        office.world.restarted(index)


def agree(office: Office, index: int) -> None:
    consents = office.world.parties[index].ceremonies.consents
    for plan in consents.waiting():
        run_shielded(partial(consents.agree, plan.digest))


def test_every_holder_destroys_its_keys_and_the_wallet_signs_no_more(office: Office) -> None:
    wallet = office.made()
    end = destroyed(office)
    assert (end.destroyed, end.waiting_for, end.is_final) == ((1, 2, 3), (), True)
    assert all(keks(party) == [] for party in office.world.parties.values())
    shown = office.client.show("treasury")
    assert shown.end == end
    assert office.client.names() == ("treasury",)
    with pytest.raises(Declined) as declined:
        office.signed(wallet)
    assert declined.value.rule == "wallet-destroyed"
    with pytest.raises(Refused, match="destroyed"):
        office.client.refresh("treasury", ())
    assert destroyed(office) == end


def test_a_refreshed_wallet_goes_in_its_newest_epoch(office: Office) -> None:
    office.made()
    office.client.refresh("treasury", ())
    assert destroyed(office).is_final
    assert all(keks(party) == [] for party in office.world.parties.values())


def test_no_key_goes_before_every_operator_has_consented(office: Office) -> None:
    office.made()
    asking(office, 1, 3)
    for waiting_for in (("h1", "h3"), ("h3",)):
        with pytest.raises(NotReady, match="holder admit") as not_yet:
            destroyed(office)
        assert not_yet.value.waiting_for == waiting_for
        assert all(len(keks(party)) == 1 for party in office.world.parties.values())
        agree(office, int(waiting_for[0][1]))
    assert destroyed(office).is_final
    assert office.registry.plans("treasury") == ()


def test_another_reason_is_another_plan(office: Office) -> None:
    office.made()
    asking(office, 2)
    for reason, plans in (("one", 1), ("one", 1), ("two", 2)):
        with pytest.raises(NotReady):
            destroyed(office, reason)
        assert len(office.world.parties[2].ceremonies.consents.waiting()) == plans


def test_who_declines_is_told_of_by_name(office: Office) -> None:
    office.made()
    asking(office, 2)
    with pytest.raises(NotReady):
        destroyed(office)
    consents = office.world.parties[2].ceremonies.consents
    run_shielded(partial(consents.decline, consents.waiting()[0].digest))
    with pytest.raises(Refused, match="holder h2") as refused:
        destroyed(office)
    assert refused.value.rule == "declined"
    assert office.registry.plans("treasury") == ()


def test_a_holder_that_is_away_keeps_its_key_and_is_waited_for(office: Office) -> None:
    office.made()
    office.links[3].down = True
    end = destroyed(office)
    assert (end.destroyed, end.waiting_for, end.is_final) == ((1, 2), (3,), True)
    assert len(keks(office.world.parties[3])) == 1
    office.links[3].down = False
    assert destroyed(office).waiting_for == ()
    assert keks(office.world.parties[3]) == []


def test_nothing_goes_while_the_others_could_still_sign(office: Office) -> None:
    office.made()
    office.links[2].down = office.links[3].down = True
    with pytest.raises(QuorumUnreachable, match="could still sign") as few:
        destroyed(office)
    assert few.value.waiting_for == ("h2", "h3")
    assert len(keks(office.world.parties[1])) == 1


def test_who_answers_and_does_not_obey_is_waited_for(office: Office) -> None:
    office.made()

    def lies(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        return answers[0] if method is HolderMethod.DESTROY else honest(parts)

    answers: list[tuple[bytes, ...]] = [(), (b"done",), (b"done", b"done")]
    office.links[2].tamper = lies
    while answers:
        assert destroyed(office).waiting_for == (2,)
        answers.pop()
    office.links[2].tamper = None
    assert destroyed(office).waiting_for == ()


def test_what_another_holder_said_is_not_taken_for_it(office: Office) -> None:
    office.made()
    said: list[bytes] = []

    def repeats(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is HolderMethod.DESTROY:
            said[:] = said or answer
            return tuple(said)
        return answer

    office.links[1].tamper = repeats
    destroyed(office)
    office.registry._database.execute("DELETE FROM ends")
    for index in (2, 3):
        office.links[index].tamper = repeats
    assert destroyed(office).destroyed == (1,)


def failing_at(*methods: HolderMethod) -> Callable[..., tuple[bytes, ...]]:
    """A link that is down whenever one of these is asked."""

    def tamper(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method in methods:
            raise BackendError("nobody answers")
        return honest(parts)

    return tamper


def unheard(*methods: HolderMethod) -> Callable[..., tuple[bytes, ...]]:
    """A link whose holder does what it is asked, and its answer to one of these is lost."""

    def tamper(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method in methods:
            raise BackendError("the answer is lost")
        return answer

    return tamper


def test_who_has_destroyed_is_told_though_the_others_fail_then(office: Office) -> None:
    office.made()
    for index in (2, 3):
        office.links[index].tamper = failing_at(HolderMethod.DESTROY)
    end = destroyed(office)
    assert (end.destroyed, end.waiting_for, end.is_final) == ((1,), (2, 3), False)
    assert office.client.show("treasury").end == end
    office.links[1].tamper = office.links[2].tamper = office.links[3].tamper = None
    assert destroyed(office).waiting_for == ()


def test_where_nobody_obeys_that_is_an_error(office: Office) -> None:
    office.made()
    for link in office.links.values():
        link.tamper = failing_at(HolderMethod.DESTROY)
    with pytest.raises(QuorumUnreachable, match="could still sign"):
        destroyed(office)


def test_one_that_is_of_no_use_keeps_the_others_from_nothing(office: Office) -> None:
    """Another refusal than its operator's is like silence, and costs nobody a consent."""
    office.made()
    asking(office, 1)

    def refuses(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.CONSIDER:
            raise Refused("too-many-plans", "no room")
        return honest(parts)

    office.links[2].tamper = refuses
    with pytest.raises(NotReady):
        destroyed(office)
    agree(office, 1)
    end = destroyed(office)
    assert (end.destroyed, end.waiting_for) == ((1, 3), (2,))


def test_a_holder_in_the_place_of_a_lost_one_keeps_the_others_from_nothing(office: Office) -> None:
    office.made()

    def knows_nothing(method: HolderMethod, parts: Parts, honest: Honest) -> tuple[bytes, ...]:
        raise Refused("unknown-wallet", "no such wallet")

    office.links[2].tamper = office.links[3].tamper = knows_nothing
    assert destroyed(office).destroyed == (1,)


def test_who_missed_the_last_refresh_is_brought_to_it_first(office: Office) -> None:
    office.made()
    office.links[3].down = True
    office.client.refresh("treasury", (3,))
    assert destroyed(office).waiting_for == (3,)
    office.links[3].down = False
    assert destroyed(office).waiting_for == ()
    assert keks(office.world.parties[3]) == []


def test_a_coordinator_that_lost_all_learns_what_is_destroyed(
    office: Office, tmp_path: Path
) -> None:
    office.made()
    office.links[3].down = True
    destroyed(office)
    office.links[3].down = False
    with Office.opened(office.world, tmp_path / "new") as lost:
        end = lost.client.show("treasury").end
        assert (end.destroyed, end.waiting_for) == ((1, 2), (3,))
        assert lost.registry.living() == ()


def test_a_wallet_that_never_became_active_goes_too(office: Office) -> None:
    office.links[3].tamper = lambda method, parts, honest: (
        (b"nothing",) if method is HolderMethod.CERTIFY else honest(parts)
    )
    with pytest.raises(BadEncoding):
        office.made()
    end = destroyed(office)
    assert end.destroyed == (1, 2)
    assert end.waiting_for == (3,)


def test_nobody_refreshes_what_is_destroyed(office: Office) -> None:
    office.made()
    office.client.refresh("treasury", ())
    destroyed(office)
    assert office.registry.living() == ()
    assert [wallet.name for wallet in office.registry.all()] == ["treasury"]


@pytest.mark.parametrize("reason", ["", "two\nlines"])
def test_a_reason_is_a_line(office: Office, reason: str) -> None:
    office.made()
    with pytest.raises(BadInput, match="reason"):
        destroyed(office, reason)


def test_an_unknown_wallet_is_not_destroyed(office: Office) -> None:
    with pytest.raises(BadInput, match="no wallet"):
        destroyed(office)


# What a client believes


def shown(office: Office) -> Shown:
    wallet = office.registry.named("treasury")
    assert wallet is not None
    messages = tuple(office.registry.destroyed(wallet.wallet_id).values())
    return Shown(wallet.certificate, wallet.dones, messages)


def believed(office: Office, *messages: bytes) -> VerifiedEnd:
    what, pinned = shown(office), KeyBook(office.world.roster, {})
    return verified_end(Shown(what.certificate, what.dones, messages), pinned)


def test_an_end_is_what_holders_have_signed(office: Office) -> None:
    office.made()
    destroyed(office)
    one, two, _ = shown(office).destroyed
    assert believed(office).destroyed == ()
    assert not believed(office, one).is_final
    assert believed(office, one, one).destroyed == (1,)
    assert believed(office, two, one).is_final
    address = parse_envelope(one).address
    other = WalletDestroyed(b"d" * 32, ()).to_bytes()
    assert believed(office, resigned(office.world, one, other)).destroyed == (1,)
    for forged in (
        one[:-1] + bytes([one[-1] ^ 1]),
        two[:-1],
        resigned(office.world, one, b"no payload"),
        resigned(office.world, one, None, replace(address, wallet_id=WalletId(b"o" * 16))),
    ):
        with pytest.raises(Tampered):
            believed(office, forged)


def test_the_end_of_another_wallet_is_not_believed(office: Office) -> None:
    office.made("savings")
    office.made()
    call = Call(CoordinatorMethod.DESTROY, (b"savings", b"we move")).to_bytes()
    office.coordinator.lie = lambda *_: parts_of(office.service.answer(call))
    with pytest.raises(Tampered, match="another wallet"):
        destroyed(office)
