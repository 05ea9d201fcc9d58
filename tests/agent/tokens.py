"""Tokens that are used again: making a new one takes longer than most tests."""

from __future__ import annotations

from hsm_mpc.hsm import keys, objects
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.hsm.keys import WRAPPING_LABEL_PREFIX
from hsm_mpc.hsm.register_objects import NAME_PREFIX
from hsm_mpc.hsm.token import Token


def forget_wallets(token: Token) -> None:
    """No wallet was ever made here."""
    for handle in objects.matching(token, {Attribute.TOKEN: objects.TRUE}):
        with token.session() as session:
            label = objects.read_attribute(token, session, handle, Attribute.LABEL) or b""
        if label.startswith((WRAPPING_LABEL_PREFIX.encode(), NAME_PREFIX.encode())):
            objects.destroy(token, handle)


def empty(token: Token) -> None:
    """Nothing is left but the canary, as if another token had taken its place."""
    forget_wallets(token)
    identity = keys.find_identity_key(token)
    assert identity is not None
    for half in (identity.private, identity.public):
        keys.destroy(token, half)
