from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BackendError, BadConfig, BadInput, NameTaken, PinRefused
from hsm_mpc.hsm.cryptoki import TokenFlag, User
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.profiles import STANDARD
from hsm_mpc.hsm.sessions import open_session
from hsm_mpc.hsm.token import PinState, TokenInfo
from hsm_mpc.secure.arena import Arena
from tests.hsm.lying import Answer
from tests.named_steps import changes_seen, observed
from tests.softhsm import SO_PIN, USER_PIN, secret_of


class Killed(Exception):
    """Stands for a process that dies at a step."""


@pytest.fixture
def label() -> str:
    return f"new {uuid.uuid4().hex[:12]}"


@pytest.fixture
def create(hsm_module: Module, pin_arena: Arena) -> Callable[..., TokenInfo]:
    def made(label: str, so_pin: bytes = SO_PIN, user_pin: bytes = USER_PIN) -> TokenInfo:
        return hsm_module.create_token(
            label, secret_of(pin_arena, so_pin), secret_of(pin_arena, user_pin)
        )

    return made


@pytest.fixture
def seen_steps() -> Iterator[list[str]]:
    with changes_seen() as seen:
        yield seen


@pytest.fixture
def half_made(create: Callable[..., TokenInfo], label: str) -> Iterator[str]:
    """The label of a token whose creation was killed between its two steps."""

    def killer(when: str, name: str) -> None:
        if (when, name) == ("before", "token.set-pin"):
            raise Killed

    with observed(killer), pytest.raises(Killed):
        create(label)
    yield label


def test_a_created_token_takes_its_user_pin(
    hsm_module: Module, create: Callable[..., TokenInfo], label: str, pin_arena: Arena
) -> None:
    created = create(label)
    assert created.label == label
    assert created.pin_state is PinState.READY
    token = hsm_module.token(label)
    assert token.serial == created.serial
    token.login(secret_of(pin_arena, USER_PIN))


def test_each_change_of_the_token_is_a_step(
    create: Callable[..., TokenInfo], label: str, seen_steps: list[str]
) -> None:
    create(label)
    assert seen_steps == [
        "before token.initialise",
        "after token.initialise",
        "before token.set-pin",
        "after token.set-pin",
    ]


def test_a_label_is_given_once(create: Callable[..., TokenInfo], label: str) -> None:
    create(label)
    with pytest.raises(NameTaken, match=label):
        create(label)


@pytest.mark.parametrize("bad", ["", 33 * "a", 17 * "é", " a", "a "])
def test_a_label_that_a_token_cannot_bear_is_refused(
    create: Callable[..., TokenInfo], bad: str
) -> None:
    with pytest.raises(BadInput, match="token label"):
        create(bad)


@pytest.mark.parametrize("lengths", [(3, 8), (8, 3), (256, 8), (8, 256)])
def test_a_pin_of_a_length_that_the_token_does_not_take_changes_nothing(
    hsm_module: Module, create: Callable[..., TokenInfo], label: str, lengths: tuple[int, int]
) -> None:
    with pytest.raises(BadConfig, match="4 to 255 bytes"):
        create(label, lengths[0] * b"1", lengths[1] * b"1")
    assert label not in [token.label for token in hsm_module.tokens()]


def test_without_an_empty_token_none_is_made(
    hsm_module: Module,
    create: Callable[..., TokenInfo],
    label: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Module, "slots", lambda _: ())
    with pytest.raises(BackendError, match="no empty token") as caught:
        create(label)
    assert not caught.value.retryable


def test_what_a_killed_creation_left_is_finished(
    hsm_module: Module, create: Callable[..., TokenInfo], half_made: str
) -> None:
    before = hsm_module.find(half_made)
    assert before.pin_state is PinState.NOT_SET
    finished = create(half_made)
    assert finished.serial == before.serial
    assert finished.pin_state is PinState.READY


def test_what_a_killed_creation_left_is_finished_only_by_its_officer(
    hsm_module: Module, create: Callable[..., TokenInfo], half_made: str
) -> None:
    with pytest.raises(PinRefused, match="security officer answered CKR_PIN_INCORRECT"):
        create(half_made, so_pin=b"somebody else")
    assert hsm_module.find(half_made).pin_state is PinState.NOT_SET


def test_the_pin_of_a_token_to_finish_has_a_length_that_it_takes(
    create: Callable[..., TokenInfo], half_made: str
) -> None:
    with pytest.raises(BadConfig, match="4 to 255 bytes"):
        create(half_made, user_pin=b"123")


