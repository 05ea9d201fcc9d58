"""What is done to PROPOSE, which members deal for."""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.certificates.done import Done
from hsm_mpc.succession.propose import Propose
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import PROPOSE, SUCCESSOR
from tests.agent.making import resigned
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World
from tests.malice import succession_fields
from tests.malice.bench import COORDINATOR
from tests.malice.hearing import Case, Hearing
from tests.malice.refreshing import ask_in, of_holders
from tests.malice.successions import EVERYBODY, Refreshes
from tests.malice.verdicts import Attack


def of_proposals(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On PROPOSE, after an attempt that was certified."""
    other = petty.joined()

    def begun() -> Case:
        now = refreshes.joined_again()
        deals = of_holders(lambda index, source: now.successions(index).deal(source))
        return Case(now.propose, deals)

    hearing = Hearing(world, PROPOSE.name, COORDINATOR, begun)
    hearing.envelope()
    now = refreshes.now
    fields = succession_fields.of_propose(parse_envelope(now.propose).payload, len(EVERYBODY))
    hearing.payload(fields)
    hearing.replaced(
        lambda: {
            "that of the epoch before": refreshes.past.propose,
            "that of the attempt before": refreshes.before.propose,
            "that of another wallet": other.propose,
            "ASK": ask_in(refreshes.now),
            "CERT of the attempt before": cert_of(refreshes.before),
        },
        {
            "that of the attempt before": "it is answered with the same DEAL",
            "that of another wallet": "it is dealt for there",
        },
    )
    hearing.lies(
        lambda: {what: each.to_bytes() for what, each in _false_proposals(refreshes).items()}
    )
    hearing.taken()
    fewer = replace(refreshes.now.proposal(), joins=refreshes.now.proposal().joins[:2])
    hearing.lied("another one, after it", fewer.to_bytes())
    refreshes.over()
    return hearing.found


def cert_of(refreshing: Refreshing) -> bytes:
    return refreshing.said(SUCCESSOR, certificate_of(refreshing))


def certificate_of(refreshing: Refreshing) -> bytes:
    assert refreshing.certificate is not None
    return refreshing.certificate.to_bytes()


def _joins_of(refreshing: Refreshing) -> list[bytes]:
    return [refreshing.answers[index][0] for index in EVERYBODY]


def _false_proposals(refreshes: Refreshes) -> dict[str, Propose]:
    """Each as good as it can be made without what is wrong with it."""
    now, before = refreshes.now, refreshes.before
    honest, world = now.proposal(), now.world
    one, two, three = honest.joins
    first, second, third = honest.dones
    group = now.replaced.terms.group
    theirs = Done.from_bytes(parse_envelope(third).payload, group)
    own = Done.from_bytes(parse_envelope(second).payload, group)

    def joined(*joins: bytes) -> Propose:
        return replace(honest, joins=joins)

    def done(changed: Done) -> Propose:
        return replace(honest, dones=(first, resigned(world, second, changed.to_bytes()), third))

    return {
        "by fewer than J": joined(two),
        "by nobody": joined(),
        "not ascending": joined(two, one, three),
        "h2 twice": joined(one, two, two),
        "the JOINs of the attempt before": joined(
            *(before.answers[index][0] for index in EVERYBODY)
        ),
        "with the ASK of the attempt before": replace(honest, ask_digest=before.ask().digest),
        "carrying on what nobody has adopted": replace(
            honest, successor=before.successor.hash, adopted=(certificate_of(before),)
        ),
        "with a CERT that no JOIN tells of": replace(honest, adopted=(certificate_of(before),)),
        "with the DONE of h2 of the epoch before": replace(
            honest, dones=(first, refreshes.past.first_dones[1], third)
        ),
        "with the DONEs of h2 and h3 exchanged": replace(honest, dones=(first, third, second)),
        "with a DONE of h2 that shows the key of h3": done(
            replace(own, delivery_key=theirs.delivery_key)
        ),
        "with a DONE of h2 without a share": done(
            replace(own, kek_digest=bytes(32), blob_digest=bytes(32))
        ),
        "with an amendment that is none": replace(honest, amendments=(b"amended",)),
        "with a new holder": replace(honest, hellos=(one,)),
    }
