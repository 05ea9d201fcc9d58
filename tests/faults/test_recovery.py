"""The ladder, rung by rung, on a real token."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from hsm_mpc.errors import BackendError, PinRefused
from hsm_mpc.hsm import keys, objects
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.failures import DeviceGone, StaleHandle
from hsm_mpc.hsm.identity import Identity
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.recovery import HESITATION, LONGEST_PAUSE, PATIENCE
from hsm_mpc.hsm.register import Register, Registers
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash
from hsm_mpc.secure.arena import Arena
from hsm_mpc.tags import Tag
from tests.agent.processes import until
from tests.agent.simulate import new_token
from tests.faults import codes
from tests.faults.conftest import Logins
from tests.faults.driving import within
from tests.faults.shim import UNTIL_INITIALISED, Shim
from tests.faults.using import WALLET, ask, opened_by, sealed_by

NOT_INITIALISED = 0x190


@pytest.fixture
def token(ordered: Token) -> Token:
    return ordered


# --- the first rung -------------------------------------------------------------------------------


@pytest.mark.parametrize("code", codes.ALL.values(), ids=codes.ALL)
def test_a_fault_that_passes_costs_one_call_and_no_login(
    token: Token, shim: Shim, logins: Logins, code: int
) -> None:
    ask(token)
    shim.answer(code, "C_GenerateRandom")
    with pytest.raises(BackendError) as caught:
        ask(token)
    assert caught.value.retryable
    ask(token)
    assert logins.count == 0


def test_after_a_fault_no_session_of_before_is_used(token: Token, shim: Shim) -> None:
    with token.session(), token.session(), token.session():
        pass  # three are idle from here on
    before = shim.sessions
    shim.answer(codes.DEVICE_ERROR, "C_GenerateRandom")
    with pytest.raises(DeviceGone):
        ask(token)
    ask(token)
    assert shim.sessions == before - 2


def test_a_session_that_could_not_be_closed_is_closed_by_the_next_look(
    token: Token, shim: Shim
) -> None:
    ask(token)
    before = shim.sessions
    shim.answer(codes.DEVICE_ERROR, "C_GenerateRandom")
    shim.answer(codes.DEVICE_ERROR, "C_CloseSession")
    with pytest.raises(DeviceGone):
        ask(token)
    ask(token)
    assert shim.sessions == before


def test_who_changes_objects_does_not_wait_for_one_that_climbs_and_waits_for_him(
    token: Token,
) -> None:
    """A self-test does so: each ciphertext that is refused is a doubt, and others come and look."""
    assert token.profile.changes_alone
    ask(token)
    climber = threading.Thread(target=ask, args=(token,))
    before, started = token.pool._idle[:], time.monotonic()
    with token.changing():
        token.pool.doubt()
        climber.start()
        until(lambda: len(token.module.gate._queue) == 1, "one that climbs")
        with token.session() as session:
            assert session not in before
        assert token.pool.in_doubt
    climber.join()
    assert not token.pool.in_doubt
    assert time.monotonic() - started < 1


# --- the second rung ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        *(codes.DEVICE_ERROR, codes.DEVICE_REMOVED, codes.SESSION_HANDLE_INVALID),
        *(codes.GENERAL_ERROR, codes.USER_NOT_LOGGED_IN, codes.VENDOR, NOT_INITIALISED),
    ],
)
def test_what_lasts_until_the_module_is_initialised_costs_one_call(
    token: Token, key: Key, shim: Shim, logins: Logins, code: int
) -> None:
    sealed = sealed_by(token, key)
    shim.answer(code, times=UNTIL_INITIALISED)
    with pytest.raises(BackendError) as caught:
        ask(token)
    assert caught.value.retryable
    ask(token)
    assert logins.count == 1
    again = keys.found_again(token, key)
    assert opened_by(token, again, sealed) == 32


def test_a_token_that_logged_us_out_is_logged_into_again(
    token: Token, shim: Shim, logins: Logins
) -> None:
    with token.session() as session:
        token.calls.C_Logout(session.handle)
    with pytest.raises(DeviceGone, match="logged this process out"):
        keys.find_identity_key(token)  # private objects are hidden, and that is no answer
    assert keys.find_identity_key(token) is None
    assert logins.count == 1


def test_a_handle_of_before_is_never_another_object(token: Token, key: Key) -> None:
    """SoftHSM counts from 1 again, so the number of before is somebody else's."""
    token.module.begin_anew()
    with pytest.raises(StaleHandle):
        sealed_by(token, key)
    with pytest.raises(StaleHandle):
        objects.destroy(token, key.handle)
    again = keys.found_again(token, key)
    assert opened_by(token, again, sealed_by(token, again)) == 32


