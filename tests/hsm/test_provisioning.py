from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hsm_mpc import steps
from hsm_mpc.errors import BackendError, BadConfig, BadInput, NameTaken, PinRefused
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import PinState, TokenInfo
from hsm_mpc.secure.arena import Arena
from tests.hsm.lying import Answer
from tests.named_steps import changes_seen
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

    steps.observe(killer)
    with pytest.raises(Killed):
        create(label)
    steps.observe(None)
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
