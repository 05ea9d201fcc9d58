"""A wallet made and used by two holders, the first of which meets one fault of its HSM."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import pytest

from hsm_mpc.agent.reservations import ROUND_SECONDS
from hsm_mpc.errors import BackendError, PinRefused, Refused
from hsm_mpc.hsm import canary, keys
from hsm_mpc.hsm.identity import Identity
from hsm_mpc.hsm.token import Token
from hsm_mpc.store.holder import HolderStore
from tests.agent.making import Making, is_empty
from tests.agent.simulate import World
from tests.crash.driving import drive, is_free_again, signed
from tests.crash.invariants import Remains
from tests.crash.phoenix import clear
from tests.faults.conftest import Logins
from tests.faults.shim import ANY, NUMBERS, Shim
from tests.softhsm import never_pause

Answer = TypeVar("Answer")

ME = 1
"""The holder whose HSM fails."""


def within(tries: int, work: Callable[[], Answer]) -> Answer:
    """What `work` gives at last; what it raises before says that one may try again."""
    for _ in range(tries):
        try:
            return work()
        except BackendError as failure:
            assert failure.retryable, failure
            assert not isinstance(failure, PinRefused), failure
    return pytest.fail(f"no answer after {tries} tries")


def wallet_made(world: World, shim: Shim, name: str) -> tuple[str, bool]:
    """A key generation that is repeated as its errors say: `finished`, or what was left of it.

    Then it is used or discarded, and both holders are as empty as before. Also: whether the fault
    that was ordered has come; if not, it comes no more.
    """
    making, finished = Making.of(world, name), False
    with suppress(Refused):
        within(2, lambda: drive(making))
        finished = True
    came = any(shim.struck(name) for name in (ANY, *NUMBERS))
    shim.obey_no_more()
    if finished:
        outcome = "finished"
        assert remains_of(world).states[bytes(making.wallet_id)] == "active"
        signed(world, making.certificate(), name.encode())
    else:
        outcome = _given_up(making)
    for party in world.parties.values():
        clear(party)
    return outcome, came


def _given_up(making: Making) -> str:
    """Nothing is left but what an operator may discard; and the name is free."""
    world = making.world
    outcome = remains_of(world).states.get(bytes(making.wallet_id), "nothing")
    world.later[0] += ROUND_SECONDS + 1
    for party in world.parties.values():
        party.ceremonies.expire()
        if party.wallets.of(making.wallet_id):
            party.ceremonies.discard(making.wallet_id)
        assert is_empty(party)
    assert is_free_again(making)
    world.later[0] += ROUND_SECONDS + 1
    world.parties[ME].ceremonies.expire()
    return outcome


def remains_of(world: World) -> Remains:
    """What the first holder has on disk and in its HSM, which must be whole."""
    remains = Remains.of(world.parties[ME])
    remains.require_whole()
    return remains


def only_the_login_is_open(token: Token, shim: Shim) -> bool:
    """Whether no session was leaked."""
    within(2, lambda: keys.find_canary_key(token))
    for _ in range(2):  # what could not be closed the first time
        token.pool.close_all()
    return shim.sessions == 1


@dataclass
class Starter:
    """Starts the first holder as a new process would, but for the loading of the module."""

    world: World
    logins: Logins
    _store_is_open: bool = True

    def start(self) -> None:
        """The holder acts again, on a new token of a module that was initialised anew."""
        party = self.world.parties[ME]
        acting, module = party.acting, party.acting.token.module
        party.desk.forget()
        if self._store_is_open:  # not if the last start failed
            acting.store.close()
            self._store_is_open = False
        label, serial = acting.token.label, acting.token.serial.decode().strip()
        module.begin_anew()
        module._tokens.clear()
        token = module.token(label, serial)
        self.logins.token = token
        self.logins()
        token.recovery.log_in_again = self.logins
        never_pause(token)
        assert canary.arm(token)
        pair = keys.find_identity_key(token)
        assert pair is not None
        identity = Identity(token, pair)
        store = HolderStore.open(acting.store._folder)
        try:
            started = self.world.party(ME, token, identity, store, acting.arena)
        except BaseException:
            store.close()
            raise
        acting.channel.wipe()
        self._store_is_open = True
        self.world.parties[ME] = started
