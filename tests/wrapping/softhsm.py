"""Wrapping keys in a token of SoftHSM. Needs the fixture `token` of tests/softhsm.py."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from hsm_mpc.hsm import keys
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.token import Token
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key
from hsm_mpc.wrapping.pkcs11_rsa import Pkcs11RsaKey
from tests.rsa_pairs import brought_in

LABEL = keys.wrapping_label(b"wallet of a test")


@pytest.fixture
def make_softhsm_key(token: Token) -> Callable[[], Pkcs11Key]:
    """Makes a new wrapping key at each call."""
    return lambda: Pkcs11Key(token, keys.generate_wrapping_key(token, os.urandom(20), LABEL))


@pytest.fixture
def make_softhsm_rsa_key(token: Token) -> Callable[[], Pkcs11RsaKey]:
    """Brings in another RSA pair at each of two calls."""
    numbers = iter(range(2))

    def make() -> Pkcs11RsaKey:
        with administration(token) as session:
            key = brought_in(session, next(numbers), os.urandom(20), LABEL)
        return Pkcs11RsaKey(token, key)

    return make
