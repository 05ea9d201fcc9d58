"""Everything that is done to the messages of a signature."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hsm_mpc.ids import Scheme
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.envelope import parse_envelope
from tests.agent.rounds import Round, commit_in
from tests.agent.simulate import World
from tests.malice import fields
from tests.malice.bench import BY_SENDER, COORDINATOR, ON_THE_WAY, RELAY, recorded
from tests.malice.desk import Desk, made
from tests.malice.envelopes import (
    HEADER,
    by_its_sender,
    header_by_its_sender,
    on_the_way,
    seals,
    signed_again,
    with_payload,
)
from tests.malice.fields import Change
from tests.malice.verdicts import LIAR, Attack

SIGNER = "signer h2"
BY_LISTER = "changed by who lists it"
_IN_A_LIST = "COMMIT, in a SIGN list"
_OFFERED = "COMMIT, at the coordinator"
_OWN_OFFER = "what it offers is its own affair: whether it can answer shows in its PARTIAL"
_AFRESH = "a list under any number is a list"


def attacks(world: World, scheme: Scheme) -> list[Attack]:
    """SIGN and the COMMITs in it before signers; COMMIT and PARTIAL before a coordinator."""
    free = world.free_bytes()
    with Desk.opened(world, scheme) as desk:
        found = [*_Lists(desk).attack(), *_answers(desk)]
    assert world.free_bytes() == free
    return found


@dataclass
class _Lists:
    """SIGN lists of h1, h2 and h3, each with nonces of its own."""

    desk: Desk
    found: list[Attack] = field(default_factory=list)

    def attack(self) -> list[Attack]:
        world, group = self.desk.world, self.desk.certificate.body.terms.group
        round_ = self.desk.round()
        sign, commit = self._listed(round_), round_.commits[LIAR]
        for each in (*HEADER, *seals(sign)):
            self._sign(each.name, ON_THE_WAY, RELAY, each.change)
        for each in HEADER:
            self._sign(each.name, BY_SENDER, COORDINATOR, header_by_its_sender(world, each))
        for each in fields.of_sign(parse_envelope(sign).payload):
            self._sign(each.name, ON_THE_WAY, RELAY, on_the_way(each))
            harmless = _AFRESH if each.name == "attempt" else ""
            self._sign(each.name, BY_SENDER, COORDINATOR, by_its_sender(world, each), harmless)
        for each in (*HEADER, *seals(commit)):
            self._commit(each.name, BY_LISTER, COORDINATOR, each.change)
        for each in HEADER:
            self._commit(each.name, BY_SENDER, SIGNER, header_by_its_sender(world, each))
        for each in fields.of_commit(group):
            self._commit(each.name, BY_LISTER, COORDINATOR, on_the_way(each))
            harmless = _OWN_OFFER if "negated" in each.name or each.name == "lease_id" else ""
            self._commit(each.name, BY_SENDER, SIGNER, by_its_sender(world, each), harmless)
        self._copies()
        self._other_lists()
        return self.found

    def _listed(self, round_: Round) -> bytes:
        return round_.listed(attempt=next(self.desk.attempts))

    def _sign(self, what: str, how: str, liar: str, change: Change, harmless: str = "") -> None:
        round_ = self.desk.round()
        source = change(self._listed(round_))
        self._judged("SIGN", what, how, liar, round_, source, (1, 2, 3), harmless)

    def _commit(self, what: str, how: str, liar: str, change: Change, harmless: str = "") -> None:
        """A COMMIT of h2 among those of h1 and h3."""
        round_ = self.desk.round()
        round_.commits[LIAR] = change(round_.commits[LIAR])
        source = self._listed(round_)
        judges = (1, 3) if liar == SIGNER else (1, 2, 3)
        self._judged(_IN_A_LIST, what, how, liar, round_, source, judges, harmless)

    def _judged(
        self,
        message: str,
        what: str,
        how: str,
        liar: str,
        round_: Round,
        source: bytes,
        judges: Sequence[int],
        harmless: str = "",
    ) -> None:
        liars = (LIAR,) if liar == SIGNER else ()
        verdicts = self.desk.judged(judges, lambda index: round_.sign(index, source), *liars)
        self.found.append(recorded(message, what, how, liar, verdicts, harmless))

    def _copies(self) -> None:
        """h2 offers what h1 offered; or two nonces under one lease."""
        world = self.desk.world
        for name in ("public_nonce", "lease_id"):
            round_ = self.desk.round()
            theirs = commit_in(round_.commits[1])
            changes = {"lease_id": os.urandom(16), name: getattr(theirs, name)}
            round_.commits[LIAR] = round_.lied(LIAR, **changes)
            source = self._listed(round_)
            what = f"the {name.replace('_', ' ')} of h1"
            self._judged(_IN_A_LIST, what, "copied", SIGNER, round_, source, (1, 3))
        round_ = self.desk.round()
        other = commit_in(self.desk.round().commits[LIAR])
        twin = round_.lied(LIAR, public_nonce=other.public_nonce)
        for index in (1, 3):
            round_.sign(index, self._first(round_))
        round_.commit(1, 3)
        round_.commits[LIAR] = twin
        what = "two nonces under one lease, in two lists"
        self._judged(_IN_A_LIST, what, "equivocation", SIGNER, round_, self._listed(round_), (1, 3))
        for what, commit in self._strange_commits(world):
            self._commit(what, "replayed", COORDINATOR, _always(commit))

    def _first(self, round_: Round) -> bytes:
        return round_.listed(attempt=0)

    def _strange_commits(self, world: World) -> list[tuple[str, bytes]]:
        other_wallet = Round(world, made(world, self.desk.scheme)).commit(LIAR)
        partial = self.desk.round()
        return [
            ("that of another request", self.desk.round().commits[LIAR]),
            ("that of another wallet", other_wallet.commits[LIAR]),
            ("PARTIAL in its place", partial.sign(LIAR, self._listed(partial))),
            ("REQUEST in its place", partial.asked),
            ("garbage in its place", b"garbage"),
            ("nothing in its place", b""),
        ]

    def _other_lists(self) -> None:
        lists: dict[str, tuple[Callable[[Round], Sequence[bytes]], tuple[int, ...]]] = {
            "not ascending": (lambda r: [r.commits[2], r.commits[1], r.commits[3]], (1, 2, 3)),
            "h2 twice": (lambda r: [r.commits[1], r.commits[2], r.commits[2]], (1, 2)),
            "without the own COMMIT": (lambda r: [r.commits[2], r.commits[3]], (1,)),
            "of one signer, fewer than t": (lambda r: [r.commits[1]], (1,)),
            "of nobody": (lambda r: [], (1, 2, 3)),
            "four entries of three holders": (
                lambda r: [*r.commits.values(), r.commits[3]],
                (1, 2, 3),
            ),
        }
        for what, (chosen, judges) in lists.items():
            round_ = self.desk.round()
            source = round_.listed(chosen(round_), next(self.desk.attempts))
            self._judged("SIGN", what, "another list", COORDINATOR, round_, source, judges)
        self._repeats()
        self._late()
        self._channels()

    def _repeats(self) -> None:
        """A list again, and others for what was used or offered already."""
        desk, everybody = self.desk, tuple(self.desk.world.parties)
        round_ = desk.round()
        source = self._listed(round_)
        first = [round_.sign(index, source) for index in everybody]
        assert first == [round_.sign(index, source) for index in everybody]
        same = "it is answered with the same PARTIAL"
        self._judged("SIGN", "the same again", "doubled", RELAY, round_, source, everybody, same)
        self._another("a used nonce", round_, self._listed(round_))
        round_, number = desk.round(), next(desk.attempts)
        for index in everybody:
            round_.sign(index, round_.listed(attempt=number))
        round_.commit(*everybody)
        self._another("an attempt that had one", round_, round_.listed(attempt=number))
        round_, strange = desk.round(), desk.round()
        theirs = list(round_.commits.values())
        source = strange.listed(theirs, next(desk.attempts))
        self._another("nonces of another request", round_, source)

    def _another(self, of: str, round_: Round, source: bytes) -> None:
        what, how = f"for {of}", "another list"
        self._judged("SIGN", what, how, COORDINATOR, round_, source, (1, 2, 3))

    def _channels(self) -> None:
        """The CHANNELs beside a list, when h1 does not know h2's yet."""
        world = self.desk.world
        shown: dict[str, Callable[[list[bytes]], list[bytes]]] = {
            "that of h2 is missing": lambda all_: [all_[0], all_[2]],
            "a byte in the middle of that of h2": lambda all_: [
                all_[0],
                fields.flipped(all_[1]),
                all_[2],
            ],
            "COMMIT in place of that of h2": lambda all_: [
                all_[0],
                self.desk.round().commits[2],
                all_[2],
            ],
        }
        for what, rearranged in shown.items():
            world.restarted(LIAR)
            world.restarted(1)
            round_ = self.desk.round()
            source, channels = self._listed(round_), rearranged(world.channels())
            sign = world.parties[1].desk.sign
            verdicts = self.desk.judged((1,), lambda _: sign(source, channels))  # noqa: B023
            name = "CHANNEL, beside SIGN"
            self.found.append(recorded(name, what, ON_THE_WAY, RELAY, verdicts))

    def _late(self) -> None:
        """The clocks go on before it arrives."""
        world = self.desk.world
        round_ = self.desk.round()
        source, what = self._listed(round_), "after the request has expired"
        world.now[0] += 601
        self._judged("SIGN", what, "late", RELAY, round_, source, (1, 2, 3))
        round_ = self.desk.round()
        source, what = self._listed(round_), "after the nonces have expired"
        world.later[0] += 31
        self._judged("SIGN", what, "late", RELAY, round_, source, (1, 2, 3))


