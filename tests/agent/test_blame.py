"""Who lied about a share: the dealer, or who accuses it (step 2.6.9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.agent.blame import Accusation, accusations
from hsm_mpc.agent.evidence import Case
from hsm_mpc.agent.keygen import KeyGeneration
from hsm_mpc.errors import BackendError, BadEncoding, BadInput, InvalidSignature, ProtocolAbort
from hsm_mpc.groups.secp256k1 import ORDER
from hsm_mpc.protocols.dkg_messages import Dealing1, Setup
from hsm_mpc.secure.arena import Secret
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import BLAME, COMMIT
from tests.agent.making import Making, is_empty, resigned
from tests.agent.simulate import World
from tests.protocols.keygen import Party, forged
from tests.secure.bytes_of import filled

pytestmark = pytest.mark.usefixtures("shielded")

Spoil = Callable[[Party], Dealing1]


@pytest.fixture
def making(world: World) -> Making:
    return Making.of(world).dealt()


def session_of(making: Making, index: int) -> tuple[Setup, Secret]:
    """What this holder has agreed to, and its d."""
    accusable = live(making, index).accusable()
    assert accusable is not None
    return accusable


def live(making: Making, index: int) -> KeyGeneration:
    reserved = making.world.parties[index].ceremonies._reserved.find(making.wallet_id)
    assert reserved is not None
    assert reserved.live is not None
    return reserved.live


def spoil(making: Making, dealer: int, how: Spoil) -> None:
    """The dealer signs another dealing."""
    setup, static = session_of(making, dealer)
    dealing = how(Party(setup, static))
    source = making.dealings[dealer - 1]
    making.dealings[dealer - 1] = resigned(making.world, source, dealing.to_bytes())


def torn(party: Party) -> Dealing1:
    """Nobody can open what it sealed for holder 1."""
    honest = forged(party, (600, 3), 77)
    first = honest.sealed[0]
    return replace(honest, sealed=(first[:-1] + bytes([first[-1] ^ 1]), *honest.sealed[1:]))


def crossed(party: Party) -> Dealing1:
    """Holder 1 got what was sealed for holder 2."""
    honest = forged(party, (600, 3), 77)
    return replace(honest, sealed=(honest.sealed[1], *honest.sealed[1:]))


def off_by_one(party: Party) -> Dealing1:
    """It opens, to a share of another polynomial."""
    return forged(party, (600, 3), 77, shares={1: 604})


def zero(party: Party) -> Dealing1:
    return forged(party, (600, 3), 77, raw_shares={1: bytes(32)})


def above_the_order(party: Party) -> Dealing1:
    """It opens to the committed share, in another encoding."""
    return forged(party, (2, 3), 77, raw_shares={1: (5 + ORDER).to_bytes(32, "big")})


def unproven(party: Party) -> Dealing1:
    """A share of another polynomial, and besides no proof of possession."""
    dealing = off_by_one(party)
    proof = bytearray(dealing.possession)
    proof[-1] ^= 1
    return replace(dealing, possession=bytes(proof))


def accused(making: Making, index: int = 1) -> tuple[bytes, ...]:
    """The BLAME messages of this holder, after its round failed."""
    with pytest.raises(ProtocolAbort):
        making.confirm(index)
    return making.world.parties[index].ceremonies.accusations(making.wallet_id)


def verdicts(making: Making, blame: bytes) -> set[int]:
    """Of everybody who judges."""
    return {
        party.ceremonies.judge(blame, making.proposal.to_bytes(), making.hellos)
        for party in making.world.parties.values()
    }


@pytest.mark.parametrize("how", [torn, crossed, off_by_one, zero, above_the_order])
def test_a_false_share_convicts_its_dealer_before_everybody(making: Making, how: Spoil) -> None:
    spoil(making, 3, how)
    (blame,) = accused(making)
    accusation = Accusation.from_bytes(parse_envelope(blame).payload)
    assert parse_envelope(blame).kind is BLAME
    assert accusation.accused == 3
    assert (accusation.hello, accusation.dealing) == (making.hellos[2], making.dealings[2])
    assert verdicts(making, blame) == {3}


def test_every_liar_is_accused(making: Making) -> None:
    for dealer in (2, 3):
        spoil(making, dealer, torn)
    blames = accused(making)
    assert [verdicts(making, blame) for blame in blames] == [{2}, {3}]


def test_what_its_own_words_prove_needs_no_accusation(making: Making) -> None:
    """Step 2.6.9: d_i is given away only where nothing else proves the fault."""
    spoil(making, 3, unproven)
    assert accused(making) == ()


def test_a_hello_that_is_false_needs_no_accusation(world: World) -> None:
    making = Making.of(world).greeted()
    making.hellos[2] = resigned(world, making.hellos[2], b"no hello")
    with pytest.raises(ProtocolAbort):
        making.deal(1)
    assert making.world.parties[1].ceremonies.accusations(making.wallet_id) == ()


def test_the_session_is_durably_dead_before_its_key_is_public(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 2.6.9: KEK_0 destroyed, the nonce refused; else no BLAME."""
    party = making.world.parties[1]
    free = making.world.free_bytes()
    spoil(making, 3, torn)
    with monkeypatch.context() as broken:
        broken.setattr(party.acting.store.ended.__class__, "add", _no_disk)
        assert accused(making) == ()
    assert making.world.free_bytes() > free
    party.ceremonies.expire()
    assert is_empty(party)


