"""Ed25519 wallets at real holders: made, signed with, attacked (section 4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations

import pytest
from cryptography.exceptions import InvalidSignature as Rejected
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.errors import ProtocolAbort, Refused
from hsm_mpc.groups.ed25519 import ED25519, verify_ed25519
from hsm_mpc.ids import Scheme
from hsm_mpc.protocols.list_checks import RepeatedNonce
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.envelope import parse_envelope
from tests.agent.making import Making, events, is_empty, lines, resigned
from tests.agent.rounds import Round, commit_in, open_leases, partial_in
from tests.agent.simulate import LAB_POLICY, World, Worlds
from tests.protocols.frost_ed25519 import mixed

pytestmark = pytest.mark.usefixtures("shielded")

OWN_CIPHERTEXT = 2 * 32 + 64 + 32 + 8
"""Where holder 1's begins in a dealing of 2-of-3: behind C, PoP, E and a length."""
NO_RAW = b"version: 1\npermissions: [message]\n"


def making(world: World, t: int = 2, policy: bytes = LAB_POLICY) -> Making:
    return Making.of(world, "sol", t, policy, Scheme.ED25519)


@pytest.fixture
def certificate(world: World) -> Certificate:
    """2-of-3."""
    return making(world).active()


@pytest.fixture
def round_(world: World, certificate: Certificate) -> Round:
    """Holders 1 and 2 have made nonces."""
    return Round(world, certificate).commit(1, 2)


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.rule


def aborted(work: Callable[[], object]) -> ProtocolAbort:
    with pytest.raises(ProtocolAbort) as caught:
        work()
    return caught.value


@pytest.mark.parametrize(("t", "n"), [(2, 2), (2, 3), (3, 4)])
def test_every_quorum_signs_and_an_independent_verifier_agrees(
    worlds: Worlds, t: int, n: int
) -> None:
    world = worlds(n)
    certificate = making(world, t).active()
    judge = Ed25519PublicKey.from_public_bytes(certificate.body.group_key)
    for signers in combinations(range(1, n + 1), t):
        round_ = Round(world, certificate, b"by %d signers" % t).commit(*signers)
        partials = {index: round_.sign(index) for index in signers}
        signature, key = round_.signature(partials)
        assert key == certificate.body.group_key  # step 4.7
        judge.verify(signature, round_.message)
        with pytest.raises(Rejected):
            judge.verify(signature, round_.message + b"?")


def test_both_schemes_live_at_the_same_holders(world: World, certificate: Certificate) -> None:
    taproot = Making.of(world, "btc").active()
    for wallet in (certificate, taproot, certificate):
        round_ = Round(world, wallet).commit(1, 3)
        assert round_.signature({index: round_.sign(index) for index in (1, 3)})


def test_a_wallet_stays_and_its_nonces_go_when_a_signer_starts_again(
    world: World, certificate: Certificate, round_: Round
) -> None:
    world.restarted(1)
    assert refused(lambda: round_.sign(1)) == "lease-unknown"
    again = Round(world, certificate).commit(1, 2)
    signature, key = again.signature({index: again.sign(index) for index in (1, 2)})
    verify_ed25519(key, again.message, signature)


def test_two_lines_tell_of_a_signature(world: World, round_: Round) -> None:
    """Step 3.4.15."""
    round_.sign(1)
    assert events(world.parties[1])[-2:] == ["lease-used", "partial-released"]
    assert lines(world.parties[1])[-1]["set"] == [1, 2]


def test_there_is_no_key_below_the_key(world: World, certificate: Certificate) -> None:
    """Step 4.7."""
    _, asked = world.requested(certificate, b"pay", Path(0, 1))
    assert refused(lambda: world.parties[1].desk.request(asked)) == "no-derivation"
    assert lines(world.parties[1])[-1]["rule"] == "no-derivation"
    assert open_leases(world.parties[1]) == 0


def test_a_message_that_is_more_needs_its_own_permission(world: World) -> None:
    certificate = making(world, policy=NO_RAW).active()
    for message in (b"SSHSIG" + bytes(40), bytes(64)):
        _, asked = world.requested(certificate, message)
        assert refused(partial(world.parties[1].desk.request, asked)) == "permission"
    assert Round(world, certificate, b"pay nobody").commit(1)


def test_a_nonce_of_mixed_order_names_its_sender(world: World, round_: Round) -> None:
    """Step 4.4.1: also the identity, and what is no point at all."""
    honest = commit_in(round_.commits[2]).public_nonce
    identity = b"\1" + bytes(31)
    for false in (mixed(honest[:32]) + honest[32:], honest[:32] + identity, b"\xff" * 64):
        fresh = Round(world, round_.certificate).commit(1, 2)
        listed = fresh.listed([fresh.commits[1], fresh.lied(2, public_nonce=false)])
        assert aborted(partial(fresh.sign, 1, listed)).culprits == (2,)


def test_a_nonce_that_another_offered_too_is_found(world: World, round_: Round) -> None:
    """Step 3.4.6."""
    copied = round_.lied(2, public_nonce=commit_in(round_.commits[1]).public_nonce)
    abort = aborted(lambda: round_.sign(1, round_.listed([round_.commits[1], copied])))
    assert isinstance(abort, RepeatedNonce)
    assert abort.pair == (1, 2)


def test_a_commit_of_the_other_schemes_length_is_none(world: World, round_: Round) -> None:
    lie = round_.lied(2, public_nonce=bytes(66))
    abort = aborted(lambda: round_.sign(1, round_.listed([round_.commits[1], lie])))
    assert abort.culprits == (2,)


def test_a_wrong_partial_names_its_signer(round_: Round) -> None:
    """Steps 3.5.1 and 4.3.6: another scalar, and the same one written otherwise."""
    partials = {index: partial_in(round_.sign(index)).signature for index in (1, 2)}
    listed = round_.aggregator(partials)
    for index, honest in partials.items():
        listed.verify(index, honest)
    z = int.from_bytes(partials[2], "little")
    for wrong in ((z + 1) % ED25519.order, z + ED25519.order, 0):
        forged = wrong.to_bytes(32, "little")
        assert aborted(partial(listed.verify, 2, forged)).culprits == (2,)
    assert aborted(lambda: listed.verify(1, partials[2])).culprits == (1,)


def test_a_share_that_does_not_open_names_its_dealer_and_leaves_nothing(world: World) -> None:
    """Steps 2.5.7 and 2.6.2: one bit of what holder 3 sealed for holder 1."""
    made = making(world).dealt()
    payload = bytearray(parse_envelope(made.dealings[2]).payload)
    payload[OWN_CIPHERTEXT] ^= 1
    made.dealings[2] = resigned(world, made.dealings[2], bytes(payload))
    assert aborted(lambda: made.confirm(1)).culprits == (3,)
    assert is_empty(world.parties[1])
