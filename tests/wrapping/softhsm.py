"""Wrapping keys in a token of SoftHSM. Needs the fixture `token` of tests/softhsm.py."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from hsm_mpc.hsm import keys
from hsm_mpc.hsm.token import Token
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key

LABEL = keys.wrapping_label(b"wallet of a test")


@pytest.fixture
def make_softhsm_key(token: Token) -> Callable[[], Pkcs11Key]:
    """Makes a new wrapping key at each call."""
    return lambda: Pkcs11Key(token, keys.generate_wrapping_key(token, os.urandom(20), LABEL))
