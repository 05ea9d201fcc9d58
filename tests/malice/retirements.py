"""What is done to the last messages of a refresh, RETIRE and DESTROYED, and shown to a client."""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.certificates.order import Order
from hsm_mpc.client.verified import verified
from hsm_mpc.encoding import lv16, u8
from hsm_mpc.errors import BadInput
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import DESTROYED, RETIRE, Key
from hsm_mpc.wire.wallet_calls import Shown, ShownSuccession
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World
from tests.malice import succession_fields
from tests.malice.adopting import BY_ANY_HOLDER, OWN_AFFAIR, shown_by_holder
from tests.malice.bench import BY_SENDER, COORDINATOR, RELAY
from tests.malice.hearing import HOLDER, IN_ITS_PLACE, Case, Hearing, always
from tests.malice.proposing import cert_of, certificate_of
from tests.malice.refreshing import of_holders
from tests.malice.successions import Refreshes
from tests.malice.verdicts import LIAR, Attack

CLIENT = "client"


def of_retirements(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On RETIRE, before those who have adopted it."""
    other, _ = petty.adopted()

    def begun() -> Case:
        now, _ = refreshes.adopted()
        retires = of_holders(lambda i, retire: now.successions(i).retire(retire, cert_of(now), b""))
        return Case(_retire(now), retires)

    hearing = Hearing(world, RETIRE.name, COORDINATOR, begun)
    hearing.envelope()
    content = Retirement.from_bytes(refreshes.now.retirement)
    hearing.payload(succession_fields.of_retirement(content))
    hearing.replaced(
        lambda: {
            "that of the epoch before": _retire(refreshes.past),
            "that of another wallet": _retire(other),
            "CERT": cert_of(refreshes.now),
        },
        {
            "that of the epoch before": "it is answered with the same DESTROYED",
            "that of another wallet": "it ends the epoch there",
        },
    )
    hearing.lies(lambda: _false_retirements(refreshes))
    hearing.attack("garbage in the name of h2", BY_SENDER, RELAY, in_the_name_of_h2)
    by_holder = shown_by_holder(world, RETIRE)
    hearing.attack("shown by h2", BY_SENDER, HOLDER, by_holder, BY_ANY_HOLDER)
    hearing.taken()
    refreshes.over()
    return hearing.found


def _retire(refreshing: Refreshing) -> bytes:
    return refreshing.said(RETIRE, refreshing.retirement)


def in_the_name_of_h2(source: bytes) -> bytes:
    """h2 has signed nothing."""
    header = parse_envelope(source).signed_part[:87] + LIAR.to_bytes(2, "big") + bytes(2)
    return header + (1).to_bytes(4, "big") + b"\x09" + u8(Key.CHANNEL) + lv16(bytes(64))


def _false_retirements(refreshes: Refreshes) -> dict[str, bytes]:
    now = refreshes.now
    honest = Retirement.from_bytes(now.retirement)
    one, two, three = honest.dones
    order = Order(
        now.replaced.terms.wallet_id,
        now.replaced.hash,
        now.attempt,
        now.successor.hash,
        (1, 2),
        (3,),
        "h3 burnt",
        True,
        now.world.clock() + 600,
        b"n" * 32,
    )
    lies = {
        "a DONE less than W": Retirement((one, two)),
        "no DONE": Retirement(()),
        "not ascending": Retirement((two, one, three)),
        "one DONE twice": Retirement((one, two, two)),
        "the DONE of h2 twice, and all": Retirement((one, two, two, three)),
        "with what began the epoch": Retirement(tuple(now.first_dones)),
        "to new holders": replace(honest, arrivals=(one,)),
        "by an order that nobody has signed": Retirement((one, two), (), order.to_bytes(), b""),
        "by an order that is none": Retirement((one, two), (), b"order", b"policy"),
    }
    return {what: each.to_bytes() for what, each in lies.items()}


def of_destructions(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On the DESTROYED of h2, before the coordinator and the client."""
    other, _ = petty.adopted()
    other.drive()

    def begun() -> Case:
        now, _ = refreshes.adopted()
        now.drive()
        judges = {
            "coordinator": lambda source: _counted(now, source),
            CLIENT: lambda source: _shown(refreshes, destroyed=source),
        }
        return Case(now.destroyed[LIAR], judges)

    hearing = Hearing(world, DESTROYED.name, HOLDER, begun)
    hearing.envelope()
    own = [
        each.name
        for each in succession_fields.of_destroyed()
        if each.name.startswith(("kek_digest", "destroyed_at"))
    ]
    hearing.payload(succession_fields.of_destroyed(), dict.fromkeys(own, OWN_AFFAIR))
    hearing.replaced(
        lambda: {
            "that of the epoch before": refreshes.past.destroyed[LIAR],
            "that of another wallet": other.destroyed[LIAR],
            "that of h3": refreshes.now.destroyed[3],
            "DONE": Retirement.from_bytes(refreshes.now.retirement).dones[1],
        },
        {"the payload of that of h3": OWN_AFFAIR},
    )
    hearing.taken()
    refreshes.over()
    return hearing.found


def _counted(now: Refreshing, source: bytes) -> None:
    """As a coordinator and a client count it, for the holder whose answer it is."""
    said = destroyed_in(source, now.replaced, now.keys)
    if parse_envelope(source).address.sender != LIAR or said.successor != now.successor.hash:
        raise BadInput("it is not counted")


# Before a client


def of_successors(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On what a client is shown of the newest epoch."""
    other, _ = petty.adopted()
    other.drive()

    def over() -> Refreshing:
        now, _ = refreshes.adopted()
        now.drive()
        return now

    now = over()
    certified = SuccessorCertificate.from_bytes(certificate_of(now))
    retired = Retirement.from_bytes(now.retirement)
    by_certificate = Hearing(
        world,
        "CERT, shown to its client",
        COORDINATOR,
        lambda: Case(
            certificate_of(now), {CLIENT: lambda source: _shown(refreshes, certificate=source)}
        ),
    )
    by_certificate.bare(succession_fields.of_certificate(certified))
    by_retirement = Hearing(
        world,
        "RETIRE, shown to its client",
        COORDINATOR,
        lambda: Case(now.retirement, {CLIENT: lambda source: _shown(refreshes, retirement=source)}),
    )
    waiting = {"nothing at all": "it believes that the epoch before still signs, too"}
    by_retirement.bare(succession_fields.of_retirement(retired), waiting)
    for hearing, others in (
        (by_certificate, (certificate_of(refreshes.past), certificate_of(other))),
        (by_retirement, (refreshes.past.retirement, other.retirement)),
    ):
        for what, theirs in zip(("of the epoch before", "of another wallet"), others, strict=True):
            hearing.attack(f"that {what}", IN_ITS_PLACE, COORDINATOR, always(theirs))
        hearing.taken()
    refreshes.over()
    return [*by_certificate.found, *by_retirement.found]


def _shown(
    refreshes: Refreshes,
    *,
    certificate: bytes | None = None,
    retirement: bytes | None = None,
    destroyed: bytes | None = None,
) -> None:
    """To a client, with something false in place of what a coordinator has."""
    now, making = refreshes.now, refreshes.making
    said = [now.destroyed[1], now.destroyed[LIAR], now.destroyed[3]]
    if destroyed is not None:
        said[1] = destroyed
    succession = ShownSuccession(
        certificate_of(now) if certificate is None else certificate,
        Retirement.from_bytes(now.retirement).dones,
        now.retirement if retirement is None else retirement,
        tuple(said),
    )
    shown = Shown(making.certificate().to_bytes(), tuple(making.dones), (), succession)
    newest = verified(shown, now.keys, now.world.clock()).newest
    assert newest is not None
    if newest.waiting_for:
        raise BadInput("it is not counted")
