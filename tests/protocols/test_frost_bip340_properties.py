"""Any t sign, fewer never; every parity; judged by coincurve (sections 5.3, 8.3)."""

from __future__ import annotations

import random
from itertools import combinations, product

import coincurve
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_mpc.errors import InvalidSignature, ProtocolAbort
from hsm_mpc.groups.secp256k1 import ORDER, verify_bip340
from hsm_mpc.protocols.frost_bip340.aggregate import Signing, aggregate
from hsm_mpc.protocols.frost_bip340.lists import checked_session
from hsm_mpc.protocols.frost_bip340.nonces import AggregateNonce, PublicNonce
from hsm_mpc.protocols.frost_bip340.partial import sign_partial
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.protocols.frost_bip340.signers import SignerSet
from hsm_mpc.protocols.frost_bip340.tweaks import is_odd
from hsm_mpc.secure.arena import Arena
from tests.protocols.frost import MESSAGE, Wallet, be, received, times_g
from tests.secure.bytes_of import filled

SIZES = [(t, n) for n in range(1, 6) for t in range(1, n + 1)]


def judged(wallet: Wallet, message: bytes, signature: bytes) -> bool:
    """What an independent library says under the tweaked key."""
    return coincurve.PublicKeyXOnly(wallet.key.x_only).verify(signature, message)


@pytest.mark.parametrize(("t", "n"), SIZES)
def test_every_set_of_t_or_more_signs(protocol_arena: Arena, t: int, n: int) -> None:
    """Section 8.3, all of them up to five holders."""
    wallet = Wallet.dealt(protocol_arena, t, n)
    for size in range(t, n + 1):
        for indices in combinations(range(1, n + 1), size):
            assert judged(wallet, MESSAGE, wallet.sign(indices))


tweak_lists = st.lists(st.tuples(st.integers(0, ORDER - 1).map(be), st.booleans()), max_size=4)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), message=st.binary(max_size=300), tweaks=tweak_lists)
def test_any_message_under_any_tweaks_is_signed(
    protocol_arena: Arena, data: st.DataObject, message: bytes, tweaks: list[tuple[bytes, bool]]
) -> None:
    """Messages from 0 bytes up; tweaks of both kinds in any order."""
    n = data.draw(st.integers(2, 7))
    t = data.draw(st.integers(2, n))
    dealt = Wallet.dealt(protocol_arena, t, n, data.draw(st.integers()))
    wallet = Wallet(protocol_arena, n, dealt.coefficients, tuple(tweaks))
    indices = sorted(data.draw(st.permutations(range(1, n + 1)))[:t])
    signature = wallet.sign(indices, message)
    assert judged(wallet, message, signature)
    assert not judged(wallet, message + b"!", signature)


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
    nonces = {i: PublicNonce.parse(times_g(a) + times_g(b)) for i, (a, b) in scalars.items()}
    session = Session.of(signers, wallet.key, AggregateNonce.of(list(nonces.values())), MESSAGE)
    partials = []
    for index, (a, b) in scalars.items():
        with protocol_arena.scope() as take:
            share = filled(take(32), be(wallet.share(index)))
            nonce = filled(take(64), be(a) + be(b))
            partials.append(sign_partial(session, index, nonces[index], nonce, share))
    signature = aggregate(session, partials)
    assert not judged(wallet, MESSAGE, signature)
    with pytest.raises(InvalidSignature):
        verify_bip340(wallet.key.x_only, MESSAGE, signature)


def test_shares_of_two_epochs_never_sign_together(protocol_arena: Arena) -> None:
    """Section 6.5.8: one key, two polynomials; nobody's mixture verifies."""
    old = Wallet.dealt(protocol_arena, 2, 3)
    new = Wallet(protocol_arena, 3, (old.coefficients[0], 12345))
    assert old.epoch.threshold_key == new.epoch.threshold_key
    old_lease, new_lease = old.lease(1), new.lease(2)
    listed = [received(old_lease.commit), received(new_lease.commit)]
    partials = {
        1: old.answer(old_lease, listed, old.task(1)),
        2: new.answer(new_lease, listed, new.task(2)),
    }
    aggregator = Signing(old.epoch, old.key, MESSAGE).open(listed)
    with pytest.raises(InvalidSignature):
        aggregator.signature(partials)
    with pytest.raises(ProtocolAbort):
        aggregator.verify(2, partials[2])


def test_all_sixteen_parities_sign_and_verify(protocol_arena: Arena) -> None:
    """Step 5.3.1: R, Qout, K' and P each even and odd, with the worked check by hand."""
    numbers = random.Random(5)
    wanted = set(product((False, True), repeat=4))
    for _ in range(2000):
        if not wanted:
            break
        secret, first, second = (numbers.randrange(1, ORDER) for _ in range(3))
        tweaks = ((be(first), False), (be(second), True))
        wallet = Wallet(protocol_arena, 3, (secret, numbers.randrange(1, ORDER)), tweaks)
        child, key = times_g(secret + first), wallet.key
        g1 = -1 if is_odd(child) else 1
        assert (key.gacc, key.tacc) == (g1, (second + g1 * first) % ORDER)
        assert key.point == times_g(g1 * (secret + first) + second)
        leases = {index: wallet.lease(index) for index in (1, 3)}
        listed = [received(lease.commit) for lease in leases.values()]
        nonce = checked_session(wallet.task(1), leases[1], listed).nonce
        partials = {i: wallet.answer(lease, listed, wallet.task(i)) for i, lease in leases.items()}
        signature = Signing(wallet.epoch, key, MESSAGE).open(listed).signature(partials)
        assert judged(wallet, MESSAGE, signature)
        points = (nonce, key.point, child, wallet.epoch.threshold_key)
        wanted.discard(tuple(map(is_odd, points)))
    assert not wanted
