"""What an attack came to: who refused it, by which check, in which words, and whom it blamed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import hsm_mpc
from hsm_mpc.errors import Declined, HsmMpcError, ProtocolAbort, Refused

_PACKAGE = Path(hsm_mpc.__file__).parent
_HELPERS = frozenset(
    {"_require", "_require_length", "_verifying", "decoding", "raise_if_any", "parts_of", "_error"}
)
"""They raise for whoever calls them: the check is the caller's."""

_PASSING = (
    (re.compile(r"\d+ bytes wanted at offset \d+, \d+ left"), "bytes are missing"),
    (re.compile(r"\bw\d{4}\b"), "NAME"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "…"),
    (re.compile(r"\b\d{6,}\b"), "…"),
    (re.compile(r"\bpath m/\d+/"), "path m/…/"),
)
"""What differs from run to run."""

LIAR = 2
"""Whenever a holder lies, it is this one."""


@dataclass(frozen=True, slots=True, order=True)
class Verdict:
    """One judge's. `judge` is a holder like h1, "coordinator" or "client"."""

    judge: str
    check: str
    said: str
    blamed: tuple[int, ...] = ()
    evidence: bool = False

    @property
    def aborted(self) -> bool:
        return self.said.startswith(f"`{ProtocolAbort.kind}`")

    def check_blame(self, liars: Collection[int]) -> None:
        """Nobody honest is blamed, and nobody without messages that prove it."""
        assert set(self.blamed) <= set(liars), self
        assert self.evidence or not self.blamed, self

    @classmethod
    def of(cls, judge: str, error: Exception, evidence: bool = False) -> Verdict:
        """Raises the error itself if it is none of ours: nobody foresaw it."""
        if not isinstance(error, HsmMpcError):
            raise error
        blamed = error.culprits if isinstance(error, ProtocolAbort) else ()
        return cls(judge, _check_of(error), words_of(error), blamed, evidence)


@dataclass(frozen=True, slots=True)
class Attack:
    """One thing that somebody does to one message, and what it came to."""

    message: str
    what: str
    how: str
    liar: str
    verdicts: tuple[Verdict, ...]
    harmless: str = ""
    """Why nobody has to refuse it; then nobody does."""


def words_of(error: HsmMpcError) -> str:
    """Kind or rule, and what is said."""
    rule = error.rule if isinstance(error, (Refused, Declined)) and error.rule else error.kind
    return f"`{rule}`: {lasting(str(error))}"


def lasting(text: str) -> str:
    """Without what is another each time."""
    for pattern, instead in _PASSING:
        text = pattern.sub(instead, text)
    return text


def _check_of(error: Exception) -> str:
    """The deepest function of the package that raised, as `agent.keygen.KeyGeneration._receive`."""
    found = ""
    for code, file in _frames(error.__traceback__):
        if file.is_relative_to(_PACKAGE) and code.rpartition(".")[2] not in _HELPERS:
            module = ".".join(file.relative_to(_PACKAGE).with_suffix("").parts)
            found = f"{module}.{code.replace('.<locals>', '')}"
    return found


def _frames(traceback: TracebackType | None) -> Iterable[tuple[str, Path]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield code.co_qualname, Path(code.co_filename)
        traceback = traceback.tb_next
