"""Every PKCS#11 call of a start, a key generation and a signature fails once, with each code.

The holder answers that one may try again, the next try works without anybody's help, nothing is
lost, and no session is left open.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm.token import Token
from tests.agent.making import Making
from tests.agent.rounds import Round
from tests.agent.simulate import World
from tests.crash.driving import drive, signed, signed_by_both
from tests.crash.invariants import NonceBook
from tests.crash.phoenix import clear
from tests.faults import codes
from tests.faults.conftest import Logins
from tests.faults.driving import ME, Starter, only_the_login_is_open, wallet_made, within
from tests.faults.shim import NUMBERS, Shim

FEW_CODES = (codes.DEVICE_ERROR, codes.KEY_HANDLE_INVALID)

every_code = pytest.mark.parametrize("code", codes.ALL.values(), ids=codes.ALL)

pytestmark = pytest.mark.usefixtures("shielded")


def called_in_a_key_generation(world: World, shim: Shim) -> dict[str, int]:
    """How often each function is called, by the first holder."""
    shim.obey_no_more()
    drive(Making.of(world, "counted"))
    called = {name: count for name in NUMBERS if (count := shim.calls(name))}
    shim.obey_no_more()
    clear(world.parties[ME])
    clear(world.parties[2])
    return called


def test_every_call_of_a_signature_fails_once(
    world: World, ordered: Token, shim: Shim, report_line: Callable[[str], None]
) -> None:
    making, book, failed = Making.of(world), NonceBook(), 0
    drive(making)
    certificate = making.certificate()
    for code in codes.ALL.values():
        for number in itertools.count():
            ordered.pool.close_all()  # so that one is opened
            shim.answer(code, after=number)
            round_ = Round(world, certificate, b"%d" % number)
            within(2, partial(signed_by_both, round_, book))
            assert only_the_login_is_open(ordered, shim)
            if not shim.struck():
                break
            failed += 1
    assert failed > 5 * len(codes.ALL)
    report_line(f"signature: {failed} calls failed once, with {len(codes.ALL)} codes")


@pytest.mark.parametrize("code", FEW_CODES)
def test_each_function_fails_once_in_a_key_generation(
    world: World, ordered: Token, shim: Shim, code: int, report_line: Callable[[str], None]
) -> None:
    called = called_in_a_key_generation(world, shim)
    assert called.keys() >= {"C_GenerateKey", "C_CreateObject", "C_Sign", "C_Decrypt"}
    outcomes = Counter[str]()
    for name, count in called.items():
        shim.answer(code, name, after=count // 3)
        outcome, came = wallet_made(world, shim, name.lower())
        assert came, name
        assert only_the_login_is_open(ordered, shim), name
        outcomes[outcome] += 1
    report_line(
        f"key generation: {len(called)} functions failed once with {code:#x}: {counts(outcomes)}"
    )


@pytest.mark.long
@every_code
def test_every_call_of_a_key_generation_fails_once(
    world: World, ordered: Token, shim: Shim, code: int, report_line: Callable[[str], None]
) -> None:
    outcomes = Counter[str]()
    for number in itertools.count():
        ordered.pool.close_all()
        shim.answer(code, after=number)
        outcome, came = wallet_made(world, shim, f"w{number}")
        assert only_the_login_is_open(ordered, shim), number
        if not came:
            break
        outcomes[outcome] += 1
    assert outcomes.total() > 50
    report_line(
        f"key generation: {outcomes.total()} calls failed once with {code:#x}: {counts(outcomes)}"
    )


def counts(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))


@pytest.mark.parametrize("name", ["C_GenerateKey", "C_CreateObject", "C_Sign"])
def test_a_change_whose_answer_is_lost_is_made_or_undone(
    world: World, ordered: Token, shim: Shim, name: str
) -> None:
    for number in range(called_in_a_key_generation(world, shim)[name]):
        shim.answer(codes.DEVICE_ERROR, name, after=number, moment="afterwards")
        _, came = wallet_made(world, shim, f"w{number}")
        assert came
    assert only_the_login_is_open(ordered, shim)


@pytest.mark.parametrize(
    ("code", "most"),
    [(code, 25) for code in FEW_CODES]
    + [pytest.param(code, None, marks=pytest.mark.long) for code in codes.ALL.values()],
)
def test_every_call_of_a_start_fails_once(
    world: World,
    logins: Logins,
    shim: Shim,
    code: int,
    most: int | None,
    report_line: Callable[[str], None],
) -> None:
    making, starter = Making.of(world), Starter(world, logins)
    drive(making)
    certificate, number = making.certificate(), 0
    for number in itertools.count() if most is None else range(most):
        shim.answer(code, after=number)
        within(2, starter.start)
        token = world.parties[ME].acting.token
        assert only_the_login_is_open(token, shim), number
        if not shim.struck():
            break
    shim.obey_no_more()
    signed(world, certificate, b"after all")
    report_line(f"start: {number} calls failed once with {code:#x}")


def test_a_device_that_is_away_and_comes_back(world: World, ordered: Token, shim: Shim) -> None:
    """Each code, from any moment on: whatever is asked meanwhile may be tried again."""
    making, book = Making.of(world), NonceBook()
    drive(making)
    certificate = making.certificate()
    for name, code in codes.ALL.items():
        round_ = Round(world, certificate, name.encode())
        with shim.away(code):
            for _ in range(3):
                with pytest.raises(BackendError) as caught:
                    signed_by_both(round_, book)
                assert caught.value.retryable
        within(2, partial(signed_by_both, round_, book))
        assert only_the_login_is_open(ordered, shim)