def test_identity_registers_and_canary_go_on_after_it(token: Token) -> None:
    pair = keys.find_identity_key(token) or keys.generate_identity_key(token)
    identity, registers = Identity(token, pair), Registers(token)
    register = Register(EpochHash(bytes(32)))
    registers.write(WALLET, register)
    token.module.begin_anew()
    identity.key.verify(Tag.CARD, b"message", identity.sign(Tag.CARD, b"message"))
    assert Registers(token).read(WALLET) == register
    assert token.canary is not None
    assert token.canary.is_decrypted_by(token)


def test_a_register_is_read_anew_after_it(token: Token) -> None:
    """The token was somebody else's meanwhile, as far as anybody here knows."""
    before, since = Register(EpochHash(b"b" * 32)), Register(EpochHash(b"s" * 32))
    registers = Registers(token)
    registers.write(WALLET, before)
    Registers(token).write(WALLET, since)
    assert registers.read(WALLET) == before
    token.module.begin_anew()
    assert registers.read(WALLET) == since


@pytest.mark.parametrize("its_canary", ["another", "none"])
def test_another_token_of_the_same_label_and_serial_is_not_taken_for_it(
    token: Token, key: Key, shim: Shim, its_canary: str
) -> None:
    """All tokens of NSS have one serial number, and what a wallet's keys are called is public."""
    shown, token.canary = token.canary, None
    assert shown is not None
    keys.destroy(token, shown.key)
    if its_canary == "another":
        keys.generate_canary_key(token)
    ask(token)
    token.canary = shown
    shim.answer(codes.DEVICE_REMOVED, times=UNTIL_INITIALISED)
    with pytest.raises(DeviceGone):
        ask(token)
    for _ in range(3):
        with pytest.raises(BackendError, match=r"there before|canary that it encrypted"):
            sealed_by(token, key)
        with pytest.raises(BackendError, match=r"there before|canary that it encrypted"):
            keys.found_again(token, key)


def test_every_token_of_the_module_finds_back(
    token: Token, ordered_module: Module, pin_arena: Arena, logins: Logins
) -> None:
    other = new_token(ordered_module, pin_arena)
    other.recovery.log_in_again = others = Logins(other, pin_arena)
    ordered_module.begin_anew()
    for each in (token, other, token, other):
        ask(each)
    assert (logins.count, others.count) == (1, 1)


@pytest.mark.parametrize(
    "function", ["C_Finalize", "C_Initialize", "C_GetSlotList", "C_GetTokenInfo", "C_Login"]
)
def test_a_fault_while_it_climbs_costs_another_try(
    token: Token, shim: Shim, logins: Logins, function: str
) -> None:
    with token.session() as session:
        token.calls.C_Logout(session.handle)
    token.pool.in_doubt = True
    shim.answer(codes.DEVICE_ERROR, function)
    within(3, lambda: ask(token))
    assert shim.struck(function)
    assert logins.count <= 2


def test_who_has_a_session_does_not_wait_for_one_that_initialises_and_waits_for_him(
    token: Token, shim: Shim, logins: Logins
) -> None:
    ask(token)
    climber, started = threading.Thread(target=ask, args=(token,)), time.monotonic()
    with token.session():
        token.pool.doubt()
        shim.answer(codes.DEVICE_REMOVED, "C_GetSessionInfo")
        climber.start()
        until(lambda: token.module.gate._closed, "one that wants to be alone")
        with pytest.raises(BackendError, match="is being initialised again"):
            ask(token)
    climber.join()
    assert logins.count == 1
    assert time.monotonic() - started < 1