def _always(message: bytes) -> Change:
    return lambda _: message


# Before a coordinator


def _answers(desk: Desk) -> list[Attack]:
    """COMMIT and PARTIAL of h2, who is to sign with h1."""
    world, group = desk.world, desk.certificate.body.terms.group
    round_ = desk.round()
    commit, partial = (
        round_.commits[LIAR],
        round_.sign(LIAR, round_.listed(attempt=next(desk.attempts))),
    )
    found = []
    for name, method, message, of_payload in (
        (_OFFERED, HolderMethod.REQUEST, commit, fields.of_commit(group)),
        ("PARTIAL", HolderMethod.SIGN, partial, fields.of_partial(group)),
    ):
        ways: list[tuple[str, str, str, Change]] = [
            *((each.name, ON_THE_WAY, RELAY, each.change) for each in (*HEADER, *seals(message))),
            *((each.name, BY_SENDER, SIGNER, header_by_its_sender(world, each)) for each in HEADER),
            *((each.name, ON_THE_WAY, RELAY, on_the_way(each)) for each in of_payload),
            *((each.name, BY_SENDER, SIGNER, by_its_sender(world, each)) for each in of_payload),
            ("no answer", "dropped", RELAY, _always(b"")),
            ("that of another request", "replayed", RELAY, _always(message)),
            ("payload of another request", "replayed", SIGNER, _of_another(world, message)),
            ("REQUEST in its place", "sent in another round", RELAY, _always(round_.asked)),
        ]
        for what, how, liar, change in ways:
            liars = (LIAR,) if liar == SIGNER else ()
            verdicts = desk.aggregated(method, change, *liars)
            found.append(recorded(name, what, how, liar, verdicts))
    return found


def _of_another(world: World, message: bytes) -> Change:
    payload = parse_envelope(message).payload
    return lambda source: signed_again(world, source, with_payload(source, payload))
