"""What is done to the messages of a resharing, before old holders and new ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.resharing import Resharing
from hsm_mpc.errors import BadInput
from hsm_mpc.ids import Scheme
from hsm_mpc.roster import Member
from hsm_mpc.succession.newcomers import NewHello, arrival_in
from hsm_mpc.succession.propose import check_propose
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.envelope import bundle, parse_envelope
from hsm_mpc.wire.rounds import PROPOSE, RETIRE
from tests.agent.resharing import Sharing
from tests.agent.simulate import World
from tests.malice import succession_fields
from tests.malice.bench import BY_SENDER, COORDINATOR, RELAY
from tests.malice.hearing import HOLDER, Case, Hearing
from tests.malice.refreshing import ask_in, of_holders
from tests.malice.retirements import in_the_name_of_h2
from tests.malice.sharings import OLD, Sharings
from tests.malice.successions import EVERYBODY
from tests.malice.verdicts import LIAR, Attack

_ANOTHER_PLAN = "it is another plan, as good as this one"
_OWN_AFFAIR = "what it says of its own keys is its own affair"
_NO_LAB = "of a roster that is no lab's"
_UNMARKED = "operators are asked by a roster without the mark"
NEW = ("h1'", "h2'", "h3'")


def of_asks(world: World, scheme: Scheme) -> list[Attack]:
    """On ASK, before old holders and new ones."""
    sharings = Sharings(world, scheme)

    def begun() -> Case:
        now = sharings.asked()

        def greeted(k: int, said: bytes) -> bytes:
            return now.new.parties[k].arrivals.hello(said, now.told)

        joins = of_holders(lambda i, said: now.successions(i).join(said), OLD)
        return Case(ask_in(now), {**joins, **of_holders(greeted, EVERYBODY, "'")})

    hearing = Hearing(world, "ASK, of a resharing", COORDINATOR, begun)
    hearing.envelope()
    free = ("reason", "deadline", "deadline at its most", "J'")
    unmarked = "flags of ROSTER' 0", "flags of ROSTER'"
    fields = succession_fields.of_ask(parse_envelope(hearing.case.honest).payload)
    hearing.payload(fields, dict.fromkeys(free, _ANOTHER_PLAN) | dict.fromkeys(unmarked, _UNMARKED))
    hearing.lies(lambda: _false_asks(sharings.now), {_NO_LAB: _UNMARKED})
    hearing.taken()
    sharings.over()
    return hearing.found


def _false_asks(now: Sharing) -> dict[str, bytes]:
    ask, resharing = now.ask(), now.resharing
    one, two, three = resharing.roster.members

    def to(*members: Member, **changes: Any) -> Resharing:
        roster = replace(resharing.roster, members=members, **changes)
        return Resharing(QuorumSizes.default(roster.n, 2), roster)

    lies = {
        "to a stranger": to(one, two, replace(three, name="h9")),
        "to h3 by the key of another": to(one, two, replace(three, key=now.world.client.public)),
        "to h2 by another key": to(one, replace(two, key=now.world.client.public), three),
        "of the roster after the next": to(one, two, three, version=resharing.roster.version + 1),
        "of a roster that follows another": to(one, two, three, predecessor=b"p" * 32),
        _NO_LAB: to(one, two, three, lab=False),
    }
    asks = {what: replace(ask, resharing=each) for what, each in lies.items()}
    asks["over already"] = replace(ask, deadline=now.world.clock() - 1)
    return {what: each.to_bytes() for what, each in asks.items()}


# HELLO'


def of_greetings(world: World, scheme: Scheme) -> list[Attack]:
    """On HELLO' of h2: the coordinator, and old holders to a PROPOSE that has it."""
    sharings = Sharings(world, scheme)

    def begun() -> Case:
        now = sharings.proposed()
        honest = replace(now).proposal()
        one, two, three = honest.hellos

        def said(hello: bytes) -> bytes:
            content = replace(honest, hellos=(one, hello, three))
            return now.said(PROPOSE, content.to_bytes())

        def coordinated(hello: bytes) -> None:
            message = parse_envelope(said(hello))
            check_propose(message, now.replaced, now.keys, now.resharing)

        deals = of_holders(lambda i, hello: now.successions(i).deal(said(hello)), OLD)
        return Case(two, {"coordinator": coordinated, **deals})

    hearing = Hearing(world, "HELLO, of a new holder", HOLDER, begun)
    hearing.envelope()
    group = sharings.now.replaced.terms.group
    own = ("nonce", "nonce of zeros", "V' negated", "kek_digest'", "kek_digest' of zeros")
    hearing.payload(succession_fields.of_new_hello(group), dict.fromkeys(own, _OWN_AFFAIR))
    hearing.replaced(lambda: {"that of h3": sharings.now.hellos[2], "JOIN": _join(sharings.now)})
    hearing.lies(lambda: {"the key of h3": _with_the_key_of_h3(sharings.now)})
    hearing.taken()
    sharings.over()
    return hearing.found


def _with_the_key_of_h3(now: Sharing) -> bytes:
    group = now.replaced.terms.group
    own, theirs = (
        NewHello.from_bytes(parse_envelope(now.hellos[k - 1]).payload, group) for k in (LIAR, 3)
    )
    return replace(own, delivery_key=theirs.delivery_key).to_bytes()


def _join(now: Sharing) -> bytes:
    return now.answers[LIAR][0]


# DEAL