def test_no_key_is_made_before_the_token_is_entered_again(token: Token) -> None:
    with token.recovery._lock, token.changing():  # another thread climbs
        token.module.begin_anew()
        with (
            pytest.raises(BackendError, match="not logged in again yet") as caught,
            administration(token),
        ):
            pytest.fail("its slot and its login are those of before")
    assert caught.value.retryable
    ask(token)


# --- the third rung -------------------------------------------------------------------------------


def test_who_has_no_pin_any_more_gives_up_and_asks_the_module_no_more(
    token: Token, shim: Shim
) -> None:
    asked = []

    def gone() -> None:
        asked.append(1)
        raise PinRefused("it came from a descriptor")

    token.recovery.log_in_again = gone
    shim.answer(codes.DEVICE_ERROR, times=UNTIL_INITIALISED)
    with pytest.raises(DeviceGone):
        ask(token)
    for _ in range(3):
        with pytest.raises(PinRefused, match="descriptor"):
            ask(token)
    assert asked == [1]
    assert isinstance(token.recovery.given_up, PinRefused)


def test_a_login_that_cannot_be_had_again_is_not_thrown_away_at_once(
    token: Token, shim: Shim, logins: Logins
) -> None:
    now = [0.0]
    token.recovery._ticks = lambda: now[0]
    token.recovery.hesitation = HESITATION
    incarnation = token.module.incarnation
    with shim.away(codes.DEVICE_REMOVED):
        while now[0] < HESITATION:
            with pytest.raises(BackendError):
                ask(token)
            now[0] += 1
    ask(token)
    assert (token.module.incarnation, logins.count) == (incarnation, 0)
    with shim.away(codes.DEVICE_REMOVED):
        for _ in range(2 + round(HESITATION)):
            with pytest.raises(BackendError):
                ask(token)
            now[0] += 1
    assert token.module.incarnation > incarnation


def test_a_device_that_stays_away_is_given_up_after_a_minute_and_still_looked_for(
    token: Token, shim: Shim
) -> None:
    now = [0.0]
    token.recovery._ticks = lambda: now[0]
    token.recovery._patience = PATIENCE
    with shim.away(codes.DEVICE_REMOVED):
        while now[0] < PATIENCE:
            with pytest.raises(BackendError) as caught:
                ask(token)
            assert caught.value.retryable
            assert token.recovery.given_up is None
            now[0] += 1
        now[0] += 1
        with pytest.raises(BackendError):
            ask(token)
        assert token.recovery.given_up is not None
        assert token.recovery.given_up.retryable
    now[0] += 1
    ask(token)
    assert token.recovery.given_up is None


def test_two_faults_with_a_quiet_hour_between_them_are_no_hour_of_failures(
    token: Token, shim: Shim
) -> None:
    now = [0.0]
    token.recovery._ticks = lambda: now[0]
    token.recovery._patience = PATIENCE
    for _ in range(2):
        with shim.away(codes.DEVICE_REMOVED):
            for _ in range(2):
                with pytest.raises(BackendError):
                    ask(token)
                now[0] += 1
        now[0] += 3600
    assert token.recovery.given_up is None


def test_pauses_double_up_to_the_longest(token: Token, shim: Shim) -> None:
    now = [0.0]
    token.recovery._ticks = lambda: now[0]
    climbs = []
    with shim.away(codes.DEVICE_REMOVED):
        while now[0] < 6:
            before = shim.calls()
            with pytest.raises(BackendError):
                ask(token)
            if shim.calls() > before:
                climbs.append(now[0])
            now[0] += 0.01
    gaps = [round(later - earlier, 2) for earlier, later in itertools.pairwise(climbs[1:])]
    assert gaps == sorted(gaps)
    assert gaps[0] < 0.1
    assert LONGEST_PAUSE <= max(gaps) < LONGEST_PAUSE + 0.02
    now[0] += LONGEST_PAUSE
    ask(token)
