"""What is done to the messages of a refresh up to its dealings: ASK, JOIN, PROPOSE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.errors import BadInput
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.carrying import check_carried
from hsm_mpc.succession.join import Adoption, Join
from hsm_mpc.succession.propose import Propose, check_propose
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import ASK, FIRST_COORDINATOR, JOIN, PROPOSE, SUCCESSOR
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World
from tests.malice import succession_fields
from tests.malice.bench import COORDINATOR
from tests.malice.hearing import HOLDER, Case, Hearing, Take
from tests.malice.successions import EVERYBODY, Refreshes
from tests.malice.verdicts import LIAR, Attack

_TRUE = "adopted, what was certified"
_MAY_ADOPT = "it may have adopted what is certified, and it is carried on"
_FOR_PEOPLE = "it is there for people"
_OWN_AFFAIR = "the key by which it is dealt to is its own affair"


def of_holders(
    take: Callable[[int, bytes], object], indices: Iterable[int] = EVERYBODY, part: str = ""
) -> dict[str, Take]:
    """These as judges, as new holders if `part` is "'"."""

    def one(index: int) -> Take:
        return lambda source: take(index, source)

    return {f"h{index}{part}": one(index) for index in indices}


# ASK


def of_asks(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On ASK, after an attempt that all have joined."""
    other = petty.asked()

    def begun() -> Case:
        now = refreshes.asked()
        joins = of_holders(lambda index, source: now.successions(index).join(source))
        return Case(ask_in(now), joins)

    hearing = Hearing(world, ASK.name, COORDINATOR, begun)
    hearing.envelope()
    fields = succession_fields.of_ask(parse_envelope(hearing.case.honest).payload)
    people = ("reason", "deadline", "deadline 0", "deadline at its most")
    hearing.payload(fields, dict.fromkeys(people, _FOR_PEOPLE))
    hearing.replaced(
        lambda: {
            "that of the epoch before": ask_in(refreshes.past),
            "that of the attempt before": ask_in(
                replace(refreshes.now, attempts=refreshes.now.attempts - 1)
            ),
            "that of another wallet": ask_in(other),
            "PROPOSE of the epoch before": refreshes.past.propose,
        },
        {
            "that of the attempt before": "it is answered with the same JOIN",
            "that of another wallet": "it begins an attempt there",
        },
    )
    hearing.messages(lambda: _false_asks(refreshes))
    hearing.taken()
    refreshes.over()
    return hearing.found


def ask_in(now: Refreshing) -> bytes:
    return now.said(ASK, now.ask().to_bytes())


def _false_asks(refreshes: Refreshes) -> dict[str, bytes]:
    """Whole ones, each in its own session."""
    now = refreshes.now
    ask = now.ask()
    before = Retirement.from_bytes(ask.retirement)

    def said(content: Ask) -> bytes:
        moved = replace(now, attempts=now.attempts)
        moved.now = content.attempt.counter - now.attempts
        return moved.said(ASK, content.to_bytes())

    def at(counter: int) -> bytes:
        return said(replace(ask, attempt=replace(ask.attempt, counter=counter)))

    def after(dones: Sequence[bytes]) -> bytes:
        return said(replace(ask, retirement=Retirement(tuple(dones)).to_bytes()))

    return {
        "of an attempt 601 s ahead": at(now.world.clock() + 601),
        "of an attempt below one that was joined": at(ask.attempt.counter - 2),
        "without what ended the epoch before": said(replace(ask, retirement=b"")),
        "with a DONE less than W": after(before.dones[:2]),
        "with one DONE twice": after((*before.dones[:2], before.dones[1])),
        "with what began the epoch before": after(refreshes.past.first_dones),
    }


# JOIN


def of_joins(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On the JOIN of h2, after an attempt that was certified: what the coordinator says, and what
    holders say to a PROPOSE that has it, with CERT if that carries on what h2 has adopted.
    """
    other = petty.joined()

    def begun() -> Case:
        now = refreshes.joined_again()
        return _joined(now, refreshes.before)

    hearing = Hearing(world, JOIN.name, HOLDER, begun)
    hearing.envelope()
    hearing.payload(succession_fields.of_join())
    hearing.replaced(
        lambda: {
            "that of the epoch before": refreshes.past.answers[LIAR][0],
            "that of another wallet": other.answers[LIAR][0],
            "that of h3": refreshes.now.answers[3][0],
            "DONE": refreshes.now.answers[LIAR][1],
        }
    )
    hearing.lies(lambda: _false_joins(refreshes), {_TRUE: _MAY_ADOPT})
    hearing.taken()
    refreshes.over()
    return hearing.found


def _moved(attempt: Attempt, by: int) -> Attempt:
    return replace(attempt, counter=attempt.counter + by)


def _false_joins(refreshes: Refreshes) -> dict[str, bytes]:
    """What h2 may say that it has adopted."""
    now, before = refreshes.now, refreshes.before
    assert before.certificate is not None
    true = Adoption(before.attempt, before.successor.hash, before.certificate.digest)
    of_another = replace(true.attempt, initiator=FIRST_COORDINATOR + 1)
    adoptions = {
        _TRUE: true,
        "adopted before it was made": replace(true, attempt=_moved(true.attempt, -1)),
        "adopted in this very attempt": replace(true, attempt=now.attempt),
        "adopted in an attempt of another initiator": replace(true, attempt=of_another),
        "another successor than the certified one": replace(true, epoch_hash=EpochHash(b"x" * 32)),
        "the epoch itself": replace(true, epoch_hash=now.replaced.hash),
        "with another certificate than is shown": replace(true, certificate_digest=bytes(32)),
    }
    return {what: Join(now.attempt, each).to_bytes() for what, each in adoptions.items()}


def _joined(now: Refreshing, before: Refreshing) -> Case:
    """`before`: the attempt before this one, which was certified."""
    certificate = before.certificate
    assert certificate is not None
    honest = replace(now).proposal()
    second = now.answers[LIAR][0]

    def said(source: bytes) -> Propose:
        """Of a coordinator that goes along."""
        content = replace(honest, joins=(honest.joins[0], source, honest.joins[2]))
        with suppress(BadInput):
            claim = Join.from_bytes(parse_envelope(source).payload).adopted
            if claim is not None:
                shown = (certificate.to_bytes(),)
                return replace(content, successor=claim.epoch_hash, adopted=shown)
        return content

    def coordinated(source: bytes) -> None:
        message = parse_envelope(now.said(PROPOSE, said(source).to_bytes()))
        proposed = check_propose(message, now.replaced, now.keys)
        if proposed.content.successor is not None:
            check_carried(proposed, before.attempt, (), now.replaced, now.keys)

    def proposed(index: int, source: bytes) -> None:
        content = said(source)
        propose = now.said(PROPOSE, content.to_bytes())
        if content.successor is None:
            now.successions(index).deal(propose)
        else:
            certified = now.said(SUCCESSOR, certificate.to_bytes())
            now.successions(index).adopt(propose, certified, before.transcript)

    return Case(second, {"coordinator": coordinated, **of_holders(proposed)})
