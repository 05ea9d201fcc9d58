from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc.bench import unseal
from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena
from hsm_mpc.wrapping.pkcs11 import WRAPPED_BYTES


def refusing(decrypts: int) -> Any:
    """A token that encrypts, or not, and does not decrypt."""

    @contextmanager
    def session() -> Iterator[Any]:
        yield SimpleNamespace(handle=1, gcm=None, length=[0], set_gcm=lambda iv, associated: None)

    calls = SimpleNamespace(
        C_EncryptInit=lambda *_: 0,
        C_Encrypt=lambda *_: 1 - decrypts,
        C_DecryptInit=lambda *_: 0,
        C_Decrypt=lambda *_: 1,
    )
    return SimpleNamespace(session=session, calls=calls)


@pytest.mark.parametrize(("decrypts", "verb"), [(0, "encrypt"), (1, "decrypt")])
def test_a_token_that_refuses_is_no_floor(arena: Arena, decrypts: int, verb: str) -> None:
    token, key = refusing(decrypts), SimpleNamespace(handle=1)
    with arena.scope() as take, pytest.raises(BackendError, match=f"does not {verb}"):
        operation = unseal.bare_decryption(token, key, take(WRAPPED_BYTES))  # type: ignore[arg-type]
        operation.prepared()(1)


def test_the_bare_decryption_runs_on_a_token(token: Token, arena: Arena) -> None:
    wallet_id = os.urandom(16)
    key = keys.generate_wrapping_key(
        token, os.urandom(keys.KEY_ID_BYTES), keys.wrapping_label(wallet_id)
    )
    with arena.scope() as take:
        unseal.bare_decryption(token, key, take(WRAPPED_BYTES)).prepared()(3)
