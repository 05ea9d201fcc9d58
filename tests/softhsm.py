"""SoftHSM for tests: one private folder of tokens for the whole run.

Import the fixtures into the `conftest.py` where they are needed, with those they build on:

    from tests.softhsm import hsm_module, pin_arena, shared_token, token     # logged in
    from tests.softhsm import hsm_module, locked_token, own_token, pin_arena # one for each test

They build on the fixture `softhsm_module` of tests/conftest.py. A module that is missing fails the
run: it never skips.
"""

from __future__ import annotations

import atexit
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from hsm_mpc.hsm import canary, failures, keys, objects, uri
from hsm_mpc.hsm.cryptoki import BYTES, Attribute, ffi
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena, Secret, move_bytes
from tests.memory_folder import IN_MEMORY

SO_PIN = b"security officer's pin"
USER_PIN = b"user pin 12345678"

_SESSION_EXISTS = 0xB6

_numbers = itertools.count(1)
_thrown_away: dict[Module, list[bytes]] = {}
"""Serial numbers."""


def softhsm_environment(folder: Path) -> dict[str, str]:
    """Variables under which SoftHSM keeps its tokens in `folder`; what it needs is made."""
    tokens = folder / "tokens"
    tokens.mkdir(mode=0o700, parents=True, exist_ok=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(
        f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
    )
    return {"SOFTHSM2_CONF": str(configuration)}


def secret_of(arena: Arena, value: bytes) -> Secret:
    """A slot that holds `value`: a test's PIN is no secret."""
    secret = arena.take(len(value))
    with secret.open() as pointer:
        move_bytes(pointer, value, len(value))
    return secret


def create_token(module: Module, arena: Arena, label: str | None = None) -> Token:
    """A new token with the PINs above, nobody logged in; in the slot of one thrown away, if any."""
    label = label or f"test {next(_numbers)}"
    thrown_away = _thrown_away.get(module, [])
    while thrown_away and not _reset(module, thrown_away.pop(), secret_of(arena, SO_PIN), label):
        pass
    module.create_token(label, secret_of(arena, SO_PIN), secret_of(arena, USER_PIN))
    token = module.token(label)
    never_pause(token)
    return token


def throw_away(token: Token) -> None:
    """Nobody uses the token of `create_token` any more; the next one is made in its slot.

    All slots are looked at whenever a token is looked for: a run that left a slot to each of its
    thousands of tokens would do little else.
    """
    token.pool.close_all()
    if token._login_session is not None:
        token.pool.close(token._login_session)
    del token.module._tokens[token.label, token.serial]
    _thrown_away.setdefault(token.module, []).append(token.serial)


def _reset(module: Module, serial: bytes, so_pin: Secret, label: str) -> bool:
    """The token has a new label, no user PIN and no object; False: a thread that has outlived its
    test is still at work there.
    """
    (found,) = (each for each in module.slots() if each.serial == serial)
    padded = label.encode().ljust(uri.LABEL_BYTES)
    with so_pin.open() as pointer:
        pin = ffi.cast(BYTES, pointer)
        code = module.calls.C_InitToken(found.slot, pin, so_pin.size, padded)
    if code == _SESSION_EXISTS:
        return False
    failures.check(code, "C_InitToken", module.where)
    return True


def never_pause(token: Token) -> None:
    """The ladder of the token is climbed at every call: its clock runs ten seconds at each look."""
    ticks = itertools.count()
    token.recovery._ticks = lambda: 10.0 * next(ticks)
    token.recovery._patience = float("inf")


@pytest.fixture(scope="session")
def pin_arena() -> Iterator[Arena]:
    """Protected memory for the PINs of tests."""
    arena = Arena(16 * 1024)
    yield arena
    arena.close()


@pytest.fixture(scope="session")
def hsm_module(softhsm_module: str, tmp_path_factory: pytest.TempPathFactory) -> Module:
    """SoftHSM, loaded in this process; it can be so only once, so the folder is the run's.

    Each conftest that imports this has a session fixture of its own: hence the cache.
    """
    parent = IN_MEMORY or tmp_path_factory.getbasetemp()
    return Module.load(softhsm_module, _environment_of_the_run(parent))


@cache
def _environment_of_the_run(parent: Path) -> dict[str, str]:
    folder = tempfile.mkdtemp(prefix="softhsm-", dir=parent)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return softhsm_environment(Path(folder))


@pytest.fixture
def locked_token(hsm_module: Module, pin_arena: Arena) -> Token:
    """A new token of its own, nobody logged in."""
    return create_token(hsm_module, pin_arena)


@pytest.fixture
def own_token(locked_token: Token, pin_arena: Arena) -> Token:
    """A new token of its own, logged in, with a canary: for a test that spoils it."""
    locked_token.login(secret_of(pin_arena, USER_PIN))
    empty(locked_token)
    return locked_token


@pytest.fixture(scope="session")
def shared_token(hsm_module: Module, pin_arena: Arena) -> Token:
    token = create_token(hsm_module, pin_arena)
    token.login(secret_of(pin_arena, USER_PIN))
    return token


@pytest.fixture
def token(shared_token: Token) -> Token:
    """A logged in token with a canary and nothing else. Others use it before and after."""
    empty(shared_token)
    return shared_token


def empty(token: Token) -> None:
    """Leave a new canary key in the token, and no session open but the one that logged in."""
    token.canary = None  # it is about to go, and is not to be missed
    for handle in objects.matching(token, {Attribute.TOKEN: objects.TRUE}):
        objects.destroy(token, handle)
    keys.generate_canary_key(token)
    assert canary.arm(token)
    token.pool.close_all()