@pytest.mark.parametrize("function", ["C_InitToken", "C_InitPIN", "C_OpenSession"])
def test_a_failing_call_is_named(
    create: Callable[..., TokenInfo], label: str, answer: Answer, function: str
) -> None:
    answer(function, 0x30)
    with pytest.raises(BackendError, match=f"{function} answered CKR_DEVICE_ERROR"):
        create(label)


def test_the_officers_session_is_closed_also_when_it_fails(
    hsm_module: Module, create: Callable[..., TokenInfo], label: str, answer: Answer
) -> None:
    honest = {name: getattr(hsm_module.calls, name) for name in ("C_Logout", "C_CloseSession")}
    called: list[str] = []

    def noted(name: str) -> Callable[[Any], int]:
        def call(session: int) -> int:
            called.append(name)
            code: int = honest[name](session)
            return code

        return call

    answer("C_InitPIN", 0x30)
    for name in honest:
        answer(name, noted(name))
    with pytest.raises(BackendError):
        create(label)
    assert called == ["C_Logout", "C_CloseSession"]


# A token whose officer has a PIN from the factory, as openCryptoki's: SoftHSM plays it.

FACTORY_PIN = b"87654321"


class Factory:
    """Says that the officer's PIN is to be changed until it is."""

    def __init__(self, module: Module, answer: Answer) -> None:
        self._honest = {
            name: getattr(module.calls, name) for name in ("C_GetTokenInfo", "C_SetPIN")
        }
        self.changed = False
        answer("C_GetTokenInfo", self._info)
        answer("C_SetPIN", self._set_pin)

    def _info(self, slot: int, raw: Any) -> int:
        code: int = self._honest["C_GetTokenInfo"](slot, raw)
        if not self.changed:
            raw.flags |= TokenFlag.SO_PIN_TO_BE_CHANGED
        return code

    def _set_pin(self, *arguments: Any) -> int:
        code: int = self._honest["C_SetPIN"](*arguments)
        self.changed = code == 0
        return code


@pytest.fixture
def factory(hsm_module: Module, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> Factory:
    monkeypatch.setattr(hsm_module, "profile", replace(STANDARD, factory_so_pin=FACTORY_PIN))
    return Factory(hsm_module, answer)


def officer_is_let_in(module: Module, label: str, pin: bytes) -> bool:
    session = open_session(module.calls, module.find(label).slot, "")
    code = module.calls.C_Login(session, User.SO, pin, len(pin))
    module.calls.C_CloseSession(session)
    return bool(code == 0)


@pytest.mark.usefixtures("factory")
def test_the_factorys_pin_of_the_officer_is_changed_to_his_own(
    hsm_module: Module, create: Callable[..., TokenInfo], label: str, seen_steps: list[str]
) -> None:
    create(label)
    assert seen_steps[2:4] == ["before token.change-so-pin", "after token.change-so-pin"]
    assert not officer_is_let_in(hsm_module, label, FACTORY_PIN)
    assert officer_is_let_in(hsm_module, label, SO_PIN)


@pytest.mark.usefixtures("factory")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["token.initialise", "token.change-so-pin", "token.set-pin"])
def test_a_creation_killed_while_the_pin_is_changed_is_finished(
    hsm_module: Module, create: Callable[..., TokenInfo], label: str, when: str, name: str
) -> None:
    def killer(at: str, step: str) -> None:
        if (at, step) == (when, name):
            raise Killed

    with observed(killer), pytest.raises(Killed):
        create(label)
    if (when, name) != ("after", "token.set-pin"):
        create(label)
    assert hsm_module.find(label).pin_state is PinState.READY
    assert officer_is_let_in(hsm_module, label, SO_PIN)


def test_an_officers_pin_that_no_factory_gave_is_not_changed(
    hsm_module: Module,
    create: Callable[..., TokenInfo],
    label: str,
    flags: Callable[..., None],
    seen_steps: list[str],
) -> None:
    """A token may warn that the PIN is to be changed: that is between it and its officer."""
    flags(add=TokenFlag.SO_PIN_TO_BE_CHANGED)
    create(label)
    assert "before token.change-so-pin" not in seen_steps
    assert officer_is_let_in(hsm_module, label, SO_PIN)


def test_a_token_that_bears_its_label_is_never_initialised(
    hsm_module: Module,
    create: Callable[..., TokenInfo],
    label: str,
    monkeypatch: pytest.MonkeyPatch,
    seen_steps: list[str],
) -> None:
    """NSS erases it for anybody: one of another label is not touched."""
    made = replace(STANDARD, factory_so_pin=b"", bears_its_label=True)
    monkeypatch.setattr(hsm_module, "profile", made)
    with pytest.raises(BackendError, match="no empty token"):
        create(label)
    assert seen_steps == []
