"""What a coordinator does for clients, with real holders in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import coincurve
import pytest

from hsm_mpc.agent.consents import Consents
from hsm_mpc.agent.reservations import ROUND_SECONDS
from hsm_mpc.certificates.clients import Client
from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.coordinator import registry
from hsm_mpc.coordinator.consents import PLAN_SECONDS
from hsm_mpc.coordinator.service import CoordinatorService
from hsm_mpc.encoding import Reader, lv32
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    BadInput,
    HoldersBlamed,
    HsmMpcError,
    NameTaken,
    NotReady,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
)
from hsm_mpc.identity import Algorithm, VerifyingKey
from hsm_mpc.requests import RequestType
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.calls import Call, CoordinatorMethod, HolderMethod, parts_of
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.wallet_calls import indices_from_bytes, indices_to_bytes
from tests.agent.making import resigned
from tests.agent.simulate import World
from tests.coordinator.office import Office

Honest = Callable[[Sequence[bytes]], tuple[bytes, ...]]


def asked(service: CoordinatorService, method: int, *parts: bytes) -> tuple[bytes, ...]:
    return parts_of(service.answer(Call(method, parts).to_bytes()))


# Making a wallet


def test_a_wallet_is_made_shown_listed_and_signs(office: Office) -> None:
    wallet = office.made()
    assert office.client.show("treasury").certificate == wallet.certificate
    assert office.client.names() == ("treasury",)
    signed = office.signed(wallet)
    assert coincurve.PublicKeyXOnly(signed.public_key).verify(signed.signature, b"pay")


def test_a_name_is_given_once(shared_office: Office) -> None:
    with pytest.raises(NameTaken):
        shared_office.made("treasury")
    assert all(link.asked == [] for link in shared_office.links.values())


def test_of_two_that_make_one_name_at_once_one_gets_it(office: Office) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(office.made, "same") for _ in range(2)]
        outcomes = [future.exception() for future in both]
    assert [type(outcome) for outcome in outcomes if outcome] == [NameTaken]
    assert office.client.names() == ("same",)


def test_a_holder_that_is_down_is_named_and_the_name_stays_free(office: Office) -> None:
    office.links[2].down = True
    with pytest.raises(QuorumUnreachable) as unreachable:
        office.made()
    assert unreachable.value.waiting_for == ("h2",)
    office.links[2].down = False
    office.made()


def test_messages_that_make_no_certificate_are_evidence_against_nobody(
    office: Office, world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    """Step 2.5.12: a false signature under the transcript, in a message that its holder signed."""
    channels: list[bytes] = []
    confirmations: list[bytes] = []

    def lies(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is not HolderMethod.COMMITMENTS:
            return answer
        payload = bytearray(parse_envelope(answer[0]).payload)
        payload[-1] ^= 1
        channels[:] = parts[world.roster.n :]
        confirmations.append(resigned(world, answer[0], bytes(payload)))
        return (confirmations[0],)

    office.links[2].tamper = lies
    with pytest.raises(ProtocolAbort, match=r"made no certificate: .*holder 2") as aborted:
        office.made()
    assert aborted.value.culprits == ()
    (case,) = office.evidence()
    kept = case.read_bytes()
    assert all(lv32(message) in kept for message in (*channels, confirmations[0]))
    reader, messages = Reader(kept, "case"), []
    while reader.consumed < len(kept):
        messages.append(reader.lv32())
    assert len(messages) == 3 * world.roster.n
    assert "the key generation of treasury made no certificate" in capfd.readouterr().err


def test_a_holder_that_cheats_in_key_generation_is_named(office: Office) -> None:

    def abort(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.COMMITMENTS:
            raise ProtocolAbort("bad share", [3])
        return honest(parts)

    office.links[1].tamper = abort
    with pytest.raises(HoldersBlamed) as blamed:
        office.made()
    assert blamed.value.names == ("h3",)
    assert blamed.value.facts() == {"culprits": ["h3"]}


def test_a_wallet_that_a_holder_did_not_confirm_is_certified_and_not_shown(office: Office) -> None:
    """Step 2.6.8: certificate_without_n_done_is_not_shown."""

    def dies(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.CERTIFY:
            raise BackendError("dead")
        return honest(parts)

    office.links[3].tamper = dies
    with pytest.raises(NotReady) as waiting:
        office.made()
    assert waiting.value.waiting_for == ("h3",)
    with pytest.raises(NotReady):
        office.client.show("treasury")
    office.links[3].tamper = None
    office.signed(office.client.show("treasury"))


def test_a_holder_that_answers_with_more_than_one_message_is_named(office: Office) -> None:
    office.links[2].tamper = lambda method, parts, honest: (*honest(parts), b"more")
    with pytest.raises(BadEncoding, match="holder h2 answers CONSIDER with 2 parts"):
        office.made()


def test_a_wallet_that_nobody_made_is_not_there(shared_office: Office) -> None:
    with pytest.raises(BadInput, match="no wallet called 'nothing'"):
        shared_office.client.show("nothing")


# Signing


def test_every_path_gives_its_own_key(shared_office: Office, treasury: VerifiedWallet) -> None:
    keys = set()
    for path in (Path(), Path(0, 5), Path(1, 2**31 - 1)):
        signed = shared_office.client.sign(treasury, RequestType.MESSAGE, b"", path, ())
        assert coincurve.PublicKeyXOnly(signed.public_key).verify(signed.signature, b"")
        keys.add(signed.public_key)
    assert len(keys) == 3


def test_only_the_signers_that_are_asked_for_sign(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    assert shared_office.signed(treasury, signers=[1, 3]).signers == (1, 3)
    assert shared_office.links[2].asked == []


def test_signers_outside_of_the_roster_are_refused(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    with pytest.raises(BadInput, match="not in the roster"):
        shared_office.signed(treasury, signers=[1, 4])


def test_eight_requests_at_once_are_all_signed(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: shared_office.signed(treasury, b"%d" % i), range(24)))


def test_a_request_for_an_unknown_wallet_waits_for_it(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    other = shared_office.client._requester.request(treasury, RequestType.MESSAGE, b"x", Path())
    unknown = other.to_bytes().replace(treasury.certificate.body.terms.wallet_id, b"?" * 16)
    with pytest.raises(NotReady):
        asked(shared_office.service, CoordinatorMethod.SIGN, unknown, b"")


def test_a_request_with_two_paths_is_none_for_one_signature(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    request = shared_office.client._requester.request(treasury, RequestType.MESSAGE, b"x", Path())
    twice = replace(request, content=replace(request.content, paths=(Path(), Path())))
    with pytest.raises(BadEncoding, match="one path"):
        asked(shared_office.service, CoordinatorMethod.SIGN, twice.to_bytes(), b"")


# The service itself


def test_status_names_the_holders_that_answer(shared_office: Office) -> None:
    shared_office.links[1].down = True
    (there,) = asked(shared_office.service, CoordinatorMethod.STATUS)
    assert indices_from_bytes(there) == (2, 3) == shared_office.client.there()


@pytest.mark.parametrize("method", CoordinatorMethod)
def test_a_call_with_too_many_parts_is_refused(
    shared_office: Office, method: CoordinatorMethod
) -> None:
    with pytest.raises(BadEncoding, match="parts"):
        asked(shared_office.service, method, *[b""] * 6)


def test_an_unknown_method_is_refused(shared_office: Office) -> None:
    with pytest.raises(BadEncoding, match="method 77"):
        asked(shared_office.service, 77)
    with pytest.raises(BadEncoding):
        parts_of(shared_office.service.answer(b""))


def test_a_bug_is_told_without_its_details(
    shared_office: Office, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shared_office.registry, "all", lambda: 1 // 0)
    with pytest.raises(HsmMpcError, match="coordinator: ZeroDivisionError"):
        asked(shared_office.service, CoordinatorMethod.LIST)
    assert "1 // 0" in capfd.readouterr().err


def test_half_an_index_is_refused(shared_office: Office, treasury: VerifiedWallet) -> None:
    request = shared_office.client._requester.request(treasury, RequestType.MESSAGE, b"x", Path())
    with pytest.raises(BadEncoding):
        asked(
            shared_office.service,
            CoordinatorMethod.SIGN,
            request.to_bytes(),
            indices_to_bytes([1, 2])[:-1],
        )


# Consents


def test_a_wallet_waits_for_the_operators_that_are_asked(office: Office) -> None:
    """Step 1.6.7: with the same plan, as long as the same is wished for."""
    office.world.asking = frozenset({2, 3})
    for index in (2, 3):
        office.world.restarted(index)

    def waiting() -> tuple[str, ...]:
        with pytest.raises(NotReady) as not_yet:
            office.made("asked")
        return not_yet.value.waiting_for

    def agree(index: int) -> None:
        consents = office.world.parties[index].ceremonies.consents
        (plan,) = consents.waiting()
        run_shielded(lambda: consents.agree(plan.digest))

    assert waiting() == waiting() == ("h2", "h3")
    agree(2)
    assert waiting() == ("h3",)
    assert office.world.parties[1].ceremonies.consents.waiting() == []
    agree(3)
    assert office.made("asked").name == "asked"
    assert office.registry.plans("asked") == ()


def test_another_wish_or_a_plan_that_is_too_old_is_another_plan(office: Office) -> None:
    office.world.asking = frozenset({3})
    office.world.restarted(3)
    consents = office.world.parties[3].ceremonies.consents

    def planned(threshold: int) -> set[bytes]:
        with pytest.raises(NotReady):
            office.made("asked", threshold)
        return {plan.digest for plan in consents.waiting()}

    first = planned(2)
    assert planned(2) == first
    assert len(planned(3)) == 2
    office.world.now[0] += PLAN_SECONDS + 1
    late = planned(3)
    assert len(late) == 1
    assert not late & first


def asking(office: Office, name: str = "asked", threshold: int = 2) -> None:
    """Holder 3 asks its operator about such a wallet."""
    if 3 not in office.world.asking:
        office.world.asking = frozenset({3})
        office.world.restarted(3)
    with pytest.raises(NotReady):
        office.made(name, threshold)


def consents_of(office: Office) -> Consents:
    return office.world.parties[3].ceremonies.consents


def agree(office: Office) -> None:
    """To all that waits at holder 3."""
    for plan in consents_of(office).waiting():
        run_shielded(partial(consents_of(office).agree, plan.digest))


def test_another_wish_for_the_name_costs_nobody_his_consent(office: Office) -> None:
    asking(office)
    agree(office)
    asking(office, threshold=3)
    assert office.made("asked", 2).name == "asked"


def test_plans_that_are_too_late_go_and_so_many_wait(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking(office, "w1")
    office.world.now[0] += PLAN_SECONDS + 1
    asking(office, "w2")
    assert (len(office.registry.plans("w1")), len(office.registry.plans("w2"))) == (0, 1)
    monkeypatch.setattr(registry, "MOST_PLANS", 1)
    with pytest.raises(Refused) as refused:
        office.made("w3")
    assert refused.value.rule == "too-many-plans"


def test_what_a_holder_refuses_is_no_plan(office: Office) -> None:
    office.client._client = Client("stranger", VerifyingKey(Algorithm.ED25519, b"s" * 32))
    with pytest.raises(Refused, match="holder h1: "):
        office.made("refused")
    assert office.registry.plans("refused") == ()


def test_a_declined_plan_is_told_of_and_the_next_wish_is_another(office: Office) -> None:
    asking(office)
    (plan,) = consents_of(office).waiting()
    run_shielded(partial(consents_of(office).decline, plan.digest))
    with pytest.raises(Refused) as refused:
        office.made("asked")
    assert refused.value.rule == "declined"
    asking(office)
    agree(office)
    assert office.made("asked").name == "asked"


def failing_at(refused: HolderMethod) -> Callable[..., tuple[bytes, ...]]:
    """A link that is down whenever this is asked."""

    def tamper(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if method is refused:
            raise BackendError("nobody answers")
        return honest(parts)

    return tamper


def test_a_holder_that_is_away_before_the_first_hello_costs_no_consent(office: Office) -> None:
    asking(office)
    agree(office)
    office.links[2].tamper = failing_at(HolderMethod.CHANNEL)
    with pytest.raises(BackendError):
        office.made("asked")
    office.links[2].tamper = None
    assert office.made("asked").name == "asked"


def test_a_plan_that_came_to_nothing_is_not_begun_again(office: Office) -> None:
    """A holder that has said HELLO says no other: people are asked about a new plan."""
    asking(office)
    agree(office)
    office.links[2].tamper = failing_at(HolderMethod.HELLOS)
    with pytest.raises(BackendError):
        office.made("asked")
    office.links[2].tamper = None
    office.world.later[0] += ROUND_SECONDS + 1
    asking(office)
    agree(office)
    assert office.made("asked").name == "asked"


@pytest.mark.parametrize("seconds", [PLAN_SECONDS - 180, -365 * 24 * 3600])
def test_a_plan_is_begun_in_time(office: Office, seconds: int) -> None:
    """Not so late that it would end under way; and not one of a clock that was years ahead."""
    office.world.now[0] += max(0, -seconds)
    asking(office)
    first = office.registry.plans("asked")
    office.world.now[0] += seconds
    asking(office)
    assert len({*first, *office.registry.plans("asked")}) == 2


def test_a_kept_plan_that_does_not_parse_is_another_plan(office: Office) -> None:
    now = office.world.clock()
    office.registry.keep_plan("asked", b"of another version", now + 600, now)
    asking(office)
