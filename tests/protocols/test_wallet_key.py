"""The key of a wallet, of either scheme, as signers, aggregators and verifiers ask for it."""

from __future__ import annotations

import pytest

from hsm_mpc.errors import InvalidSignature, Refused
from hsm_mpc.protocols.ed25519_key import Ed25519Key
from hsm_mpc.protocols.taproot_key import TaprootKey
from hsm_mpc.protocols.wallet_key import Wanted
from hsm_mpc.secure.arena import Arena
from hsm_mpc.taproot.derivation import Path
from tests.protocols import frost, frost_ed25519
from tests.protocols.frost import EPOCH, MESSAGE, REQUEST, WALLET, anybody

KEY, CHILD = Path(), Path(0, 1)


def ed25519(arena: Arena) -> tuple[frost_ed25519.Wallet, Ed25519Key]:
    wallet = frost_ed25519.Wallet.dealt(arena, 2, 3)
    commitments = [frost_ed25519.times_b(each) for each in wallet.coefficients]
    return wallet, Ed25519Key(EPOCH, 3, commitments, EPOCH)  # type: ignore[arg-type]


def taproot(arena: Arena) -> tuple[frost.Wallet, TaprootKey]:
    dealt = frost.Wallet.dealt(arena, 2, 3)
    commitments = [frost.times_g(each) for each in dealt.coefficients]
    key = TaprootKey(EPOCH, 3, commitments, EPOCH)  # type: ignore[arg-type]
    tweaks = tuple(key.spending_key(KEY).tweaks)
    return frost.Wallet(arena, 3, dealt.coefficients, tweaks), key


def test_an_ed25519_wallet_has_no_key_below_its_key(protocol_arena: Arena) -> None:
    """Step 4.7: no verb takes another path than the one that stands for the key."""
    _, key = ed25519(protocol_arena)
    wanted = Wanted(WALLET, REQUEST, 0, CHILD, MESSAGE)
    for ask in (
        lambda: key.require_path(CHILD),
        lambda: key.public_key(CHILD),
        lambda: key.task(wanted, 1, anybody),
        lambda: key.aggregation(CHILD, MESSAGE),
        lambda: key.verify(CHILD, MESSAGE, bytes(64)),
    ):
        with pytest.raises(Refused) as refused:
            ask()
        assert refused.value.rule == "no-derivation"


def test_what_an_ed25519_wallet_signed_verifies_and_nothing_else_does(
    protocol_arena: Arena,
) -> None:
    wallet, key = ed25519(protocol_arena)
    signature = wallet.sign((1, 3))
    key.verify(KEY, MESSAGE, signature)
    with pytest.raises(InvalidSignature):
        key.verify(KEY, MESSAGE + b"!", signature)


def test_what_a_taproot_wallet_signed_verifies_under_that_path_alone(
    protocol_arena: Arena,
) -> None:
    wallet, key = taproot(protocol_arena)
    signature = wallet.sign((1, 3))
    key.verify(KEY, MESSAGE, signature)
    with pytest.raises(InvalidSignature):
        key.verify(CHILD, MESSAGE, signature)
