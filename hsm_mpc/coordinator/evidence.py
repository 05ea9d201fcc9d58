"""What proves that a holder cheated, kept in files for the operators (step 7.3).

One file per case: `LV32(message)` for each signed message, verbatim.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.coordinator.quorum_actions import Exclude, Suspect
from hsm_mpc.encoding import lv32
from hsm_mpc.errors import printable
from hsm_mpc.regular import replace_private
from hsm_mpc.roster import Roster
from hsm_mpc.steps import step


@dataclass(frozen=True, slots=True)
class NoCertificate:
    """The messages of a key generation that make no certificate. Whose fault that is, they do not
    prove: a signature that fails on one transcript may be honest on another (step 2.5.12)."""

    name: str
    reason: str
    evidence: tuple[bytes, ...]
    """The channels of all, then their msg1, then their round-3 messages."""


@dataclass(frozen=True, slots=True)
class Accusation:
    """One holder says of another one that it cheated; what is proven of that, the text says."""

    said: str
    evidence: tuple[bytes, ...]
    """The messages of the attempt or repair, then COMPLAINT, if there is one."""
    is_proven: bool = False


Case = Exclude | Suspect | NoCertificate | Accusation

MOST_CASES: Final = 256
"""As many as a holder keeps: whoever cheats again and again fills no disk by it."""
LEFT_TO_PROOFS: Final = 64
"""So many of them are for cases that name who is proven to have cheated: none that prove nothing
take their room.
"""


class EvidenceFolder:
    """Where cases are written. One that is there already is neither written nor told again; but of
    the same messages there may be several accusations, and each of them is told.
    """

    def __init__(self, folder: Path, roster: Roster) -> None:
        self._folder = folder
        self._roster = roster

    def among(self, roster: Roster) -> EvidenceFolder:
        """The same folder, for cases that count holders as in this roster."""
        return EvidenceFolder(self._folder, roster)

    def keep(self, case: Case) -> None:
        """Write the messages, if there is room; say on stderr who is meant. Neither a full disk nor
        a full folder stops signing.
        """
        content = b"".join(lv32(message) for message in case.evidence)
        path = self._folder / hashlib.sha256(content).hexdigest()[:32]
        is_there = path.is_file()
        if is_there and not isinstance(case, Accusation):
            return
        is_proof = isinstance(case, Exclude) or (isinstance(case, Accusation) and case.is_proven)
        most = MOST_CASES if is_proof else MOST_CASES - LEFT_TO_PROOFS
        lost = "" if is_there else self._lost(path, content, most)
        if lost:
            sys.stderr.write(f"evidence is lost: {path}: {lost}\n")
        where = "" if lost else f"; evidence: {path}"
        sys.stderr.write(f"{printable(self._said(case))}{where}\n")

    def _lost(self, path: Path, content: bytes, most: int) -> str:
        """Write it; why that cannot be done, or nothing."""
        try:
            if self._folder.exists() and len([*self._folder.iterdir()]) >= most:
                return f"{most} cases are there: move them away"
            with step("case.write"):
                self._write(path, content)
        except OSError as failure:
            return str(failure.strerror)
        return ""

    def _write(self, path: Path, content: bytes) -> None:
        """Whole or not at all: a case that is there is never written again."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        replace_private(path, content)

    def _said(self, case: Case) -> str:
        if isinstance(case, NoCertificate):
            return f"the key generation of {case.name} made no certificate: {case.reason}"
        if isinstance(case, Accusation):
            return case.said
        if isinstance(case, Exclude):
            return f"holder {self._roster.member(case.index).name} is excluded: {case.reason}"
        one, other = (self._roster.member(index).name for index in case.pair)
        return f"holders {one} and {other} offered one nonce: one of them copied"
