"""What a coordinator and the relay do to CERT, and show to the client."""

from __future__ import annotations

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import CERTIFICATE
from tests.agent.simulate import NOTHING
from tests.malice import fields
from tests.malice.bench import BY_SENDER, COORDINATOR, RELAY, Bench, Tamper
from tests.malice.ceremony import Ceremony
from tests.malice.fields import Field
from tests.malice.verdicts import LIAR


def attack(bench: Bench, other: Ceremony) -> None:
    """Each field of the certificate, before holders and client."""
    bench.at("CERT")
    ceremony = bench.ceremony
    of_certificate = fields.of_certificate(Certificate.from_bytes(ceremony.certificate), LIAR)
    bench.envelope(COORDINATOR)
    bench.payload_on_the_way(of_certificate)
    for each in of_certificate:
        bench.run(each.name, BY_SENDER, COORDINATOR, _certified(each))
    theirs = Field("", lambda _: other.certificate)
    bench.run("certificate of another wallet", "replayed", COORDINATOR, _certified(theirs))
    bench.run("CERT of another wallet", "replayed", RELAY, _replayed(other))
    bench.run("DONE in its place", "sent in another round", RELAY, _done_in_place(other))
    mixed = Field("", lambda payload: _mixed(payload, other.certificate))
    bench.run("ACKs of another wallet", "replayed", COORDINATOR, _certified(mixed))


def _certified(each: Field) -> Tamper:
    """The false certificate in an envelope of this session; the client gets it, too."""

    def tamper(ceremony: Ceremony) -> None:
        false = each.change(ceremony.certificate)
        address = parse_envelope(ceremony.message("CERT")).address
        message = ceremony.world.said(
            CERTIFICATE, address.wallet_id, address.session_id, NOTHING, false
        )
        ceremony.change("CERT", lambda _: message)
        ceremony.certificate = false

    return tamper


def _replayed(other: Ceremony) -> Tamper:
    def tamper(ceremony: Ceremony) -> None:
        ceremony.change("CERT", lambda _: other.message("CERT"))

    return tamper


def _done_in_place(other: Ceremony) -> Tamper:
    def tamper(ceremony: Ceremony) -> None:
        ceremony.change("CERT", lambda _: other.message("DONE"))

    return tamper


def _mixed(certificate: bytes, other: bytes) -> bytes:
    own, theirs = Certificate.from_bytes(certificate), Certificate.from_bytes(other)
    acknowledgements = theirs.acknowledgements
    return Certificate(
        own.body, own.transcript, own.extension, own.signatures, acknowledgements
    ).to_bytes()
