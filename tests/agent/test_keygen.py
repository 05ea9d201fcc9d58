"""Rounds of a key generation of real holders, and who is named for what (section 2.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.agent import first_share, keygen
from hsm_mpc.agent.evidence import Case
from hsm_mpc.agent.wallets import context_of
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    InvalidSignature,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.hsm.register import Register
from hsm_mpc.ids import HolderIndex
from hsm_mpc.protocols import dkg
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.sealing.sealed import seal
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import move_bytes
from hsm_mpc.store.record import EpochState
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import COMMITMENTS, HELLO
from tests.agent.making import (
    Making,
    events,
    hello_of,
    is_empty,
    keks,
    lied,
    lines,
    resigned,
    states,
)
from tests.agent.simulate import World
from tests.named_steps import observed

pytestmark = pytest.mark.usefixtures("shielded")


@pytest.fixture
def making(world: World) -> Making:
    return Making.of(world)


def aborted(making: Making, index: int, round_: Callable[[int], bytes]) -> ProtocolAbort:
    """The round aborts at this holder, and of its session nothing is left (step 2.6.2)."""
    with pytest.raises(ProtocolAbort) as caught:
        round_(index)
    party = making.world.parties[index]
    assert is_empty(party)
    assert events(party)[-1] == "keygen-aborted"
    assert lines(party)[-1]["culprits"] == list(caught.value.culprits)
    for again in (making.greet, making.deal):
        with pytest.raises(Refused):
            again(index)
    return caught.value


# The whole of it


def test_a_wallet_is_active_at_every_holder_after_n_dones(making: Making) -> None:
    certificate = making.active()
    certificate.verify(making.world.roster)
    for party in making.world.parties.values():
        (held,) = party.wallets.all()
        assert held.record.state is EpochState.ACTIVE
        assert held.body == certificate.body
        assert party.acting.registers.read(making.wallet_id) == Register(certificate.body.hash)
        assert len(keks(party)) == 1
        assert party.acting.store.proposals.hashes() == ()
        assert events(party) == [
            "keygen-begun",
            "keygen-sealed",
            "keygen-certified",
            "keygen-active",
        ]


def test_a_key_generation_leaves_no_secret(making: Making) -> None:
    """Step 2.6.10: with the released signature the one-time keys are gone."""
    free = making.world.free_bytes()
    making.dealt()
    assert making.world.free_bytes() < free
    making.confirmed = None  # type: ignore[method-assign,assignment]
    making.confirmations = [making.confirm(index) for index in making.world.parties]
    assert making.world.free_bytes() == free


def test_every_round_is_answered_again_with_the_same_bytes(making: Making) -> None:
    """Step 1.7.4, also when all of it is over."""
    making.dealt()
    assert [making.greet(index) for index in (1, 2, 3)] == making.hellos
    assert [making.deal(index) for index in (1, 2, 3)] == making.dealings
    making.confirmations = [making.confirm(index) for index in (1, 2, 3)]
    assert [making.greet(index) for index in (1, 2, 3)] == making.hellos
    assert [making.deal(index) for index in (1, 2, 3)] == making.dealings
    assert [making.confirm(index) for index in (1, 2, 3)] == making.confirmations


def test_what_is_sent_is_on_disk_before(making: Making) -> None:
    """Steps 2.6.2 and 2.6.6: the order of what is durable, until round 3 is given out."""
    seen: list[str] = []
    making.greeted()
    making.dealings = [making.deal(index) for index in (1, 2, 3)]
    with observed(lambda when, name: seen.append(name) if when == "before" else None):
        making.confirm(1)
    durable = ["record.rename", "record.sync", "register.create", "session-round3.link"]
    assert [name for name in seen if name in durable] == durable
    assert seen.index("blob.link") < seen.index("record.rename")


def test_proposal_and_policy_are_on_disk_before_the_key(making: Making) -> None:
    """Steps 2.6.1 and 2.6.2."""
    seen: list[str] = []
    with observed(lambda when, name: seen.append(name) if when == "after" else None):
        making.greet(1)
    order = ["audit.line", "proposal.sync", "session-policy.sync", "key.generate"]
    assert [name for name in seen if name in (*order, "session-hello.sync")] == [
        *order,
        "session-hello.sync",
    ]


# HELLO (step 2.6.3)


def test_hello_missing_is_refused(making: Making) -> None:
    making.greeted()
    for hellos in ([], making.hellos[:2], [*making.hellos, making.hellos[0]]):
        making.world.parties[1]
        with pytest.raises(BadEncoding):
            making.world.parties[1].ceremonies.take_hellos(hellos)
    assert making.deal(1)  # nobody's fault: it goes on


@pytest.mark.parametrize("at", [10, 60, 100, 150, -1])
def test_hello_altered_by_the_relay_blames_nobody(making: Making, at: int) -> None:
    making.greeted()
    good = making.hellos[1]
    broken = bytearray(good)
    broken[at] ^= 1
    making.hellos[1] = bytes(broken)
    with pytest.raises((BadEncoding, InvalidSignature)):
        making.deal(1)
    making.hellos[1] = good
    assert making.deal(1)


def test_hellos_in_another_order_are_refused(making: Making) -> None:
    making.greeted()
    with pytest.raises(BadEncoding, match="sender 2 is not expected"):
        making.deal(1, [making.hellos[index] for index in (1, 0, 2)])


def test_a_hello_of_another_session_is_refused(making: Making) -> None:
    """Replayed from another creation."""
    other = Making.of(making.world, "other").greeted()
    making.greeted()
    making.hellos[1] = other.hellos[1]
    with pytest.raises(BadEncoding, match="wallet"):
        making.deal(1)
    address = replace(parse_envelope(other.hellos[1]).address, wallet_id=making.wallet_id)
    making.hellos[1] = resigned(making.world, other.hellos[1], None, address)
    with pytest.raises(BadEncoding, match="session"):
        making.deal(1)


def test_the_own_hello_altered_aborts_without_culprit(making: Making) -> None:
    """Step 1.7.5: somebody signs with our identity key."""
    making.greeted()
    lied(making, 1, nonce=bytes(32))
    assert aborted(making, 1, making.deal).culprits == ()


def test_the_own_hello_signed_anew_aborts_too(making: Making) -> None:
    making.greeted()
    making.hellos[0] = resigned(making.world, making.hellos[0])
    assert parse_envelope(making.hellos[0]).signed_part
    assert aborted(making, 1, making.deal).culprits == ()


@pytest.mark.parametrize("payload", [b"", bytes(130), b"short", bytes(131)])
def test_a_signed_hello_that_does_not_parse_names_its_sender(
    making: Making, payload: bytes
) -> None:
    """Steps 1.10 and 2.6.3: no point, too short, too long; all culprits at once."""
    making.greeted()
    for index in (2, 3):
        making.hellos[index - 1] = resigned(making.world, making.hellos[index - 1], payload)
    assert aborted(making, 1, making.deal).culprits == (2, 3)


def test_reused_nonce_aborts(making: Making) -> None:
    making.greeted()
    lied(making, 2, nonce=hello_of(making, 3).nonce)
    assert aborted(making, 1, making.deal).culprits == ()


@pytest.mark.parametrize("mine", ["static_key", "delivery_key"])
@pytest.mark.parametrize("theirs", ["static_key", "delivery_key"])
def test_a_key_of_another_holder_aborts(making: Making, mine: str, theirs: str) -> None:
    """Steps 2.4.1 and 2.6.3: duplicate_static_key; all 2n are distinct."""
    making.greeted()
    lied(making, 2, **{mine: getattr(hello_of(making, 3), theirs)})
    assert aborted(making, 1, making.deal).culprits == ()


def test_one_key_in_both_places_names_its_holder(making: Making) -> None:
    making.greeted()
    lied(making, 2, delivery_key=hello_of(making, 2).static_key)
    assert aborted(making, 1, making.deal).culprits == (2,)


def test_two_hellos_of_one_holder_are_evidence(making: Making) -> None:
    """Step 1.7.4: both are kept, and prove the cheat to anybody."""
    making.dealt()
    first = making.hellos[1]
    lied(making, 2, nonce=bytes(32))
    assert aborted(making, 1, making.deal).culprits == (2,)
    store = making.world.parties[1].acting.store
    name = str(lines(making.world.parties[1])[-1]["evidence"])
    case = Case.from_bytes(store.evidence.load(name))
    assert {first, making.hellos[1]} <= set(case.messages)
    for message in (first, making.hellos[1]):
        making.world.parties[3].acting.keys.verify(parse_envelope(message), making.world.clock())


def test_holders_that_saw_different_hellos_never_certify(making: Making) -> None:
    """Step 2.6.4: extension_differs_never_certifies. The relay helps holder 2 to lie."""
    making.greeted()
    seen_by_1 = list(making.hellos)
    lied(making, 2, kek_digest=bytes(32))
    dealings = [making.deal(1, seen_by_1), making.deal(3)]
    assert (
        parse_envelope(dealings[0]).address.session_id
        != parse_envelope(dealings[1]).address.session_id
    )
    making.dealings = [dealings[0], dealings[0], dealings[1]]
    with pytest.raises(BadEncoding):
        making.confirm(1)


# msg1 (steps 2.5.5 to 2.5.9)


def test_msg1_before_the_hellos_is_refused(making: Making) -> None:
    other = Making.of(making.world, "other").dealt()
    making.greeted()
    with pytest.raises(BadEncoding, match="before the hellos"):
        making.confirm(1, [making.hellos[0], *other.dealings[1:]])


@pytest.mark.parametrize("left", [0, 1, 2, 4])
def test_another_number_of_dealings_is_refused(making: Making, left: int) -> None:
    making.dealt()
    with pytest.raises(BadEncoding):
        making.world.parties[1].ceremonies.take_dealings(
            (making.dealings * 2)[:left], making.world.channels()
        )
    assert making.confirm(1)


def test_a_dealing_that_the_relay_altered_blames_nobody(making: Making) -> None:
    making.dealt()
    good = making.dealings[1]
    for at in (20, 95, 200, len(good) - 1):
        broken = bytearray(good)
        broken[at] ^= 1
        with pytest.raises((BadEncoding, InvalidSignature)):
            making.confirm(1, [making.dealings[0], bytes(broken), making.dealings[2]])
    assert making.confirm(1)


def test_the_channels_of_all_are_wanted_in_their_order(making: Making) -> None:
    making.dealt()
    ceremonies, channels = making.world.parties[1].ceremonies, making.world.channels()
    with pytest.raises(BackendError, match="no valid channel of holder 3"):
        ceremonies.take_dealings(making.dealings, channels[:2])
    with pytest.raises(BadEncoding, match="of holder 1"):
        ceremonies.take_dealings(making.dealings, channels[::-1])
    assert ceremonies.take_dealings(making.dealings, channels)


Spoil = Callable[[bytearray], None]


def flip(at: int) -> Spoil:
    def spoil(payload: bytearray) -> None:
        payload[at] ^= 1

    return spoil


def longer(payload: bytearray) -> None:
    payload += b"\0"


def shorter(payload: bytearray) -> None:
    del payload[-1:]


SPOILED = {
    "a commitment": flip(40),
    "the proof": flip(33 * 2 + 60),
    "the ephemeral key": flip(33 * 2 + 65 + 5),
    "the ciphertext for us": flip(33 * 2 + 65 + 33 + 8 + 3),
    "the length of a frame": flip(33 * 2 + 65 + 33 + 7),
    "one byte more": longer,
    "one byte less": shorter,
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_false_dealing_names_its_dealer(making: Making, what: str) -> None:
    """Steps 2.5.5 to 2.5.8: signed by its dealer, so it is proven; no key of ours is left."""
    making.dealt()
    payload = bytearray(parse_envelope(making.dealings[2]).payload)
    SPOILED[what](payload)
    making.dealings[2] = resigned(making.world, making.dealings[2], bytes(payload))
    abort = aborted(making, 1, making.confirm)
    assert abort.culprits == (3,)
    party = making.world.parties[1]
    case = Case.from_bytes(party.acting.store.evidence.load(str(lines(party)[-1]["evidence"])))
    assert set(case.messages) == {*making.hellos, *making.dealings}
    assert {holder for holder, _ in case.channels} == {1, 2, 3}


def test_the_own_dealing_altered_aborts_without_culprit(making: Making) -> None:
    """Step 2.5.5: own_message_altered, by whoever has our channel key."""
    making.dealt()
    payload = bytearray(parse_envelope(making.dealings[0]).payload)
    payload[-1] ^= 1
    making.dealings[0] = resigned(making.world, making.dealings[0], bytes(payload))
    assert aborted(making, 1, making.confirm).culprits == ()


def test_two_dealings_of_one_holder_are_evidence(making: Making) -> None:
    """Step 1.7.4; what is sealed already stays for its operator (step 2.6.8)."""
    making.dealt()
    confirmation = making.confirm(1)
    good = list(making.dealings)
    payload = bytearray(parse_envelope(making.dealings[2]).payload)
    payload[-1] ^= 1
    making.dealings[2] = resigned(making.world, making.dealings[2], bytes(payload))
    with pytest.raises(ProtocolAbort, match="two different messages msg1") as twice:
        making.confirm(1)
    assert twice.value.culprits == (3,)
    party = making.world.parties[1]
    assert states(party) == [EpochState.PREPARED]
    assert "evidence" in lines(party)[-1]
    assert making.confirm(1, good) == confirmation


def test_split_view_never_certifies(making: Making) -> None:
    """Step 2.5.12: holder 3 deals twice, flawlessly; each of the others sees one of it."""
    making.dealt()
    twin = dealt_again(making, 3)
    making.confirmations = [making.confirm(1), making.confirm(2, [*making.dealings[:2], twin])]
    making.confirmations.append(making.confirm(3))
    for third in (making.dealings[2], twin):
        making.dealings[2] = third
        with pytest.raises(Tampered, match="does not verify"):
            making.certificate().verify(making.world.roster)
        for index in (1, 2):
            with pytest.raises(Tampered, match="does not verify"):
                making.certify(index)
            assert states(making.world.parties[index]) == [EpochState.PREPARED]


def dealt_again(making: Making, index: int) -> bytes:
    """Another msg1 of this holder, as good as the first."""
    party = making.world.parties[index]
    reserved = party.ceremonies._reserved.find(making.wallet_id)
    assert reserved is not None
    assert reserved.live is not None
    accusable = reserved.live.accusable()
    assert accusable is not None
    keep, outbox = dkg.start(
        *accusable, lambda into: SECP256K1.random_nonzero(into, party.acting.entropy)
    )
    abort(keep)
    return resigned(making.world, making.dealings[index - 1], outbox.to_all)


def test_an_exchange_of_versions_is_refused(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 1.7.10: version_out_of_range."""
    making.dealt()
    making.world.parties[1].acting.keys.learn_message(
        making.world.channels()[1], making.world.clock()
    )
    monkeypatch.setattr(keygen, "PROTOCOL_VERSION", 2)
    with pytest.raises(Refused) as refused:
        making.confirm(1)
    assert refused.value.rule == "protocol-version"
    monkeypatch.undo()


