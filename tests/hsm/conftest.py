"""A SoftHSM token for each test, a wrapping key in it, and modules that answer wrongly."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsm_mpc.hsm import keys
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from tests.hsm.lying import WALLET_LABEL, Answer
from tests.softhsm import (
    hsm_module,
    locked_token,
    own_token,
    pin_arena,
    shared_token,
    softhsm_environment,
    token,
)

__all__ = ["hsm_module", "locked_token", "own_token", "pin_arena", "shared_token", "token"]


@pytest.fixture
def private_module(softhsm_module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """A copy of SoftHSM with tokens of its own, for a test that breaks it for good."""
    monkeypatch.setenv("SOFTHSM2_CONF", os.environ.get("SOFTHSM2_CONF", ""))
    copy = tmp_path / "softhsm.so"
    shutil.copy(softhsm_module, copy)
    return Module.load(str(copy), softhsm_environment(tmp_path))


@pytest.fixture
def answer(hsm_module: Module, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """`answer("C_Sign", 0x30)`: until the test ends this function of the module answers so."""

    def install(function: str, code: int | Callable[..., int]) -> None:
        def coded(*_: Any) -> int:
            assert isinstance(code, int)
            return code

        replacement = coded if isinstance(code, int) else code
        monkeypatch.setattr(hsm_module.calls, function, replacement)

    return install


@pytest.fixture
def flags(hsm_module: Module, answer: Answer) -> Callable[..., None]:
    """`flags(add=…, remove=…)`: what the token says of itself is changed so."""

    def change(add: int = 0, remove: int = 0) -> None:
        honest = hsm_module.calls.C_GetTokenInfo

        def changed(slot: int, raw: Any) -> int:
            code: int = honest(slot, raw)
            raw.flags = (raw.flags | add) & ~remove
            return code

        answer("C_GetTokenInfo", changed)

    return change


@pytest.fixture
def key(token: Token) -> Key:
    """A wrapping key."""
    return keys.generate_wrapping_key(token, os.urandom(20), WALLET_LABEL)
