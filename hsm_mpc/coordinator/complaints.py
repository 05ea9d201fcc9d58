"""Who lied, where a holder says that another one cheated: its complaint goes to all others, and
what they find is told to the client (steps 6.4.8, 6.4.9 and 6.7.6).

Nobody is excluded by it: that operators decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from hsm_mpc.coordinator.blame import NamedAbort, named_in
from hsm_mpc.coordinator.evidence import Accusation, EvidenceFolder
from hsm_mpc.coordinator.links import HolderLinks, HoldersAbort
from hsm_mpc.coordinator.patience import Patience
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
from hsm_mpc.wire.rounds import (
    COMPLAINT,
    FIRST_NEW_HOLDER,
    NEW_COMPLAINT,
    REPAIR_COMPLAINT,
)

_COMPLAINTS: Final = (COMPLAINT, REPAIR_COMPLAINT, NEW_COMPLAINT)
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
    dealers: tuple[int, ...]
    """Who has dealt in it, or helped: nobody else can have cheated."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """What came of one accusation."""

    accuser: int
    accused: int
    liar: int | None
    """None: nothing is proven."""
    said: str
    alone: bool = False
    """What the liar signed as a dealer is proof by itself: no complaint was needed."""


@contextmanager
def complaints_judged(
    links: HolderLinks,
    evidence: EvidenceFolder,
    exchanged: Exchanged,
    newcomers: HolderLinks | None = None,
) -> Iterator[None]:
    """An abort that names somebody says besides who is convicted, and who is only accused.

    Args:
        links: to the holders of the epoch, who judge.
        newcomers: to those who accuse, where they are the new holders of a resharing.

    Raises:
        NamedAbort: in its place, naming who is convicted, and which dealer somebody accuses that
            was not found to lie.
    """
    try:
        yield
    except HoldersAbort as abort:
        accusers, first = (links, 0) if newcomers is None else (newcomers, FIRST_NEW_HOLDER)
        patience = Patience(links.seconds)
        judging = _Judging(links, accusers, first, evidence, exchanged, patience)
        findings = judging.findings(abort.words)
        convicted = {each.liar for each in findings if each.liar is not None}
        proven = [each.said for each in findings if each.liar is not None]
        unproven = [each for each in findings if each.liar is None]
        accused = {each.accused for each in unproven if each.accuser not in convicted}
        accused &= {*exchanged.dealers}
        # An answer's text is cut: first what nobody lies about.
        said = "; ".join([*proven, _quoted(abort), *(each.said for each in unproven)])
        blamed = [*map(judging.named, convicted), *named_in(links.roster, accused)]
        raise NamedAbort(said, blamed) from abort


@dataclass(frozen=True, slots=True)
class _Judging:
    links: HolderLinks
    accusers: HolderLinks
    first: int
    """Accuser i sends as this + i."""
    evidence: EvidenceFolder
    exchanged: Exchanged
    patience: Patience
    """The next attempt waits, too."""

    def findings(self, words: Mapping[int, ProtocolAbort]) -> list[_Finding]:
        """What comes of everybody's word; of a dealer whom its own words convict, of one's.
        Nobody's second accusation comes before another one's first: who accuses many uses up no
        time of judges that the others need.
        """
        findings, alone = list[_Finding](), set[int]()
        said = [[(index, accused) for accused in word.culprits] for index, word in words.items()]
        for turn in zip_longest(*said):
            for index, accused in filter(None, turn):
                if accused not in alone:
                    findings.append(self.finding(index, accused))
                    alone |= {accused} if findings[-1].alone else set()
        return findings

    def finding(self, index: int, accused: int) -> _Finding:
        """What an accuser proves, and all others find; kept, whatever it is."""
        finding, complaints = self._found(self.accusers.name(index), index, accused)
        messages = (*self.exchanged.messages, *complaints)
        self.evidence.keep(Accusation(finding.said, messages, finding.liar is not None))
        return finding

    def _found(self, name: str, index: int, accused: int) -> tuple[_Finding, tuple[bytes, ...]]:
        accuser = self.first + index
        if accused not in self.links.indices or self.links.name(accused) == name:
            said = f"{name} accuses holder {accused}, which cannot be"
            return _Finding(accuser, accused, None, said), ()
        against = self.links.name(accused)
        if accused not in self.exchanged.dealers:
            said = f"{name} accuses {against}, who has dealt nothing, which cannot be"
            return _Finding(accuser, accused, None, said), ()
        try:
            source = self._complaint(index, accused)
        except HsmMpcError as nothing:
            said = f"not proven: that {against} cheated is the word of {name} alone"
            said += f": {_quoted(nothing)}"
            return _Finding(accuser, accused, None, said), ()
        judges = [k for k in self.links.indices if self.links.name(k) not in (name, against)]
        verdicts = self._verdicts(judges, source)
        complaints = (source,) if len(source) > len(u16be(accused)) else ()
        liars = {liar for liar, _ in verdicts.values()}
        found = ", ".join(
            f"{self.links.name(judge)} finds that {self.named(liar)} lied"
            for judge, (liar, _) in verdicts.items()
        )
        agreed = len(liars) == 1 and liars <= {accuser, accused}
        wanted = self._wanted(name)
        if agreed and len(verdicts) >= wanted:
            (liar,) = liars
            alone = all(by_itself for _, by_itself in verdicts.values())
            said = self._proven(name, against, liar == accuser, alone)
            return _Finding(accuser, accused, liar, f"{said}: {found}", alone), complaints
        why = f"{wanted} judges are wanted" if agreed else "the others do not agree"
        why = f"{why}: {found}" if liars else "no other holder judges it"
        said = f"not proven: that {against} cheated, {name} shows, and {why}"
        return _Finding(accuser, accused, None, said), complaints

    def _wanted(self, accuser: str) -> int:
        """How many judges prove something: one of them is honest. Of the holders of the epoch at
        most t − 1 lie; where the accuser is one of them, it or the accused has lied already.
        """
        names = [self.links.name(index) for index in self.links.indices]
        return self.exchanged.threshold - (accuser in names)

    def _complaint(self, index: int, accused: int) -> bytes:
        """COMPLAINT of an accuser; or no more than the accused, where what that one signed is
        proof enough.

        Raises:
            HsmMpcError: neither.
        """
        asked = [u16be(accused), *self.exchanged.shown]
        answers = self.patience.asked(self.accusers, HolderMethod.COMPLAIN, asked, [index])
        answer = answers.get(index, BackendError("it was too slow before, or has not answered"))
        if isinstance(answer, Refused) and answer.rule == "proof-enough":
            return u16be(accused)
        if isinstance(answer, HsmMpcError):
            raise answer
        if len(answer) != 1 or not _is_complaint_of(self.first + index, answer[0]):
            raise BadEncoding("its answer is no complaint of its own")
        return answer[0]

    def _verdicts(self, judges: list[int], source: bytes) -> dict[int, tuple[int, bool]]:
        """Who lied, and whether what it signed is proof by itself, by each holder that has looked.
        Who finds that nothing is proven says that nobody has: no judge alone convicts against it.
        """
        asked = [source, *self.exchanged.shown]
        answers = self.patience.asked(self.links, HolderMethod.JUDGE, asked, judges)
        found = {}
        for judge, answer in answers.items():
            if _finds_nothing(answer):
                found[judge] = _NOBODY, False
            elif isinstance(answer, HsmMpcError) or [*map(len, answer)] != [2, 1]:
                continue  # it has not judged
            else:
                found[judge] = Reader(answer[0], "verdict").u16be(), answer[1] == u8(1)
        return found

    def _proven(self, name: str, against: str, by_accuser: bool, alone: bool) -> str:
        if by_accuser:
            return f"proven: {name} is convicted, its complaint about {against} is false"
        by = "what it signed itself" if alone else f"the complaint of {name}"
        return f"proven: {against} is convicted by {by}"

    def named(self, index: int) -> str:
        """Of whom a judge names, which may be anything."""
        if index == _NOBODY:
            return "nobody"
        if index in self.links.indices:
            return self.links.name(index)
        known = index - self.first in self.accusers.indices
        return self.accusers.name(index - self.first) if known else f"holder {index}"


def _quoted(words: HsmMpcError) -> str:
    """What holders say, told apart from what is found: theirs may be words like ours."""
    said = str(words).replace('"', "'")
    return f'"{said}"'


def _is_complaint_of(accuser: int, source: bytes) -> bool:
    """Raises: BadEncoding: it is no message."""
    message = parse_envelope(source)
    return message.kind in _COMPLAINTS and message.address.sender == accuser


def _finds_nothing(answer: tuple[bytes, ...] | HsmMpcError) -> bool:
    """What was shown is no complaint about what was shown, or convicts nobody by itself."""
    if isinstance(answer, Refused):
        return answer.rule == "not-proven"
    return isinstance(answer, (BadInput, InvalidSignature))
