"""What `doctor` says of a token that does too little, is full, or gives keys away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hsm_mpc.app.doctor import token as token_lines
from hsm_mpc.app.doctor.findings import Finding
from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import register_objects, room
from hsm_mpc.hsm.giveaways import NOT_LOCAL, WRAPPED
from hsm_mpc.hsm.register_objects import FORMS, LABEL, Form
from hsm_mpc.hsm.selftest import Finding as Capability
from hsm_mpc.hsm.selftest import SelfTest
from hsm_mpc.hsm.token import Token


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    return found


@pytest.mark.parametrize(
    ("tried", "level", "words"),
    [
        (Capability("signs", ""), "ok", "tried, works"),
        (Capability("signs", "", ("the other: lacks it",)), "warn", "instead of the other"),
        (Capability("signs", "C_Sign answered CKR_DEVICE_ERROR"), "fail", "CKR_DEVICE_ERROR"),
    ],
)
def test_each_capability_is_a_line(
    monkeypatch: pytest.MonkeyPatch, own_token: Token, tried: Capability, level: str, words: str
) -> None:
    monkeypatch.setattr(token_lines, "self_test", lambda _: SelfTest((tried,), None, None))
    found, _ = token_lines.capabilities(own_token)
    assert (found.level, words in found.message) == (level, True)


@pytest.mark.parametrize("form", FORMS)
def test_the_form_of_the_registers_is_told(
    monkeypatch: pytest.MonkeyPatch, own_token: Token, form: Form
) -> None:
    monkeypatch.setattr(token_lines, "self_test", lambda _: SelfTest((), None, form))
    found = only(token_lines.capabilities(own_token))
    assert (found.level, found.message) == ("ok", form.words)


def test_a_token_without_registers_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, own_token: Token
) -> None:
    lacking = Capability("registers in the token", "it takes none")
    monkeypatch.setattr(token_lines, "self_test", lambda _: SelfTest((lacking,), None, None))
    why, found = token_lines.capabilities(own_token)
    assert (why.level, "it takes none" in why.message) == ("fail", True)
    assert (found.check, found.level, found.mend) == ("registers", "fail", "use another token")


# Room


def left(token: Token) -> list[bytes]:
    return [found.name(token) for found in register_objects.all_private(token)]


@pytest.mark.parametrize("forms", [FORMS, (LABEL,)])
def test_room_is_taken_and_given_back(
    monkeypatch: pytest.MonkeyPatch, own_token: Token, forms: tuple[Form, ...]
) -> None:
    """As data objects, and as NSS keeps them."""
    monkeypatch.setattr(register_objects, "FORMS", forms)
    most: list[int] = []
    honest = register_objects.create

    def counted(token: Token, name: bytes, value: bytes) -> object:
        made = honest(token, name, value)
        most.append(len(left(own_token)))
        return made

    monkeypatch.setattr(register_objects, "create", counted)
    room.try_room(own_token)
    assert max(most) == room.OBJECTS_OF_A_WALLET
    assert left(own_token) == []


def test_a_full_token_is_a_failure_and_nothing_stays(
    monkeypatch: pytest.MonkeyPatch, own_token: Token
) -> None:
    honest = register_objects.create

    def full(token: Token, name: bytes, value: bytes) -> object:
        if name.endswith(b"2"):
            raise BackendError("C_CreateObject answered CKR_DEVICE_MEMORY")
        return honest(token, name, value)

    monkeypatch.setattr(register_objects, "create", full)
    found = only(token_lines.room(own_token))
    assert (found.level, found.exit_code) == ("fail", 4)
    assert "CKR_DEVICE_MEMORY" in found.message
    assert left(own_token) == []


def test_what_an_interrupted_look_left_goes_with_the_next(own_token: Token) -> None:
    register_objects.create(own_token, b"hsm-mpc/room/1", bytes(1))
    room.try_room(own_token)
    assert left(own_token) == []


@pytest.mark.parametrize(
    ("free", "level", "words"),
    [
        (None, "ok", "does not tell"),
        (1, "ok", "does not tell"),  # as NSS does, after it gave more
        (384, "warn", "0 KiB free"),
        ((64 << 10) - 1, "warn", "63 KiB free"),
        (64 << 10, "ok", "64 KiB free"),
    ],
)
def test_little_room_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, own_token: Token, free: int | None, level: str, words: str
) -> None:
    told = replace(own_token.info(), free_private_bytes=free)
    monkeypatch.setattr(type(own_token), "info", lambda _: told)
    found = only(token_lines.room(own_token))
    assert (found.level, words in found.message) == (level, True)


# Giveaways


def test_what_is_given_away_is_a_failure_unless_it_is_accepted(
    monkeypatch: pytest.MonkeyPatch, own_token: Token
) -> None:
    assert only(token_lines.giveaways(own_token)).level == "ok"
    monkeypatch.setattr(token_lines, "found_giveaways", lambda _: (NOT_LOCAL, WRAPPED))
    monkeypatch.setattr(own_token, "accepted_findings", frozenset({NOT_LOCAL.name}))
    found = token_lines.giveaways(own_token)
    assert [finding.level for finding in found] == ["warn", "fail"]
    assert WRAPPED.meaning in found[1].message
    assert "hsm.accept_findings" in found[1].mend
