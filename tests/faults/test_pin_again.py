"""The PIN that a signer reads again while it recovers, under the rules of every start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hsm_mpc.app.holder import log_in_again
from hsm_mpc.config import HolderConfig
from hsm_mpc.errors import BackendError, PinRefused
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena
from hsm_mpc.store.holder import HolderStore
from tests.faults import codes
from tests.faults.shim import UNTIL_INITIALISED, Shim
from tests.faults.using import ask
from tests.softhsm import USER_PIN


@dataclass
class Site:
    """A holder's PIN file, and its store."""

    pin: Path
    store: HolderStore


@pytest.fixture
def site(ordered: Token, pin_arena: Arena, stores: Path) -> Site:
    """The token has its PIN read from the file."""
    made = Site(stores / "pin", HolderStore.create(stores / "store"))
    made.pin.write_bytes(USER_PIN)
    made.pin.chmod(0o600)
    ordered.recovery.log_in_again = reading(f"file:{made.pin}", ordered, made.store, pin_arena)
    return made


def reading(source: str, token: Token, store: HolderStore, arena: Arena) -> Callable[[], None]:
    config: Any = SimpleNamespace(hsm=SimpleNamespace(pin_source=source))
    return partial(log_in_again, cast(HolderConfig, config), token, store, arena)


def lose_login(token: Token, shim: Shim) -> None:
    shim.obey_no_more()  # logins are counted from here on
    shim.answer(codes.DEVICE_REMOVED, times=UNTIL_INITIALISED)
    with pytest.raises(BackendError):
        ask(token)


def test_a_pin_in_a_file_is_read_again(ordered: Token, shim: Shim, site: Site) -> None:
    lose_login(ordered, shim)
    ask(ordered)
    assert shim.calls("C_Login") == 1
    site.store.close()


def test_a_pin_that_is_refused_while_it_climbs_is_on_disk_and_never_tried_again(
    ordered: Token, shim: Shim, site: Site
) -> None:
    site.pin.write_bytes(b"not the PIN of this token")
    lose_login(ordered, shim)
    for _ in range(3):
        with pytest.raises(PinRefused):
            ask(ordered)
    assert shim.calls("C_Login") == 1
    assert isinstance(ordered.recovery.given_up, PinRefused)
    source = PinSource.parse(f"file:{site.pin}")
    with pytest.raises(PinRefused, match="refused this PIN before"):
        site.store.refused_pin.check(source.fingerprint())
    site.store.close()


@pytest.mark.parametrize("source", ["fd:9", "prompt"])
def test_a_pin_that_was_given_once_is_not_asked_for_again(
    ordered: Token, shim: Shim, site: Site, pin_arena: Arena, source: str
) -> None:
    ordered.recovery.log_in_again = reading(source, ordered, site.store, pin_arena)
    lose_login(ordered, shim)
    with pytest.raises(PinRefused, match="start this signer by hand"):
        ask(ordered)
    assert shim.calls("C_Login") == 0
    site.store.close()
