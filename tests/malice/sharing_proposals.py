"""What is done to PROPOSE of a resharing: old holders deal for it, new ones are dealt to by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hsm_mpc.ids import Scheme
from hsm_mpc.succession.newcomers import NewHello
from hsm_mpc.succession.propose import Propose
from hsm_mpc.wire.envelope import parse_envelope
from tests.agent.resharing import Sharing
from tests.agent.simulate import World
from tests.malice import succession_fields
from tests.malice.bench import COORDINATOR
from tests.malice.hearing import Case, Hearing, saying
from tests.malice.proposing import certificate_of
from tests.malice.refreshing import ask_in, of_holders
from tests.malice.resharing import NEW
from tests.malice.sharings import OLD, Sharings
from tests.malice.successions import EVERYBODY
from tests.malice.verdicts import Attack

_BEFORE = "that of the attempt before"
_TO_REFRESH = "that of an attempt to refresh"
_ELSEWHERE = "that of another wallet"
_SAME_DEAL = "it is answered with the same DEAL"
_SAME_ACK = "it is answered with the same ACK'"


def of_old_holders(world: World, scheme: Scheme) -> list[Attack]:
    """Before old holders, after an attempt that was certified."""
    sharings = Sharings(world, scheme)
    other = sharings.dealt()

    def begun() -> Case:
        now = sharings.proposed_again()
        return Case(now.propose, of_holders(lambda i, said: now.successions(i).deal(said), OLD))

    hearing = Hearing(world, "PROPOSE, of a resharing", COORDINATOR, begun)
    dealt_for = dict.fromkeys((_BEFORE, _TO_REFRESH, _ELSEWHERE), _SAME_DEAL)
    _attacked(hearing, sharings, other, dealt_for)
    hearing.taken()
    hearing.lied("another one, after it", _with_another_nonce(sharings.now).to_bytes())
    sharings.over()
    return hearing.found


def of_new_holders(world: World, scheme: Scheme) -> list[Attack]:
    """Before new ones, beside the DEALs that were made for the honest one."""
    sharings = Sharings(world, scheme)
    other = sharings.dealt()
    sharings.proposed_again()

    def begun() -> Case:
        now = sharings.dealt_again()

        def received(k: int, said: bytes) -> bytes:
            return now.new.parties[k].arrivals.receive(said, now.deals, now.channels)

        return Case(now.propose, of_holders(received, EVERYBODY, "'"))

    hearing = Hearing(world, "PROPOSE, at new holders", COORDINATOR, begun, NEW)
    acknowledged = (_BEFORE, f"the payload of {_BEFORE}")
    _attacked(hearing, sharings, other, dict.fromkeys(acknowledged, _SAME_ACK))
    hearing.lies(lambda: {"another one, as good": _with_another_nonce(sharings.now).to_bytes()})
    hearing.taken()
    another = _with_another_nonce(sharings.now).to_bytes()
    hearing.lied("another one, after it", another, _SAME_ACK)
    sharings.over()
    return hearing.found


def _attacked(
    hearing: Hearing, sharings: Sharings, other: Sharing, again: Mapping[str, str]
) -> None:
    """`again`: why it is harmless to show what was shown at another time."""
    hearing.envelope()
    payload = parse_envelope(hearing.case.honest).payload
    hearing.payload(succession_fields.of_propose(payload, len(OLD)))
    hearing.replaced(
        lambda: {
            _BEFORE: sharings.before.propose,
            _TO_REFRESH: sharings.refreshed.propose,
            _ELSEWHERE: other.propose,
            "ASK": ask_in(sharings.now),
        },
        again,
    )
    hearing.lies(
        lambda: {what: each.to_bytes() for what, each in _false_proposals(sharings, other).items()}
    )


def _false_proposals(sharings: Sharings, other: Sharing) -> dict[str, Propose]:
    """Each as good as it can be made without what is wrong with it."""
    now, before, refreshed = sharings.now, sharings.before, sharings.refreshed
    honest = _proposal_in(now)
    one, two = honest.joins
    first, second = honest.dones
    hello, own, third = honest.hellos

    def to(*hellos: bytes) -> Propose:
        return replace(honest, hellos=hellos)

    return {
        "by fewer than J": replace(honest, joins=(two,)),
        "by nobody": replace(honest, joins=()),
        "not ascending": replace(honest, joins=(two, one)),
        "h2 twice": replace(honest, joins=(two, two)),
        "the JOINs of the attempt before": replace(honest, joins=_proposal_in(before).joins),
        "with the ASK of the attempt before": replace(honest, ask_digest=before.ask().digest),
        "with an ASK to refresh": replace(honest, ask_digest=refreshed.ask().digest),
        "carrying on what nobody has adopted": replace(
            honest, successor=before.successor.hash, adopted=(certificate_of(before),)
        ),
        "with the DONEs of h1 and h2 exchanged": replace(honest, dones=(second, first)),
        "with an amendment that is none": replace(honest, amendments=(b"amended",)),
        "to nobody new": to(),
        "without the HELLO' of h3": to(hello, own),
        "the HELLO' of h2 twice": to(hello, own, own),
        "the HELLO' of h2 and h3 exchanged": to(hello, third, own),
        "the HELLO' of the attempt before": to(*_proposal_in(before).hellos),
        "the HELLO' of another wallet": to(*other.hellos),
        "a JOIN for the HELLO' of h2": to(hello, two, third),
    }


def _proposal_in(now: Sharing) -> Propose:
    return Propose.from_bytes(parse_envelope(now.propose).payload, len(OLD))


def _with_another_nonce(now: Sharing) -> Propose:
    """h2 has said HELLO' twice."""
    honest = _proposal_in(now)
    one, own, three = honest.hellos
    hello = NewHello.from_bytes(parse_envelope(own).payload, now.replaced.terms.group)
    again = saying(now.world, replace(hello, nonce=bytes(32)).to_bytes())(own)
    return replace(honest, hellos=(one, again, three))
