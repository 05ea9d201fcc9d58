"""What `doctor` says: one finding for each line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hsm_mpc.errors import BackendError, BadConfig, HsmMpcError

Level = Literal["ok", "warn", "fail"]

_MEND: Final = "; mend: "
"""What stands before the mend in the text of an error."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was found, and what to do about it."""

    level: Level
    check: str
    message: str
    mend: str = ""
    exit_code: int = 0
    """2 or 4 where the level is "fail"."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings; 0 with nothing worse than a warning, 2 or 4 by what failed (both: 2)."""

    findings: tuple[Finding, ...]
    exit_code: int

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Diagnosis:
        """With the exit code that the findings make together."""
        found = tuple(findings)
        codes = {finding.exit_code for finding in found if finding.level == "fail"}
        exit_code = BadConfig.exit_code if BadConfig.exit_code in codes else max(codes, default=0)
        return cls(found, exit_code)


def ok(check: str, message: str) -> Finding:
    """Nothing is to be done."""
    return Finding("ok", check, message)


def warn(check: str, message: str, mend: str = "") -> Finding:
    """It works, and could be better."""
    return Finding("warn", check, message, mend)


def fail(check: str, message: str, mend: str, code: int = BadConfig.exit_code) -> Finding:
    """A holder does not work so."""
    return Finding("fail", check, message, mend, code)


def failed(check: str, failure: HsmMpcError, mend: str = "") -> Finding:
    """An error as a finding: what a backend does not give is 4, all else is to be mended (2).

    Args:
        mend: where the error names none.
    """
    message, _, told = str(failure).partition(_MEND)
    backend = isinstance(failure, BackendError)
    code = BackendError.exit_code if backend else BadConfig.exit_code
    usual = "see whether the HSM answers, and run this again" if backend else "undo that change"
    return fail(check, message, told or mend or usual, code)


Look = Callable[[], Iterable[Finding]]


def looked(looks: Iterable[tuple[str, Look]]) -> list[Finding]:
    """The findings of each look, by its name; one that fails is a finding and stops no other."""
    found: list[Finding] = []
    for check, look in looks:
        try:
            found += look()
        except HsmMpcError as failure:
            found.append(failed(check, failure))
    return found


def has_failed(findings: Sequence[Finding]) -> bool:
    """Whether one of them is a failure."""
    return any(finding.level == "fail" for finding in findings)
