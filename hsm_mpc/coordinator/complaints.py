"""Who lied, where a holder says that another one cheated: its complaint goes to all others, and
what they find is told to the client (steps 6.4.8, 6.4.9 and 6.7.6).

Nobody is excluded by it: that operators decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from hsm_mpc.coordinator.evidence import Accusation, EvidenceFolder
from hsm_mpc.coordinator.links import HolderLinks, HoldersAbort
from hsm_mpc.encoding import Reader, u8, u16be
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    ProtocolAbort,
    Refused,
)
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import COMPLAINT, REPAIR_COMPLAINT

_NOBODY: Final = 0
"""No holder's index: what a judge finds that finds nothing proven."""


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What went round before one holder found another one to have cheated."""

    shown: tuple[bytes, ...]
    """As accuser and judges get it: the parts of COMPLAIN and JUDGE behind the first."""
    messages: tuple[bytes, ...]
    """The same, message by message."""
    threshold: int
    """t of the holders who judge it: at most t − 1 of them lie."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """What came of one accusation."""

    accuser: int
    accused: int
    liar: int | None
    """None: nothing is proven."""
    said: str


@contextmanager
def complaints_judged(
    links: HolderLinks, evidence: EvidenceFolder, exchanged: Exchanged
) -> Iterator[None]:
    """An abort that names somebody says besides who is convicted, and who is only accused.

    Raises:
        ProtocolAbort: in its place, naming who is convicted, and whom somebody accuses that was
            not found to lie.
    """
    try:
        yield
    except HoldersAbort as abort:
        judging = _Judging(links, evidence, exchanged)
        findings = [
            judging.finding(accuser, accused)
            for accuser, word in abort.words.items()
            for accused in word.culprits
        ]
        convicted = {each.liar for each in findings if each.liar is not None}
        unproven = [each for each in findings if each.liar is None]
        accused = {each.accused for each in unproven if each.accuser not in convicted}
        said = "; ".join([_quoted(abort), *(each.said for each in findings)])
        raise ProtocolAbort(said, convicted | accused) from abort


@contextmanager
def dealings_judged(
    links: HolderLinks, evidence: EvidenceFolder, exchanged: Exchanged
) -> Iterator[None]:
    """The same where new holders of a resharing name dealers: they complain of nothing, and what
    everybody sees of a dealing is judged (step 6.8.3).

    Args:
        links: to the holders of before, who dealt.

    Raises:
        ProtocolAbort: in its place, naming the same.
    """
    try:
        yield
    except HoldersAbort as abort:
        judging = _Judging(links, evidence, exchanged)
        said = [judging.seen_by_all(dealer) for dealer in abort.culprits if dealer in links.indices]
        raise ProtocolAbort("; ".join([_quoted(abort), *said]), abort.culprits) from abort


@dataclass(frozen=True, slots=True)
class _Judging:
    links: HolderLinks
    evidence: EvidenceFolder
    exchanged: Exchanged
    silent: set[int] = field(default_factory=set)
    """Who has not answered once: it is not waited for again, for the next attempt waits, too."""

    def finding(self, accuser: int, accused: int) -> _Finding:
        """What the accuser proves, and all others find; kept, whatever it is."""
        finding, complaints = self._found(accuser, accused)
        self.evidence.keep(Accusation(finding.said, (*self.exchanged.messages, *complaints)))
        return finding

    def seen_by_all(self, dealer: int) -> str:
        """Whether what a dealer signed is proof by itself; kept, whatever it is."""
        judges = [index for index in self.links.indices if index != dealer]
        verdicts, name = self._verdicts(judges, u16be(dealer)), self.links.name(dealer)
        said = f"not proven: that {name} cheated is the word of those alone to whom it dealt"
        agreed = {liar for liar, _ in verdicts.values()} == {dealer}
        if agreed and len(verdicts) >= self.exchanged.threshold:
            found = ", ".join(self.links.name(judge) for judge in verdicts)
            said = f"proven: {name} is convicted by what it signed itself, as {found} find"
        self.evidence.keep(Accusation(said, self.exchanged.messages))
        return said

    def _found(self, accuser: int, accused: int) -> tuple[_Finding, tuple[bytes, ...]]:
        name = self.links.name(accuser)
        if accused == accuser or accused not in self.links.indices:
            said = f"{name} accuses holder {accused}, which cannot be"
            return _Finding(accuser, accused, None, said), ()
        against = self.links.name(accused)
        try:
            source = self._complaint(accuser, accused)
        except HsmMpcError as nothing:
            said = f"not proven: that {against} cheated is the word of {name} alone"
            said += f": {_quoted(nothing)}"
            return _Finding(accuser, accused, None, said), ()
        judges = [index for index in self.links.indices if index not in (accuser, accused)]
        verdicts = self._verdicts(judges, source)
        complaints = (source,) if len(source) > len(u16be(accused)) else ()
        liars = {liar for liar, _ in verdicts.values()}
        found = ", ".join(
            f"{self.links.name(judge)} finds that {self._named(liar)} lied"
            for judge, (liar, _) in verdicts.items()
        )
        agreed = len(liars) == 1 and liars <= {accuser, accused}
        wanted = self.exchanged.threshold - 1  # one of the two has lied: of these one is honest
        if agreed and len(verdicts) >= wanted:
            (liar,) = liars
            alone = all(by_itself for _, by_itself in verdicts.values())
            said = self._proven(accuser, accused, liar, alone)
            return _Finding(accuser, accused, liar, f"{said}: {found}"), complaints
        why = f"{wanted} judges are wanted" if agreed else "the others do not agree"
        why = f"{why}: {found}" if liars else "no other holder judges it"
        said = f"not proven: that {against} cheated, {name} shows, and {why}"
        return _Finding(accuser, accused, None, said), complaints

    def _complaint(self, accuser: int, accused: int) -> bytes:
        """COMPLAINT; or no more than the accused, where what that one signed is proof enough.

        Raises:
            HsmMpcError: neither.
        """
        asked = [u16be(accused), *self.exchanged.shown]
        answer = self._asked(HolderMethod.COMPLAIN, asked, [accuser]).get(
            accuser, BackendError("it has not answered before")
        )
        if isinstance(answer, Refused) and answer.rule == "proof-enough":
            return u16be(accused)
        if isinstance(answer, HsmMpcError):
            raise answer
        if len(answer) != 1 or not _is_complaint_of(accuser, answer[0]):
            raise BadEncoding("its answer is no complaint of its own")
        return answer[0]

    def _asked(
        self, method: HolderMethod, parts: list[bytes], among: list[int]
    ) -> dict[int, tuple[bytes, ...] | HsmMpcError]:
        """What each of them says that has answered so far."""
        waited_for = [index for index in among if index not in self.silent]
        answers = self.links.ask_each(method, parts, among=waited_for)
        self.silent.update(i for i, each in answers.items() if isinstance(each, BackendError))
        return answers

    def _verdicts(self, judges: list[int], source: bytes) -> dict[int, tuple[int, bool]]:
        """Who lied, and whether what it signed is proof by itself, by each holder that has looked.
        Who finds that nothing is proven says that nobody has: no judge alone convicts against it.
        """
        asked = [source, *self.exchanged.shown]
        answers = self._asked(HolderMethod.JUDGE, asked, judges)
        found = {}
        for judge, answer in answers.items():
            if _finds_nothing(answer):
                found[judge] = _NOBODY, False
            elif isinstance(answer, HsmMpcError) or [*map(len, answer)] != [2, 1]:
                continue  # it has not judged
            else:
                found[judge] = Reader(answer[0], "verdict").u16be(), answer[1] == u8(1)
        return found

    def _proven(self, accuser: int, accused: int, liar: int, alone: bool) -> str:
        name, against = self.links.name(accuser), self.links.name(accused)
        if liar == accuser:
            return f"proven: {name} is convicted, its complaint about {against} is false"
        by = "what it signed itself" if alone else f"the complaint of {name}"
        return f"proven: {against} is convicted by {by}"

    def _named(self, index: int) -> str:
        """Of whom a judge names, which may be anything."""
        if index == _NOBODY:
            return "nobody"
        return self.links.name(index) if index in self.links.indices else f"holder {index}"


def _quoted(words: HsmMpcError) -> str:
    """What holders say, told apart from what is found: theirs may be words like ours."""
    said = str(words).replace('"', "'")
    return f'"{said}"'


def _is_complaint_of(accuser: int, source: bytes) -> bool:
    """Raises: BadEncoding: it is no message."""
    message = parse_envelope(source)
    return message.kind in (COMPLAINT, REPAIR_COMPLAINT) and message.address.sender == accuser


def _finds_nothing(answer: tuple[bytes, ...] | HsmMpcError) -> bool:
    """What was shown is no complaint about what was shown, or convicts nobody by itself."""
    if isinstance(answer, Refused):
        return answer.rule == "not-proven"
    return isinstance(answer, (BadInput, InvalidSignature))
