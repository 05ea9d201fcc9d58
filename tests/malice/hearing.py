"""One kind of message before those who receive it: each judges alone, and refuses for nothing.

Nothing that lasts of a holder is another after it has refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hsm_mpc.encoding import lv16, u8
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import Key
from tests.agent.simulate import World
from tests.malice.aftermath import Footprint, evidence_kept
from tests.malice.bench import BY_SENDER, ON_THE_WAY, RELAY, recorded
from tests.malice.envelopes import (
    HEADER,
    by_its_sender,
    header_by_its_sender,
    on_the_way,
    seals,
    signed_again,
    signer_of,
    with_payload,
)
from tests.malice.fields import Change, Field
from tests.malice.verdicts import LIAR, Attack, Verdict
from tests.software_identity import ed25519_key

HOLDER = f"holder h{LIAR}"
BY_ANOTHER = "made by another"
IN_ITS_PLACE = "another message in its place"
FALSE = "well made, and false"

Take = Callable[[bytes], object]
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Case:
    """An honest message, and who takes it: holders are called h1, h2 and so on."""

    honest: bytes
    judges: Mapping[str, Take]


@dataclass
class Hearing:
    """`found` so far of the attacks on one kind of message, which `liar` says.

    `begun` leads up to the honest message; anew, once a holder has taken another one, or one whose
    attempt `ends` with whatever it refuses has forgotten it.
    """

    world: World
    message: str
    liar: str
    begun: Callable[[], Case]
    ends: Collection[str] = ()
    found: list[Attack] = field(default_factory=list)
    _case: Case | None = None
    _ended: bool = False
    _before: dict[str, Footprint] = field(default_factory=dict)

    @property
    def case(self) -> Case:
        """The honest message, which nobody has taken yet."""
        if self._case is None:
            self._case, self._ended = self.begun(), False
            self._before.clear()
        return self._case

    def attack(self, what: str, how: str, liar: str, change: Change, harmless: str = "") -> None:
        """What every judge says to the changed message. A holder that lies is no judge."""
        case = self.case
        source, verdicts, taken = change(case.honest), list[Verdict](), list[Verdict]()
        assert source != case.honest, f"{self.message}: {what} ({how}) is what it was"
        for judge, take in case.judges.items():
            if liar == HOLDER and judge.startswith(f"h{LIAR}"):
                continue
            verdict = self._judged(judge, take, source)
            if verdict is None:
                taken.append(Verdict(judge, "", "takes it"))
            else:
                verdict.check_blame((LIAR,) if liar == HOLDER else ())
                verdicts.append(verdict)
        if self._ended or any(each.judge.startswith("h") for each in taken):
            self._case = None
        verdicts += taken if verdicts else []
        self.found.append(recorded(self.message, what, how, liar, verdicts, harmless))

    def _judged(self, judge: str, take: Take, source: bytes) -> Verdict | None:
        """None: it has taken it."""
        party = self.world.parties[int(judge[1])] if judge.startswith("h") else None
        if party is not None and judge not in self._before:
            self._before[judge] = Footprint.of(party)
        try:
            take(source)
        except Exception as refused:
            kept = party is not None and evidence_kept(party, refused)
            verdict = Verdict.of(judge, refused, kept)
        else:
            self._before.pop(judge, None)
            return None
        if party is not None and Footprint.of(party) != self._before[judge]:
            assert judge in self.ends, verdict
            self._ended = True
        return verdict

    # Whole groups of attacks

    def envelope(
        self, relayed: Mapping[str, str] = _NOTHING, signed: Mapping[str, str] = _NOTHING
    ) -> None:
        """Header, key and signature: changed on the way, by its sender, and said by another one.

        `relayed`, `signed`: why changes of these names are harmless.
        """
        message = self.case.honest
        for each in (*HEADER, *seals(message)):
            because = relayed.get(each.name, "")
            self.attack(each.name, ON_THE_WAY, RELAY, each.change, because)
        for each in HEADER:
            change = header_by_its_sender(self.world, each)
            self.attack(each.name, BY_SENDER, self.liar, change, signed.get(each.name, ""))
        because = relayed.get("envelope: signature", "")
        self.attack("the signature", BY_ANOTHER, RELAY, _by_another(self.world), because)

    def payload(
        self,
        fields: Iterable[Field],
        signed: Mapping[str, str] = _NOTHING,
        relayed: Mapping[str, str] = _NOTHING,
    ) -> None:
        """Each field, changed on the way and by its sender."""
        each_field = list(fields)
        for each in each_field:
            because = relayed.get(each.name, "")
            self.attack(each.name, ON_THE_WAY, RELAY, on_the_way(each), because)
        for each in each_field:
            change = by_its_sender(self.world, each)
            self.attack(each.name, BY_SENDER, self.liar, change, signed.get(each.name, ""))

    def bare(self, fields: Iterable[Field], harmless: Mapping[str, str] = _NOTHING) -> None:
        """Each field of what goes about in no envelope of its own."""
        for each in fields:
            self.attack(each.name, BY_SENDER, self.liar, each.change, harmless.get(each.name, ""))

    def replaced(
        self, others: Callable[[], Mapping[str, bytes]], harmless: Mapping[str, str] = _NOTHING
    ) -> None:
        """Whole messages, of another kind or of another time; and what each of the same kind says,
        if that is another thing, said anew in this place. `others` is asked for each case.
        """
        for name, other in self._of_each_case(others):
            self.attack(name, IN_ITS_PLACE, RELAY, always(other), harmless.get(name, ""))
        for name, other in (("nothing", b""), ("garbage", b"garbage")):
            self.attack(name, IN_ITS_PLACE, RELAY, always(other), harmless.get(name, ""))
        for name, other in self._of_each_case(others):
            said, honest = parse_envelope(other), parse_envelope(self.case.honest)
            if said.kind is honest.kind and said.payload != honest.payload:
                what = f"the payload of {name}"
                self.lied(what, said.payload, harmless.get(what, ""))

    def lies(
        self, payloads: Callable[[], Mapping[str, bytes]], harmless: Mapping[str, str] = _NOTHING
    ) -> None:
        """Other payloads of the liar's choice, in a message that is right otherwise."""
        for what, payload in self._of_each_case(payloads):
            self.lied(what, payload, harmless.get(what, ""))

    def messages(
        self, lies: Callable[[], Mapping[str, bytes]], harmless: Mapping[str, str] = _NOTHING
    ) -> None:
        """Whole messages of the liar's choice."""
        for what, message in self._of_each_case(lies):
            self.attack(what, FALSE, self.liar, always(message), harmless.get(what, ""))

    def lied(self, what: str, payload: bytes, harmless: str = "") -> None:
        """Another payload of the liar's choice, in a message that is right otherwise."""
        change = saying(self.world, payload)
        self.attack(what, FALSE, self.liar, change, harmless)

    def _of_each_case(self, make: Callable[[], Mapping[str, bytes]]) -> Iterator[tuple[str, bytes]]:
        """What is made of one case is of no use in another one."""
        case, made = self.case, make()
        for name in list(made):
            if self.case is not case:
                case, made = self.case, make()
            yield name, made[name]

    def taken(self) -> None:
        """After all this the honest message is taken by everybody."""
        case = self.case
        for judge, take in case.judges.items():
            assert self._judged(judge, take, case.honest) is None, judge


def saying(world: World, payload: bytes) -> Change:
    """Another payload, signed by who sends the message."""
    return lambda source: signed_again(world, source, with_payload(source, payload))


def always(message: bytes) -> Change:
    """This message, whatever the honest one is."""
    return lambda _: message


def _by_another(world: World) -> Change:
    """The same under a signature of h3, or of a coordinator's key that nobody knows."""

    def change(source: bytes) -> bytes:
        message = parse_envelope(source)
        stranger = ed25519_key(b"9" * 32).sign
        sign = stranger if message.key is Key.COORDINATOR else signer_of(world, 3, message.key)
        return message.signed_part + u8(message.key) + lv16(sign(Tag.ENVELOPE, message.signed_part))

    return change
