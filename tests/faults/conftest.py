"""SoftHSM behind a module that does what a test orders, and holders on it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hsm_mpc.hsm import keys
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena
from tests.agent.conftest import hsm_module, pin_arena, shielded, stores
from tests.agent.simulate import World, new_token
from tests.faults.shim import Shim
from tests.faults.using import WALLET
from tests.memory_folder import IN_MEMORY
from tests.softhsm import USER_PIN, secret_of, softhsm_environment

__all__ = ["hsm_module", "pin_arena", "shielded", "stores"]


@pytest.fixture(scope="module")
def shim_and_module(
    softhsm_module: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Shim, Module]]:
    """The ordered module before a SoftHSM of its own, loaded in this process."""
    parent = IN_MEMORY or tmp_path_factory.getbasetemp()
    with (
        tempfile.TemporaryDirectory(prefix="shim-", dir=parent) as place,
        pytest.MonkeyPatch.context() as patch,
    ):
        folder = Path(place)
        shim = Shim(folder, softhsm_module)
        environment = {**softhsm_environment(folder), **shim.environment}
        for name, value in environment.items():
            patch.setenv(name, value)  # so that what was there before comes back
        yield shim, Module.load(str(shim.module), environment)
        shim.close()


@pytest.fixture
def shim(shim_and_module: tuple[Shim, Module]) -> Iterator[Shim]:
    """Nothing is ordered yet."""
    shim, _ = shim_and_module
    shim.obey_no_more()
    yield shim
    shim.obey_no_more()


@pytest.fixture
def ordered_module(shim: Shim, shim_and_module: tuple[Shim, Module]) -> Module:
    return shim_and_module[1]


@dataclass
class Logins:
    """Has the token logged in again, as its signer would; counts how often that was asked for."""

    token: Token
    pins: Arena
    count: int = 0

    def __call__(self) -> None:
        self.count += 1
        pin = secret_of(self.pins, USER_PIN)
        try:
            self.token.login(pin)
        finally:
            pin.release()


@pytest.fixture
def logins(ordered_module: Module, pin_arena: Arena) -> Logins:
    """A new token of a holder behind the ordered module, whose ladder has every rung."""
    ordered_module.begin_anew()  # no session of other tests is left to be counted
    token = new_token(ordered_module, pin_arena)
    token.recovery.log_in_again = logins = Logins(token, pin_arena)
    return logins


@pytest.fixture
def ordered(logins: Logins) -> Token:
    """The token of `logins`."""
    return logins.token


@pytest.fixture
def key(ordered: Token) -> Key:
    """A wrapping key in it."""
    return keys.generate_wrapping_key(ordered, os.urandom(20), keys.wrapping_label(WALLET))


@pytest.fixture
def world(ordered: Token, hsm_module: Module, pin_arena: Arena, stores: Path) -> Iterator[World]:
    """Two holders: the first one's token is behind the ordered module."""
    with World.on([ordered, new_token(hsm_module, pin_arena)], stores) as world:
        yield world
