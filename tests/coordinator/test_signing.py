"""ROAST over links: whatever n − t holders do, t honest ones sign, and cheats leave evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path as File

import pytest

from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.coordinator import signature_requests, signing
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BackendError, Declined, HoldersBlamed, QuorumUnreachable, Refused
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.protocols.signing_messages import PartialPayload
from hsm_mpc.requests import RequestType
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import COMMIT, PARTIAL
from tests.agent.simulate import World
from tests.coordinator.office import LocalLink, Office

Honest = Callable[[Sequence[bytes]], tuple[bytes, ...]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for the dead waits shorter in tests."""
    monkeypatch.setattr(signing, "_PATIENCE", 0.4)
    monkeypatch.setattr(signature_requests, "SIGNING_SECONDS", 1.0)
    monkeypatch.setattr(signing, "_PAUSE", 0.05)


# Silence


def test_one_that_is_down_is_not_missed(shared_office: Office, treasury: VerifiedWallet) -> None:
    shared_office.links[2].down = True
    assert shared_office.signed(treasury).signers == (1, 3)


def test_below_the_threshold_nothing_is_signed_and_the_missing_are_named(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    shared_office.links[1].down = shared_office.links[3].down = True
    with pytest.raises(QuorumUnreachable) as unreachable:
        shared_office.signed(treasury)
    assert str(unreachable.value) == "1 of 2 needed holders answer; missing: h1, h3"
    assert unreachable.value.waiting_for == ("h1", "h3")
    assert unreachable.value.retryable


def test_who_declined_is_told_beside_who_is_missing(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    shared_office.links[1].tamper = _refuses("permission")
    shared_office.links[2].down = True
    with pytest.raises(QuorumUnreachable) as unreachable:
        shared_office.signed(treasury)
    assert str(unreachable.value) == (
        "1 of 2 needed holders answer; missing: h2; declined or excluded: h1"
    )


def test_only_those_that_may_sign_are_missed(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    shared_office.links[1].down = True
    with pytest.raises(QuorumUnreachable) as unreachable:
        shared_office.signed(treasury, signers=[1, 2])
    assert unreachable.value.waiting_for == ("h1",)


def test_one_that_stalls_keeps_nobody_waiting(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    link = shared_office.links[1]
    link.stalled.clear()
    assert shared_office.signed(treasury).signers == (2, 3)
    assert HolderMethod.REQUEST in link.asked
    assert link.late == 0  # the call is still under way


def test_one_that_comes_back_in_time_signs(shared_office: Office, treasury: VerifiedWallet) -> None:
    for index in (1, 2):
        link = shared_office.links[index]
        link.tamper = _fails_until_call(link, 4)
    assert len(shared_office.signed(treasury).signers) == 2


def _fails_until_call(link: LocalLink, count: int) -> Callable[..., tuple[bytes, ...]]:
    def tamper(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if len(link.asked) < count:
            raise BackendError("starting")
        return honest(parts)

    return tamper


def test_one_that_started_again_between_the_rounds_signs_with_a_new_nonce(
    office: Office, world: World
) -> None:
    """Step 7.5: lost_lease_frees_the_holder_when_t_is_n."""
    wallet = office.made(t=3)

    def restarts(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.SIGN and office.links[2].asked.count(HolderMethod.SIGN) == 1:
            run_shielded(lambda: world.restarted(2))
        return honest(parts)

    office.links[2].tamper = restarts
    assert office.signed(wallet).signers == (1, 2, 3)
    assert office.links[2].asked.count(HolderMethod.SIGN) == 2


def test_a_silent_one_that_owes_a_partial_is_asked_for_it_again(
    office: Office, world: World
) -> None:
    wallet = office.made(t=3)

    def lost_once(
        method: HolderMethod, parts: Sequence[bytes], honest: Honest
    ) -> tuple[bytes, ...]:
        answer = honest(parts)
        if method is HolderMethod.SIGN and office.links[3].asked.count(HolderMethod.SIGN) == 1:
            raise BackendError("the answer got lost")
        return answer

    office.links[3].tamper = lost_once
    assert office.signed(wallet).signers == (1, 2, 3)
    assert office.links[3].asked.count(HolderMethod.REQUEST) == 1


def test_one_that_missed_that_the_wallet_is_active_is_reminded(
    office: Office, world: World
) -> None:
    office.links[3].tamper = lambda method, parts, honest: (
        () if method is HolderMethod.DONES else honest(parts)
    )
    wallet = office.made()
    office.links[3].tamper = None
    office.links[1].down = True
    assert office.signed(wallet).signers == (2, 3)


# Refusals


def test_where_all_decline_their_rule_is_told(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    for link in shared_office.links.values():
        link.tamper = _refuses("permission")
    with pytest.raises(Declined) as declined:
        shared_office.signed(treasury)
    assert declined.value.facts() == {"rule": "permission"}
    assert "h1 declined: permission; h2 declined: permission" in str(declined.value)


def test_where_they_decline_by_different_rules_none_is_the_rule(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    shared_office.links[1].tamper = _refuses("permission")
    shared_office.links[2].tamper = _refuses("request-expired")
    with pytest.raises(Declined) as declined:
        shared_office.signed(treasury)
    assert declined.value.facts() == {}
    assert shared_office.evidence() == []


def _refuses(rule: str) -> Callable[..., tuple[bytes, ...]]:
    def tamper(method: HolderMethod, parts: object, honest: object) -> tuple[bytes, ...]:
        raise Refused(rule, "no")

    return tamper


def test_one_that_declines_is_not_missed(shared_office: Office, treasury: VerifiedWallet) -> None:
    shared_office.links[3].tamper = _refuses("permission")
    assert shared_office.signed(treasury).signers == (1, 2)


# Lies


def _garbage(answer: bytes) -> Callable[..., tuple[bytes, ...]]:
    return lambda method, parts, honest: (answer,)


@pytest.mark.parametrize("answer", [b"", b"\0" * 300])
def test_unsigned_garbage_excludes_nobody(
    shared_office: Office, treasury: VerifiedWallet, answer: bytes
) -> None:
    """Step 7.3: forged_unsigned_garbage_excludes_nobody."""
    shared_office.links[2].tamper = _garbage(answer)
    assert shared_office.signed(treasury).signers == (1, 3)
    assert shared_office.evidence() == []


def test_no_answer_and_two_answers_exclude_nobody(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    shared_office.links[1].tamper = lambda method, parts, honest: ()
    assert shared_office.signed(treasury).signers == (2, 3)
    shared_office.links[1].tamper = lambda method, parts, honest: honest(parts) * 2
    assert shared_office.signed(treasury).signers == (2, 3)


def test_a_message_of_another_holder_excludes_nobody(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    """The relay, or a holder that shows another's message, proves nothing about anybody."""
    other = shared_office.links[1]._honest
    shared_office.links[2].tamper = lambda method, parts, honest: other(method, parts)
    assert shared_office.signed(treasury).signers == (1, 3)
    assert shared_office.evidence() == []


def test_a_holder_whose_channel_is_unknown_and_stays_so_excludes_nobody(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    def hides(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.CHANNEL:
            raise BackendError("no channel for you")
        return honest(parts)

    shared_office.links[2].tamper = hides
    assert shared_office.signed(treasury).signers == (1, 3)
    assert shared_office.evidence() == []


def test_a_signed_message_that_does_not_parse_excludes_its_sender(
    office: Office, world: World
) -> None:
    """Step 7.3: an envelope signed by i that does not decode."""
    wallet = office.made(t=3)

    def tamper(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        (answer,) = honest(parts)
        if method is not HolderMethod.REQUEST:
            return (answer,)
        message = parse_envelope(answer)
        acting = world.parties[2].acting
        lie = message.payload + b"x"
        return (
            run_shielded(lambda: acting.channel_message(COMMIT, message.address, lie)).to_bytes(),
        )

    office.links[2].tamper = tamper
    with pytest.raises(HoldersBlamed) as blamed:
        office.signed(wallet)
    assert blamed.value.names == ("h2",)
    (case,) = office.evidence()
    reader = Reader(case.read_bytes(), "case")
    assert parse_envelope(reader.lv32()).address.sender == 2


def test_one_that_is_still_being_asked_is_not_asked_twice(
    shared_office: Office, treasury: VerifiedWallet
) -> None:
    shared_office.links[1].stalled.clear()
    shared_office.links[2].down = True
    with pytest.raises(QuorumUnreachable):
        shared_office.signed(treasury)
    assert shared_office.links[1].asked == [HolderMethod.REQUEST]
    assert len(shared_office.links[2].asked) > 2


@pytest.mark.parametrize("liar", [1, 2, 3])
def test_a_wrong_partial_signature_names_its_signer_with_evidence(
    office: Office, world: World, liar: int
) -> None:
    """Steps 3.5.1 and 7.3: wrong_partial_names_signer."""
    wallet = office.made()
    _lies_in_partials(office, world, liar)
    assert set(office.signed(wallet).signers) == {1, 2, 3} - {liar}
    for case in office.evidence():
        _check_case(case, liar)


def test_where_too_many_cheat_they_are_the_culprits(office: Office, world: World) -> None:
    wallet = office.made(t=3)
    _lies_in_partials(office, world, 2)
    with pytest.raises(HoldersBlamed) as blamed:
        office.signed(wallet)
    assert blamed.value.names == ("h2",)
    (case,) = office.evidence()
    _check_case(case, 2)


def _lies_in_partials(office: Office, world: World, liar: int) -> None:
    """The liar signs, in its own name, a partial signature that is one too high."""

    def tamper(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        (answer,) = honest(parts)
        if method is not HolderMethod.SIGN:
            return (answer,)
        message = parse_envelope(answer)
        partial = PartialPayload.from_bytes(message.payload)
        raised = (int.from_bytes(partial.signature, "big") + 1) % SECP256K1.order
        lie = PartialPayload(partial.lease_id, partial.list_hash, raised.to_bytes(32, "big"))
        acting = world.parties[liar].acting
        forged = run_shielded(
            lambda: acting.channel_message(PARTIAL, message.address, lie.to_bytes())
        )
        return (forged.to_bytes(),)

    office.links[liar].tamper = tamper


def _check_case(case: File, liar: int) -> None:
    """The SIGN payload, then what the liar signed."""
    reader = Reader(case.read_bytes(), "case")
    reader.lv32()
    assert parse_envelope(reader.lv32()).address.sender == liar
    reader.end()


def test_a_nonce_that_is_no_point_excludes_its_sender(office: Office, world: World) -> None:

    wallet = office.made()

    def tamper(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        (answer,) = honest(parts)
        if method is not HolderMethod.REQUEST:
            return (answer,)
        message = parse_envelope(answer)
        lie = message.payload[:-66] + bytes(66)
        acting = world.parties[2].acting
        return (
            run_shielded(lambda: acting.channel_message(COMMIT, message.address, lie)).to_bytes(),
        )

    office.links[2].tamper = tamper
    signed = office.client.sign(wallet, RequestType.MESSAGE, b"x", Path(), ())
    assert signed.signers == (1, 3)


def test_two_offers_for_one_lease_are_equivocation(office: Office, world: World) -> None:
    """Step 1.7.4: h2 answers the repeated request with another nonce under the same lease."""

    wallet = office.made(t=3)
    seen: list[bytes] = []

    def tamper(method: HolderMethod, parts: Sequence[bytes], honest: Honest) -> tuple[bytes, ...]:
        if method is HolderMethod.SIGN:
            raise Refused("lease-unknown", "lost it")
        (answer,) = honest(parts)
        if method is not HolderMethod.REQUEST:
            return (answer,)
        seen.append(answer)
        if len(seen) == 1:
            return (answer,)
        message = parse_envelope(answer)
        lie = message.payload[:-66] + message.payload[-33:] + message.payload[-66:-33]
        acting = world.parties[2].acting
        return (
            run_shielded(lambda: acting.channel_message(COMMIT, message.address, lie)).to_bytes(),
        )

    office.links[2].tamper = tamper
    with pytest.raises(HoldersBlamed) as blamed:
        office.signed(wallet)
    assert blamed.value.names == ("h2",)
    (case,) = office.evidence()
    reader = Reader(case.read_bytes(), "case")
    assert {parse_envelope(reader.lv32()).address.sender for _ in range(2)} == {2}
