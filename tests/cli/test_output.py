"""What goes to stdout, what to stderr, and when a person is asked."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hsm_mpc.cli.output import Output, exactly_one, list_of
from hsm_mpc.errors import BadInput


class Terminal:
    """Standing for stdin or stderr at which somebody sits."""

    def __init__(self, real: object) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Value:
    key: bytes
    file: Path
    at: datetime
    names: tuple[str, ...]


def test_json_holds_bytes_in_hex_and_times_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    Output(json=True).answer(Value(b"\xab", Path("/x"), moment, ("a",)), str)
    assert json.loads(capsys.readouterr().out) == {
        "key": "ab",
        "file": "/x",
        "at": "2026-01-02T03:04:05Z",
        "names": ["a"],
    }


def test_a_failure_after_the_answer_is_no_second_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = Output(json=True)
    output.answer("ready", str)
    assert output.failure("unavailable", 4, "the HSM stayed away", retryable=True) == 4
    shown = capsys.readouterr()
    assert json.loads(shown.out) == "ready"
    assert shown.err == "hsm-mpc: the HSM stayed away\n"


def test_people_get_text(capsys: pytest.CaptureFixture[str]) -> None:
    Output().answer(3, lambda value: f"three is {value}")
    Output().line("and more")
    assert capsys.readouterr().out == "three is 3\nand more\n"


def test_who_waits_at_a_terminal_is_told_what_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Output().tell("starting")
    assert capsys.readouterr().err == ""
    Output(verbose=True).tell("starting")
    assert capsys.readouterr().err == "starting\n"
    monkeypatch.setattr(sys, "stderr", Terminal(sys.stderr))
    Output().tell("at a terminal")
    assert capsys.readouterr().err == "at a terminal\n"


def test_a_script_has_said_what_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Output, "confirm", lambda _, question: asked.append(question))
    Output().confirm_on_terminal("delete it?")
    assert asked == []
    monkeypatch.setattr(sys, "stdin", Terminal(sys.stdin))
    Output(no_input=True).confirm_on_terminal("delete it?")
    assert asked == []
    Output().confirm_on_terminal("delete it?")
    assert asked == ["delete it?"]


def test_a_confirmation_that_nobody_can_give_is_bad_input() -> None:
    with pytest.raises(BadInput, match="--yes"):
        Output(no_input=True).confirm("delete it?")
    Output(yes=True, no_input=True).confirm("delete it?")


def test_a_file_is_written_or_it_is_bad_input(tmp_path: Path) -> None:
    Output().write(tmp_path / "out", b"signature")
    assert (tmp_path / "out").read_bytes() == b"signature"
    with pytest.raises(BadInput, match="Is a directory"):
        Output().write(tmp_path, b"")


def test_a_configuration_that_is_missing_is_asked_for() -> None:
    with pytest.raises(BadInput, match="--config"):
        Output().wanted_config()
    assert Output(config=Path("x")).wanted_config() == Path("x")


@pytest.mark.parametrize(
    ("text", "names"),
    [(None, None), ("", ()), ("h1", ("h1",)), ("h1,h2", ("h1", "h2")), ("h1,,h2,", ("h1", "h2"))],
)
def test_a_list_is_written_with_commas(text: str | None, names: tuple[str, ...] | None) -> None:
    assert list_of(text) == names


@pytest.mark.parametrize("values", [(None, None), (1, 2)])
def test_of_two_options_one_is_given(values: tuple[object, object]) -> None:
    with pytest.raises(BadInput, match="one of --a and --b"):
        exactly_one({"--a": values[0], "--b": values[1]})
    exactly_one({"--a": 0, "--b": None})
