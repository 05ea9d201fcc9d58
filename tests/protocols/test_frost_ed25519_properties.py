"""Any t sign, fewer never; judged by an independent library (section 8.3)."""

from __future__ import annotations

from itertools import combinations

import pytest
from cryptography.exceptions import InvalidSignature as Rejected
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_mpc.errors import InvalidSignature, ProtocolAbort
from hsm_mpc.groups.ed25519 import verify_ed25519
from hsm_mpc.protocols.frost_ed25519.aggregate import Signing, aggregate
from hsm_mpc.protocols.frost_ed25519.nonces import PublicNonce
from hsm_mpc.protocols.frost_ed25519.partial import sign_partial
from hsm_mpc.protocols.frost_ed25519.session import Session
from hsm_mpc.protocols.frost_ed25519.signers import EpochKey, SignerSet
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.protocols.suite_ed25519 import CocktailEd25519
from hsm_mpc.secure.arena import Arena, publish
from tests.protocols import keygen
from tests.protocols.frost import EPOCH, MESSAGE
from tests.protocols.frost_ed25519 import Wallet, le, received, times_b
from tests.secure.bytes_of import filled

SIZES = [(t, n) for n in range(1, 6) for t in range(1, n + 1)]


def judged(key: bytes, message: bytes, signature: bytes) -> bool:
    """What an independent library says."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except Rejected:
        return False
    return True


@pytest.mark.parametrize(("t", "n"), SIZES)
def test_every_set_of_t_or_more_signs(protocol_arena: Arena, t: int, n: int) -> None:
    """Section 8.3, all of them up to five holders."""
    wallet = Wallet.dealt(protocol_arena, t, n)
    for size in range(t, n + 1):
        for indices in combinations(range(1, n + 1), size):
            assert judged(wallet.key, MESSAGE, wallet.sign(indices))


@settings(max_examples=50, deadline=None)
@given(data=st.data(), message=st.binary(max_size=300))
def test_any_message_is_signed(protocol_arena: Arena, data: st.DataObject, message: bytes) -> None:
    """Messages from 0 bytes up."""
    n = data.draw(st.integers(2, 7))
    t = data.draw(st.integers(2, n))
    wallet = Wallet.dealt(protocol_arena, t, n, data.draw(st.integers()))
    indices = sorted(data.draw(st.permutations(range(1, n + 1)))[:t])
    signature = wallet.sign(indices, message)
    assert judged(wallet.key, message, signature)
    assert not judged(wallet.key, message + b"!", signature)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_one_signer_fewer_makes_no_signature(protocol_arena: Arena, data: st.DataObject) -> None:
    """t − 1 holders who skip every check: partial signatures that fit, a sum that does not."""
    n = data.draw(st.integers(2, 6))
    t = data.draw(st.integers(2, n))
    wallet = Wallet.dealt(protocol_arena, t, n, data.draw(st.integers()))
    indices = sorted(data.draw(st.permutations(range(1, n + 1)))[: t - 1])
    shares = tuple(wallet.epoch.public_share(index) for index in indices)
    signers = SignerSet(tuple(indices), shares, wallet.epoch.threshold_key)
    scalars = {index: (100 + index, 200 + index) for index in indices}
    nonces = [PublicNonce.parse(times_b(d) + times_b(e)) for d, e in scalars.values()]
    session = Session.of(signers, nonces, MESSAGE)
    partials = {}
    for index, (d, e) in scalars.items():
        with protocol_arena.scope() as take:
            share = filled(take(32), le(wallet.share(index)))
            partials[index] = sign_partial(session, index, filled(take(64), le(d) + le(e)), share)
    signature = aggregate(session, partials)
    assert not judged(wallet.key, MESSAGE, signature)
    with pytest.raises(InvalidSignature):
        verify_ed25519(wallet.key, MESSAGE, signature)


def test_shares_of_two_epochs_never_sign_together(protocol_arena: Arena) -> None:
    """Section 6.5.8: one key, two polynomials; nobody's mixture verifies."""
    old = Wallet.dealt(protocol_arena, 2, 3)
    new = Wallet(protocol_arena, 3, (old.coefficients[0], 12345))
    assert old.key == new.key
    old_lease, new_lease = old.lease(1), new.lease(2)
    listed = [received(old_lease.commit), received(new_lease.commit)]
    partials = {
        1: old.answer(old_lease, listed, old.task(1)),
        2: new.answer(new_lease, listed, new.task(2)),
    }
    aggregator = Signing(old.epoch, MESSAGE).open(listed)
    with pytest.raises(InvalidSignature):
        aggregator.signature(partials)
    with pytest.raises(ProtocolAbort):
        aggregator.verify(2, partials[2])


def test_two_signatures_of_one_message_differ(protocol_arena: Arena) -> None:
    """Nonces are fresh each time (step 4.5)."""
    wallet = Wallet.dealt(protocol_arena, 2, 3)
    signatures = {wallet.sign((1, 2)) for _ in range(3)}
    assert len({signature[:32] for signature in signatures}) == 3


def test_a_key_that_was_generated_signs(protocol_arena: Arena) -> None:
    """Sections 2 and 4 together: shares of a key generation, every pair of three."""
    suite = CocktailEd25519()
    with protocol_arena.scope() as take:
        shares, keeps = keygen.play(keygen.parties(suite, take, 2, (11, 12, 13)))
        epoch = EpochKey.of(EPOCH, 3, keeps[0].commitments)
        assert epoch.public_shares == keeps[0].public_shares
        for indices in combinations((1, 2, 3), 2):
            assert _signed(protocol_arena, epoch, shares, indices)
        for keep in keeps:
            assert publish(keep.share) == shares[keep.setup.me]
            abort(keep)


def _signed(
    arena: Arena, epoch: EpochKey, shares: dict[int, bytes], indices: tuple[int, ...]
) -> bool:
    nonces = [PublicNonce.parse(times_b(50 + i) + times_b(70 + i)) for i in indices]
    session = Session.of(epoch.signers(indices), nonces, MESSAGE)
    partials = {}
    for i in indices:
        with arena.scope() as take:
            nonce = filled(take(64), le(50 + i) + le(70 + i))
            partials[i] = sign_partial(session, i, nonce, filled(take(32), shares[i]))
    return judged(epoch.threshold_key, MESSAGE, aggregate(session, partials))