def of_dealings(world: World, scheme: Scheme) -> list[Attack]:
    """On DEAL of h2: old holders see what is public of it, new ones open it."""
    sharings = Sharings(world, scheme)

    def begun() -> Case:
        now = sharings.dealt()
        one, two = now.deals

        def staged(index: int, deal: bytes) -> bytes:
            said: bytes = now.successions(index).stage([one, deal], now.channels)
            return said

        def received(k: int, deal: bytes) -> bytes:
            return now.new.parties[k].arrivals.receive(now.propose, [one, deal], now.channels)

        judges = {**of_holders(staged, OLD), **of_holders(received, EVERYBODY, "'")}
        return Case(two, judges)

    hearing = Hearing(world, "DEAL, of a resharing", HOLDER, begun, NEW)
    hearing.envelope()
    sizes = sharings.now.resharing.sizes
    group = sharings.now.replaced.terms.group
    hearing.payload(
        succession_fields.of_deal(group, sizes.t, sizes.n, lowest=0),
        {f"{part} for h{LIAR}": "only the liar itself opens it" for part in ("ciphertext", "tag")},
    )
    hearing.replaced(lambda: {"that of h1": sharings.now.deals[0], "JOIN": _join(sharings.now)})
    hearing.taken()
    sharings.over()
    return hearing.found


# CERT, DONE' and RETIRE


def of_ends(world: World, scheme: Scheme) -> list[Attack]:
    """On what follows: CERT, the DONE' of h2, and RETIRE."""
    sharings = Sharings(world, scheme)
    return [*_certificates(sharings), *_arrivals(sharings), *_retirements(sharings)]


def _certificates(sharings: Sharings) -> list[Attack]:
    """New holders confirm it, old ones adopt it beside the DONE' of all."""

    def begun() -> Case:
        now = sharings.arrived()
        certified = now.certified_message()
        arrivals = bundle(now.arrivals)

        def confirmed(k: int, cert: bytes) -> bytes:
            return now.new.parties[k].arrivals.confirm(cert)

        def adopted(index: int, cert: bytes) -> bytes:
            said: bytes = now.successions(index).adopt(now.propose, cert, b"", b"", arrivals)
            return said

        return Case(certified, {**of_holders(adopted, OLD), **of_holders(confirmed, part="'")})

    hearing = Hearing(sharings.world, "CERT, of a resharing", COORDINATOR, begun)
    hearing.envelope()
    certificate = sharings.now.certificate
    assert certificate is not None
    hearing.payload(succession_fields.of_shared_certificate(certificate))
    hearing.replaced(lambda: {"PROPOSE": sharings.now.propose})
    hearing.taken()
    sharings.over()
    return hearing.found


def _arrivals(sharings: Sharings) -> list[Attack]:
    """The coordinator, and old holders that are asked to adopt beside it."""

    def begun() -> Case:
        now = sharings.arrived()
        one, two, three = now.arrivals
        book = now.keys.of_new_holders(now.new.roster)

        def coordinated(done: bytes) -> None:
            if arrival_in(done, now.replaced, book)[1].epoch_hash != now.successor.hash:
                raise BadInput("it is not counted")

        def adopted(index: int, done: bytes) -> bytes:
            shown = bundle([one, done, three])
            certified = now.certified_message()
            said: bytes = now.successions(index).adopt(now.propose, certified, b"", b"", shown)
            return said

        return Case(two, {"coordinator": coordinated, **of_holders(adopted, OLD)})

    hearing = Hearing(sharings.world, "DONE, of a new holder", HOLDER, begun)
    hearing.envelope()
    of_done = succession_fields.of_done(sharings.now.replaced.terms.group)
    own = [
        each.name
        for each in of_done
        if each.name == "V negated" or each.name.startswith(("kek_digest", "blob_digest"))
    ]
    hearing.payload(of_done, dict.fromkeys(own, _OWN_AFFAIR))
    hearing.replaced(
        lambda: {"that of h3": sharings.now.arrivals[2], "JOIN": _join(sharings.now)},
        {"the payload of that of h3": _OWN_AFFAIR},
    )
    hearing.taken()
    sharings.over()
    return hearing.found


def _retirements(sharings: Sharings) -> list[Attack]:
    """Old holders end the epoch by it, and h3, who had no share of that one, arrives."""

    def begun() -> Case:
        now = sharings.adopted()
        certified = now.certified_message()

        def retired(index: int, said: bytes) -> object:
            return now.successions(index).retire(said, certified, b"")

        def arrived(k: int, said: bytes) -> bytes:
            return now.new.parties[k].arrivals.arrive(said, certified)

        judges = {**of_holders(retired, OLD), **of_holders(arrived, (3,), "'")}
        return Case(now.said(RETIRE, now.retirement), judges)

    hearing = Hearing(sharings.world, "RETIRE, of a resharing", COORDINATOR, begun)
    hearing.envelope()
    honest = Retirement.from_bytes(sharings.now.retirement)
    hearing.payload(succession_fields.of_retirement(honest))
    hearing.replaced(lambda: {"CERT": sharings.now.certified_message()})
    hearing.lies(lambda: _false_retirements(sharings.now))
    hearing.attack("garbage in the name of h2", BY_SENDER, RELAY, in_the_name_of_h2)
    hearing.taken()
    sharings.over()
    return hearing.found


def _false_retirements(now: Sharing) -> dict[str, bytes]:
    honest = Retirement.from_bytes(now.retirement)
    one, two, three = honest.arrivals
    lies = {
        "a DONE less than W": replace(honest, dones=honest.dones[:1]),
        "without the DONE' of new holders": replace(honest, arrivals=()),
        "without the DONE' of h3": replace(honest, arrivals=(one, two)),
        "the DONE' of h2 twice": replace(honest, arrivals=(one, two, two)),
        "the DONE' not ascending": replace(honest, arrivals=(two, one, three)),
        "the DONE' as votes": replace(honest, dones=(one, two)),
        "votes as DONE'": replace(honest, arrivals=(*honest.dones, three)),
    }
    return {what: each.to_bytes() for what, each in lies.items()}
