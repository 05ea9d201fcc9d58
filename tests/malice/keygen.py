"""Everything that is done to the messages of a key generation."""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.certificates.hello import Hello
from hsm_mpc.ids import Scheme
from hsm_mpc.wire.envelope import parse_envelope
from tests.agent.simulate import World
from tests.malice import certificates, dealers, fields, proposals
from tests.malice.bench import BY_SENDER, DEALER, RELAY, Bench, Tamper
from tests.malice.carrying import carried, exchanged
from tests.malice.ceremony import Ceremony, finished
from tests.malice.envelopes import by_its_sender
from tests.malice.fields import Field
from tests.malice.verdicts import Attack

_OWN_AFFAIR = "what it says of its own keys, in HELLO, ACK and DONE alike, is its own affair"
_SELF_PROVING = "the certificate that comes of it is the same, and proves itself"


def of_proposals(world: World, scheme: Scheme) -> list[Attack]:
    """On PROPOSAL."""
    bench, other = Bench(world, scheme), finished(world, scheme)
    proposals.attack(bench, other)
    return bench.finished()


def of_dealings(world: World, scheme: Scheme) -> list[Attack]:
    """On HELLO and msg1."""
    bench, other = Bench(world, scheme), finished(world, scheme)
    _hello(bench, other)
    _dealing(bench, other)
    return bench.finished()


def of_certificates(world: World, scheme: Scheme) -> list[Attack]:
    """On round 3, CERT and DONE."""
    bench, other = Bench(world, scheme), finished(world, scheme)
    _confirmation(bench)
    certificates.attack(bench, other)
    _done(bench, other)
    return bench.finished()


def _hello(bench: Bench, other: Ceremony) -> None:
    bench.at("HELLO")
    group = bench.ceremony.proposal.terms.group
    of_hello = fields.of_hello(group)
    bench.envelope(DEALER)
    bench.payload_on_the_way(of_hello)
    carried(bench, other, "CERT")
    harmless = {
        "nonce": "any number is a nonce",
        "V negated": _OWN_AFFAIR,
        "kek_digest": _OWN_AFFAIR,
    }
    for each in of_hello:
        _hello_lie(bench, each, harmless.get(each.name, ""))
    for name in ("nonce", "static_key", "delivery_key"):
        _hello_lie(bench, _copied(bench.ceremony, name))
    _hello_lie(bench, _one_key_twice(bench.ceremony))
    bench.run("another one to h3 than to h1", "split", DEALER, _split(bench, of_hello[0]))


def _dealing(bench: Bench, other: Ceremony) -> None:
    bench.at("msg1")
    ceremony = bench.ceremony
    of_dealing = fields.of_dealing(ceremony.proposal.terms.group, 2, 3)
    bench.envelope(DEALER)
    bench.payload_on_the_way(of_dealing)
    carried(bench, other, "HELLO")
    for each in of_dealing:
        own = each.name.endswith("h2") and "frame" not in each.name
        bench.payload(DEALER, each, "only the liar itself opens it" if own else "")
    dealers.attack(bench)


def _confirmation(bench: Bench) -> None:
    bench.at("round 3")
    ceremony = bench.ceremony
    bench.envelope(DEALER, _SELF_PROVING)
    payload = parse_envelope(ceremony.message("round 3")).payload
    group = ceremony.proposal.terms.group
    acknowledgement = len(payload) - group.point_length - 32 - 32 - 2
    of_confirmation = fields.of_confirmation(group, acknowledgement)
    bench.payload_on_the_way(of_confirmation)
    for each in of_confirmation:
        bench.payload(DEALER, each)
    bench.run("that of h3 in its place", "swapped", RELAY, exchanged)


def _done(bench: Bench, other: Ceremony) -> None:
    bench.at("DONE")
    of_done = fields.of_done(bench.ceremony.proposal.terms.group)
    bench.envelope(DEALER)
    bench.payload_on_the_way(of_done)
    carried(bench, other, "HELLO")
    for each in of_done:
        bench.payload(DEALER, each)


def _hello_lie(bench: Bench, each: Field, harmless: str = "") -> None:
    """The liar goes along with what it said, if that is a HELLO at all."""
    change = by_its_sender(bench.world, each)

    def tamper(ceremony: Ceremony) -> None:
        message = change(ceremony.message("HELLO"))
        ceremony.change("HELLO", lambda _: message)
        if _parses(ceremony, message):
            ceremony.follow(message)

    bench.run(each.name, BY_SENDER, DEALER, tamper, harmless)


def _parses(ceremony: Ceremony, message: bytes) -> bool:
    try:
        Hello.from_bytes(parse_envelope(message).payload, ceremony.proposal.terms.group)
    except ValueError:
        return False
    return True


def _copied(ceremony: Ceremony, name: str) -> Field:
    def change(payload: bytes) -> bytes:
        group = ceremony.proposal.terms.group
        theirs = Hello.from_bytes(parse_envelope(ceremony.message("HELLO", 3)).payload, group)
        own = Hello.from_bytes(payload, group)
        return replace(own, **{name: getattr(theirs, name)}).to_bytes()

    return Field(f"the {name.replace('_', ' ')} of h3", change)


def _one_key_twice(ceremony: Ceremony) -> Field:
    def change(payload: bytes) -> bytes:
        own = Hello.from_bytes(payload, ceremony.proposal.terms.group)
        return replace(own, delivery_key=own.static_key).to_bytes()

    return Field("one key in both places", change)


def _split(bench: Bench, each: Field) -> Tamper:
    """h3 gets another message of the liar than h1 and the liar itself."""
    change = by_its_sender(bench.world, each)
    return lambda ceremony: ceremony.change(ceremony.reached, change, [3])