# Sealing (step 2.6.6)


def sealing_is(monkeypatch: pytest.MonkeyPatch, otherwise: Callable[..., bytes]) -> None:
    monkeypatch.setattr(first_share, "seal", otherwise)


def test_blob_that_does_not_reopen_is_never_acked(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 2.6.6: what was sealed is not what is in memory."""
    making.dealt()

    def sealed_otherwise(content: Any, *rest: Any) -> bytes:
        with content.open() as at, making.world.parties[1].acting.arena.scope() as take:
            copied = take(content.size)
            with copied.open() as to:
                move_bytes(to, at, content.size // 2)
                move_bytes(to + 32, at, content.size // 2)
            return seal(copied, *rest)

    sealing_is(monkeypatch, sealed_otherwise)
    with pytest.raises(Tampered, match="not that of this index"):
        making.confirm(1)
    assert is_empty(making.world.parties[1])


def test_a_second_opening_that_differs_is_never_acked(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    making.dealt()
    monkeypatch.setattr(sodium, "equal", lambda *_: False)
    with pytest.raises(Tampered, match="opens to something else"):
        making.confirm(1)
    monkeypatch.undo()
    assert is_empty(making.world.parties[1])


def test_share_of_wrong_index_is_tampered(making: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step 2.6.6: x·B is compared with A(i)."""
    making.dealt()
    opened = first_share.open_and_check

    def of_another(holder: Any, *rest: Any) -> None:
        opened(replace(holder, me=HolderIndex(2)), *rest)

    def context(holder: Any, body: Any) -> Any:
        return replace(context_of(holder, body), holder=HolderIndex(1))

    monkeypatch.setattr(first_share, "context_of", context)
    monkeypatch.setattr(first_share, "open_and_check", of_another)
    with pytest.raises(Tampered):
        making.confirm(1)
    assert is_empty(making.world.parties[1])


def test_an_ack_never_leaves_without_its_register(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps 2.6.6 and 6.2: register_is_written_before_the_ack."""
    making.dealt()
    party = making.world.parties[1]

    def broken(*_: object) -> None:
        raise BackendError("the token is gone")

    monkeypatch.setattr(type(party.acting.registers), "write", broken)
    with pytest.raises(BackendError, match="the token is gone"):
        making.confirm(1)
    monkeypatch.undo()
    assert states(party) == [EpochState.PREPARED]  # it stays until its operator removes it
    with pytest.raises(Refused) as refused:
        making.confirm(1)
    assert refused.value.rule == "session-over"


def test_the_body_names_the_transcript_and_the_terms(making: Making) -> None:
    certificate = making.confirmed().certificate()
    (held,) = making.world.parties[1].wallets.all()
    assert held.body.terms == making.proposal.terms
    assert held.body.transcript_hash == hashlib.sha256(certificate.transcript.to_bytes()).digest()
    assert held.record.clients_hash == making.proposal.clients.hash


def test_a_message_of_the_wrong_round_is_refused(making: Making) -> None:
    """Reordered by the relay."""
    making.dealt()
    with pytest.raises(BadEncoding, match=f"a {COMMITMENTS.name} where a {HELLO.name}"):
        making.deal(1, making.dealings)
    with pytest.raises(BadEncoding, match=f"a {HELLO.name} where a {COMMITMENTS.name}"):
        making.confirm(1, making.hellos)
