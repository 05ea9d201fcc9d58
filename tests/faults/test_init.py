"""Every PKCS#11 call of `token init` and `holder init` fails once, with each code.

Whoever made them is told that the HSM is unavailable and that he may try again (exit code 4). He
runs both again and has what an undisturbed run makes: one token, one identity key, one canary key,
a card.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError, PinRefused
from tests.crash.site import Site
from tests.faults import codes
from tests.faults.shim import ANY, Moment, Shim
from tests.memory_folder import IN_MEMORY
from tests.store.children import in_child

SAMPLED_EVERY = 53
"""In the gate; a prime, so that no loop of calls keeps step with it."""


@dataclass(frozen=True)
class Ordered:
    """A holder to be, on a token behind the module that does what a test orders."""

    site: Site
    shim: Shim

    def fails_once(self, number: int, code: int, moment: Moment, function: str = ANY) -> bool:
        """Whether there is a call of this number; it failed, and what came of it was mended."""
        self.site.reset()
        self.shim.answer(code, function, after=number, moment=moment)
        in_child(partial(self._told_to_try_again, code))
        came = self.shim.struck(function) > 0
        self.shim.obey_no_more()
        in_child(self._mended)
        return came

    def _told_to_try_again(self, code: int) -> None:
        try:
            self._initialised()
        except BackendError as failure:
            assert failure.exit_code == 4
            assert failure.retryable or _slot_seemed_empty(code, failure), failure
            assert not isinstance(failure, PinRefused), failure

    def _mended(self) -> None:
        self._initialised()
        self.site.check()

    def _initialised(self) -> None:
        made = self.site.initialise()
        assert (made.wrapping, made.algorithm) == ("aes-gcm", "P256")


def _slot_seemed_empty(code: int, failure: BackendError) -> bool:
    """A slot that says that nothing is in it is passed over, and there is no other."""
    return code == codes.TOKEN_NOT_PRESENT and "no empty token" in str(failure)


@pytest.fixture
def ordered(softhsm_module: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ordered]:
    with tempfile.TemporaryDirectory(prefix="init-", dir=IN_MEMORY) as name:
        shim = Shim(Path(name), softhsm_module)
        for variable, value in shim.environment.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("HSM_MPC_SOFTHSM_MODULE", str(shim.module))
        yield Ordered(Site.made(Path(name)), shim)
        shim.close()


@pytest.mark.long
def test_sampled_calls_fail_once(ordered: Ordered, report_line: Callable[[str], None]) -> None:
    """One code after another."""
    failed = 0
    for code, number in zip(
        itertools.cycle(codes.ALL.values()), itertools.count(0, SAMPLED_EVERY), strict=False
    ):
        if not ordered.fails_once(number, code, "instead"):
            break
        failed += 1
    assert failed > 5
    report_line(f"token init, holder init: {failed} calls failed once, one code after another")


@pytest.mark.parametrize("function", ["C_InitToken", "C_InitPIN", "C_GenerateKeyPair"])
def test_a_change_whose_answer_is_lost_is_found_by_who_repeats(
    ordered: Ordered, function: str
) -> None:
    ordered.site.reset()
    ordered.shim.answer(codes.DEVICE_ERROR, function, moment="afterwards")
    in_child(partial(ordered._told_to_try_again, codes.DEVICE_ERROR))
    assert ordered.shim.struck(function) == 1
    in_child(ordered._mended)


@pytest.mark.parametrize("function", ["C_GenerateKeyPair", "C_GenerateKey"])
@pytest.mark.parametrize("moment", ["instead", "afterwards"])
def test_a_general_error_makes_no_second_key_and_none_that_may_be_copied(
    ordered: Ordered, function: str, moment: Moment
) -> None:
    """Whichever it comes from: some keys are made for the self-test, then the one that stays."""
    number = 0
    while ordered.fails_once(number, codes.GENERAL_ERROR, moment, function):
        number += 1
    assert number > 1


def test_a_throw_away_key_that_the_token_forgets_is_no_lack_of_the_token(ordered: Ordered) -> None:
    ordered.site.reset()
    ordered.shim.answer(codes.KEY_HANDLE_INVALID, "C_SignInit")
    in_child(partial(ordered._told_to_try_again, codes.KEY_HANDLE_INVALID))
    assert ordered.shim.struck("C_SignInit") == 1


@pytest.mark.long
@pytest.mark.parametrize("moment", ["instead", "afterwards"])
@pytest.mark.parametrize("code", codes.ALL.values(), ids=codes.ALL)
def test_every_call_fails_once(
    ordered: Ordered, code: int, moment: Moment, report_line: Callable[[str], None]
) -> None:
    for number in itertools.count():
        if not ordered.fails_once(number, code, moment):
            break
    assert number > 100
    report_line(f"token init, holder init: {number} calls failed once with {code:#x}, {moment}")