def _no_disk(*_: object) -> None:
    raise BackendError("disk full")


def test_nobody_is_accused_after_the_signature_was_released(making: Making) -> None:
    """Step 2.6.9: only if sig_i was never released."""
    making.confirm(1)
    payload = bytearray(parse_envelope(making.dealings[2]).payload)
    payload[-1] ^= 1
    making.dealings[2] = resigned(making.world, making.dealings[2], bytes(payload))
    assert accused(making) == ()


def test_an_accusation_is_kept_as_evidence(making: Making) -> None:
    spoil(making, 3, torn)
    (blame,) = accused(making)
    store = making.world.parties[1].acting.store.evidence
    cases = [Case.from_bytes(store.load(name.hex())) for name in store.kept()]
    assert [case.messages for case in cases if case.reason == "blame"] == [(blame,)]


# False accusations


@pytest.fixture
def accusation(making: Making) -> Accusation:
    """Holder 1 gives its key away and says that holder 3 lied, who did not."""
    party = making.world.parties[1]
    honest = list(making.dealings)
    spoil(making, 3, torn)
    (blame,) = accused(making)
    making.dealings = honest
    true = Accusation.from_bytes(parse_envelope(blame).payload)
    channel = party.acting.keys.channels(3)[0].to_bytes()
    return replace(true, dealing=honest[2], channel=channel)


def judged(making: Making, accusation: Accusation | bytes, accuser: int = 1) -> set[int]:
    party = making.world.parties[accuser].acting
    payload = accusation if isinstance(accusation, bytes) else accusation.to_bytes()
    session_id = parse_envelope(making.dealings[0]).address.session_id
    blame = party.identity_message(BLAME, making.wallet_id, session_id, payload)
    return verdicts(making, blame)


def test_a_false_accusation_convicts_its_accuser(making: Making, accusation: Accusation) -> None:
    assert judged(making, accusation) == {1}


@pytest.mark.parametrize(
    "static",
    [bytes(32), ORDER.to_bytes(32, "big"), b"\xff" * 32, (7).to_bytes(32, "big")],
    ids=["zero", "the order", "above it", "another key"],
)
def test_an_accuser_that_hides_its_key_convicts_itself(
    making: Making, accusation: Accusation, static: bytes
) -> None:
    assert judged(making, replace(accusation, static=static)) == {1}


def test_an_accuser_with_the_key_of_another_convicts_itself(
    making: Making, accusation: Accusation
) -> None:
    assert judged(making, accusation, accuser=2) == {2}


@pytest.fixture
def true(making: Making) -> Accusation:
    """Holder 3 has lied, and holder 1 says so."""
    spoil(making, 3, off_by_one)
    (blame,) = accused(making)
    return Accusation.from_bytes(parse_envelope(blame).payload)


def test_a_true_accusation_without_its_proof_convicts_its_accuser(
    making: Making, true: Accusation
) -> None:
    """Whoever judges believes nobody who does not show what was signed."""
    assert judged(making, true) == {3}
    unsigned = true.dealing[:-1] + bytes([true.dealing[-1] ^ 1])
    payload = parse_envelope(true.dealing).payload
    acting = making.world.parties[3].acting
    elsewhere = acting.channel_message(
        COMMIT, parse_envelope(true.dealing).address, payload[: COMMIT.cap]
    )
    others: list[dict[str, Any]] = [
        {"hello": making.hellos[1]},
        {"hello": b""},
        {"dealing": unsigned},
        {"dealing": elsewhere.to_bytes()},
        {"static": (7).to_bytes(32, "big")},
    ]
    for changes in others:
        assert judged(making, replace(true, **changes)) == {1}, changes


def test_an_accusation_carries_the_channel_that_was_used(making: Making) -> None:
    """The dealer has started again since, and announced another one."""
    spoil(making, 3, torn)
    making.world.restarted(3)
    party = making.world.parties[1].acting
    for channels in (making.channels, making.world.channels()):
        party.learn_channel(3, channels[2])
    assert len(party.keys.channels(3)) == 2
    (blame,) = accused(making)
    assert verdicts(making, blame) == {3}


