"""What a verb answers, as text for people or as one JSON document for scripts."""

from __future__ import annotations

import dataclasses
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import typer

from hsm_mpc.errors import BadInput, HsmMpcError, printable

Answer = TypeVar("Answer")


@dataclasses.dataclass(slots=True)
class Output:
    """The global options, and how answers and errors are shown."""

    json: bool = False
    config: Path | None = None
    yes: bool = False
    no_input: bool = False
    verbose: bool = False
    answered: bool = False
    """An answer was printed: what comes after it is no second document."""

    def wanted_config(self) -> Path:
        """The configuration file, which this verb cannot do without."""
        if self.config is None:
            raise BadInput("no configuration: say `--config FILE` before the verb")
        return self.config

    def prompt(self) -> bool:
        """Whether a PIN may be asked for on the terminal."""
        return not self.no_input

    def answer(self, value: Answer, text: Callable[[Answer], str]) -> None:
        """Print `value`: by `text` for people, or as JSON."""
        self.answered = True
        if self.json:
            print(json.dumps(_plain(value), indent=1), flush=True)
        else:
            print(_printable(text(value)), flush=True)

    def line(self, text: str) -> None:
        """A line of an answer that is told while it comes about."""
        print(_printable(text), flush=True)

    def progress(self, line: str) -> None:
        """A line about what is being done: on stderr, for people who asked for it."""
        if self.verbose:
            print(line, file=sys.stderr, flush=True)

    def tell(self, line: str) -> None:
        """A line about what is being done, on stderr: for a person who waits at a terminal."""
        if self.verbose or sys.stderr.isatty():
            print(line, file=sys.stderr, flush=True)

    def present(self, text: str) -> None:
        """What a question is about, on stderr."""
        print(_printable(text), file=sys.stderr, flush=True)

    def confirm_on_terminal(self, question: str) -> None:
        """`confirm` where a person sits; a script has said what it wants."""
        if sys.stdin.isatty() and not self.no_input:
            self.confirm(question)

    def confirm(self, question: str) -> None:
        """Go on only after a yes.

        Raises:
            BadInput: nobody may be asked (`--no-input`), or the answer was no.
        """
        if self.yes:
            return
        if self.no_input or not sys.stdin.isatty():
            raise BadInput(f"{question} say --yes to confirm")
        if not typer.confirm(question, err=True):
            raise BadInput("not confirmed")

    def write(self, file: Path, content: bytes) -> None:
        """Put `content` into a file.

        Raises:
            BadInput: it cannot be written.
        """
        try:
            file.write_bytes(content)
        except OSError as failure:
            raise BadInput(f"{file}: {failure.strerror}") from failure

    def failure(self, kind: str, code: int, message: str, **facts: object) -> int:
        """Say what went wrong; returns the exit code. After an answer on stderr, as to people."""
        if self.json and not self.answered:
            shown = {name: fact for name, fact in facts.items() if fact is not None}
            print(json.dumps({"error": {"kind": kind, "message": message, **_plain(shown)}}))
        else:
            print(f"hsm-mpc: {_printable(message)}", file=sys.stderr)
        return code

    def bug(self, unexpected: Exception) -> int:
        """An error nobody foresaw. Its traceback holds no secret: secrets are no Python values."""
        traceback.print_exception(unexpected, file=sys.stderr)
        text = f"unexpected error, please report it: {type(unexpected).__name__}: {unexpected}"
        return self.failure(HsmMpcError.kind, HsmMpcError.exit_code, text)


def list_of(text: str | None) -> tuple[str, ...] | None:
    """`a,b,c` as a tuple; None if the option was not given."""
    return None if text is None else tuple(part for part in text.split(",") if part)


def exactly_one(options: Mapping[str, object]) -> None:
    """One of these options was given, else `BadInput`."""
    if sum(value is not None for value in options.values()) != 1:
        raise BadInput(f"one of {' and '.join(options)} is wanted")


def _printable(text: str) -> str:
    return printable(text, keep="\n")


def _plain(value: Any) -> Any:
    """Only what JSON knows: bytes as lower-case hex, times as RFC 3339 UTC, paths as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Path):
        return str(value)
    return value