def test_without_the_channel_there_is_no_accusation(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(making, 3, torn)
    session, (setup, _) = live(making, 1), session_of(making, 1)
    with pytest.raises(ProtocolAbort):
        making.confirm(1)
    party = making.world.parties[1].acting
    assert session.accusable() is None  # it is over
    with party.arena.scope() as take:
        other = filled(take(32), (7).to_bytes(32, "big"))
        monkeypatch.setattr(session, "accusable", lambda: (setup, other))
        assert len(accusations(party, session, [3])) == 1
        party.keys._channels.known.clear()
        with pytest.raises(ProtocolAbort, match="not known any more"):
            accusations(party, session, [3])


def test_nobody_accuses_with_a_share_that_is_sealed(making: Making) -> None:
    """Step 2.6.9: what d_i opens must never be used."""
    session = live(making, 1)
    assert session.accusable() is not None
    session.sealed = True
    assert session.accusable() is None
    assert accusations(making.world.parties[1].acting, session, [2, 3]) == ()
    session.sealed = False


@pytest.mark.parametrize("field", ["hello", "dealing", "channel"])
def test_an_accusation_without_its_proof_convicts_its_accuser(
    making: Making, accusation: Accusation, field: str
) -> None:
    for value in (b"", b"garbage", getattr(accusation, field)[:-1] + b"?"):
        changes: dict[str, Any] = {field: value}
        assert judged(making, replace(accusation, **changes)) == {1}


def test_an_accusation_with_anothers_messages_convicts_its_accuser(
    making: Making, accusation: Accusation
) -> None:
    channel = making.world.parties[1].acting.keys.channels(2)[0].to_bytes()
    others: list[dict[str, Any]] = [
        {"accused": 2},
        {"accused": 0},
        {"accused": 4},
        {"hello": making.hellos[1]},
        {"dealing": making.dealings[1]},
        {"dealing": making.dealings[1], "channel": channel},
        {"dealing": making.hellos[2]},
    ]
    for changes in others:
        assert judged(making, replace(accusation, **changes)) == {1}


def test_a_dealing_of_another_session_is_no_proof(making: Making, accusation: Accusation) -> None:
    """The accused may have dealt falsely elsewhere: then somebody else says so."""
    other = Making.of(making.world, "other").dealt()
    assert judged(making, replace(accusation, dealing=other.dealings[2])) == {1}


def test_what_is_no_accusation_convicts_its_accuser(making: Making, accusation: Accusation) -> None:
    for payload in (b"", b"garbage", accusation.to_bytes() + b"\0"):
        assert judged(making, payload) == {1}


@pytest.mark.parametrize("which", ["commitment", "length", "proof"])
def test_a_dealing_that_convicts_itself_convicts_its_dealer(
    making: Making, accusation: Accusation, which: str
) -> None:
    payload = bytearray(parse_envelope(accusation.dealing).payload)
    if which == "commitment":
        payload[0] = 4
    elif which == "length":
        del payload[-1:]
    else:
        payload[33 * 2 + 64] ^= 1
    dealing = resigned(making.world, accusation.dealing, bytes(payload))
    assert judged(making, replace(accusation, dealing=dealing)) == {3}


# What is no case


def test_messages_of_different_sessions_are_no_case(making: Making, accusation: Accusation) -> None:
    other = Making.of(making.world, "other").greeted()
    ceremonies = making.world.parties[2].ceremonies
    session_id = parse_envelope(making.dealings[0]).address.session_id
    blame = making.world.parties[1].acting.identity_message(
        BLAME, making.wallet_id, session_id, accusation.to_bytes()
    )
    plan = making.proposal.to_bytes()
    for hellos in (making.hellos[:2], [*making.hellos, making.hellos[0]], other.hellos):
        with pytest.raises((BadEncoding, BadInput)):
            ceremonies.judge(blame, plan, hellos)
    with pytest.raises(BadEncoding):
        ceremonies.judge(blame, other.proposal.to_bytes(), making.hellos)
    with pytest.raises((BadEncoding, InvalidSignature)):
        ceremonies.judge(blame[:-1] + b"?", plan, making.hellos)
    forged = making.hellos[1][:-1] + bytes([making.hellos[1][-1] ^ 1])
    with pytest.raises(InvalidSignature):
        ceremonies.judge(blame, plan, [making.hellos[0], forged, making.hellos[2]])


@given(
    st.integers(0, 0xFFFF),
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=40),
    st.binary(max_size=40),
    st.binary(max_size=40),
)
def test_an_accusation_reads_back(
    accused: int, static: bytes, hello: bytes, dealing: bytes, channel: bytes
) -> None:
    accusation = Accusation(accused, static, hello, dealing, channel)
    assert Accusation.from_bytes(accusation.to_bytes()) == accusation
    with pytest.raises(BadEncoding):
        Accusation.from_bytes(accusation.to_bytes()[:-1])
    with pytest.raises(BadEncoding):
        Accusation.from_bytes(accusation.to_bytes() + b"\0")
