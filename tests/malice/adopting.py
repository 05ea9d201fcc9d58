"""What is done to what makes a refresh: CERT and DONE."""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.certificates.done import Done
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import RETIRE, SUCCESSOR, Key, MessageKind
from tests.agent.simulate import World
from tests.malice import succession_fields
from tests.malice.bench import BY_SENDER, COORDINATOR
from tests.malice.fields import Change
from tests.malice.hearing import HOLDER, Case, Hearing
from tests.malice.proposing import cert_of, certificate_of
from tests.malice.refreshing import of_holders
from tests.malice.successions import Refreshes
from tests.malice.verdicts import LIAR, Attack

BY_ANY_HOLDER = "it proves itself, whoever shows it"
OWN_AFFAIR = "what it says of its own keys is its own affair"


def of_certificates(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On CERT, after an attempt that was certified, too."""
    other = petty.certified()

    def begun() -> Case:
        now = refreshes.certified_again()
        adopts = of_holders(lambda i, cert: now.successions(i).adopt(now.propose, cert, b""))
        return Case(cert_of(now), adopts)

    hearing = Hearing(world, f"CERT{_OF_A_REFRESH}", COORDINATOR, begun)
    hearing.envelope()
    certificate = SuccessorCertificate.from_bytes(parse_envelope(hearing.case.honest).payload)
    hearing.payload(succession_fields.of_certificate(certificate))
    hearing.replaced(
        lambda: {
            "that of the epoch before": cert_of(refreshes.past),
            "that of the attempt before": cert_of(refreshes.before),
            "that of another wallet": cert_of(other),
            "PROPOSE": refreshes.now.propose,
        }
    )
    hearing.lies(
        lambda: {what: each.to_bytes() for what, each in _false_certificates(refreshes).items()}
    )
    by_holder = shown_by_holder(world, SUCCESSOR)
    hearing.attack("shown by h2", BY_SENDER, HOLDER, by_holder, BY_ANY_HOLDER)
    hearing.taken()
    refreshes.over()
    return hearing.found


_OF_A_REFRESH = ", of a refresh"


def shown_by_holder(world: World, kind: MessageKind) -> Change:
    """The same, under the channel key of h2."""

    def change(source: bytes) -> bytes:
        message = parse_envelope(source)
        address = replace(message.address, sender=LIAR)
        sign = world.parties[LIAR].acting.channel.signer(world.clock()).sign
        return seal_envelope(kind, address, message.payload, Key.CHANNEL, sign).to_bytes()

    return change


def _false_certificates(refreshes: Refreshes) -> dict[str, SuccessorCertificate]:
    now, before = (
        SuccessorCertificate.from_bytes(certificate_of(each))
        for each in (refreshes.now, refreshes.before)
    )
    one, two, three = now.acknowledgements
    first, second, third = now.deal_digests
    return {
        "the ACKs of the attempt before": replace(now, acknowledgements=before.acknowledgements),
        "the PROPOSE of the attempt before": replace(now, propose=before.propose),
        "the DEALs of the attempt before": replace(now, deal_digests=before.deal_digests),
        "the body of the attempt before": replace(now, body=before.body),
        "the body of the epoch itself": replace(now, body=refreshes.now.replaced),
        "the ACKs of h2 and h3 exchanged": replace(now, acknowledgements=(one, three, two)),
        "the DEALs of h2 and h3 exchanged": replace(now, deal_digests=(first, third, second)),
        "an ACK less": replace(now, acknowledgements=(one, two)),
    }


# DONE


def of_adoptions(world: World, refreshes: Refreshes, petty: Refreshes) -> list[Attack]:
    """On the DONE of h2: what the coordinator says, and holders to a RETIRE that has it."""
    _, others = petty.adopted()
    dones = list[bytes]()

    def begun() -> Case:
        now, dones[:] = refreshes.adopted()

        def retired_by(done: bytes) -> Retirement:
            return Retirement((dones[0], done, dones[2]))

        def coordinated(done: bytes) -> None:
            assert now.certificate is not None
            retired_by(done).check(now.replaced, now.keys, now.certificate, ())

        def retired(index: int, done: bytes) -> None:
            retire = now.said(RETIRE, retired_by(done).to_bytes())
            now.successions(index).retire(retire, cert_of(now), b"")

        return Case(dones[LIAR - 1], {"coordinator": coordinated, **of_holders(retired)})

    hearing = Hearing(world, f"DONE{_OF_A_REFRESH}", HOLDER, begun)
    hearing.envelope()
    group = refreshes.now.replaced.terms.group
    of_done = succession_fields.of_done(group)
    own = [
        each.name
        for each in of_done
        if each.name == "V negated" or each.name.startswith(("kek_digest", "blob_digest"))
    ]
    hearing.payload(of_done, dict.fromkeys(own, OWN_AFFAIR))
    hearing.replaced(
        lambda: {
            "that of the epoch before": Retirement.from_bytes(refreshes.past.retirement).dones[1],
            "that of another wallet": others[LIAR - 1],
            "that of h3": dones[2],
            "JOIN": refreshes.now.answers[LIAR][0],
        },
        {"the payload of that of h3": OWN_AFFAIR},
    )
    hearing.lies(lambda: _false_dones(refreshes, dones[LIAR - 1]))
    hearing.taken()
    refreshes.over()
    return hearing.found


def _false_dones(refreshes: Refreshes, honest: bytes) -> dict[str, bytes]:
    now, before = refreshes.now, refreshes.before
    own = Done.from_bytes(parse_envelope(honest).payload, now.replaced.terms.group)
    lies = {
        "of what the attempt before made": replace(own, epoch_hash=before.successor.hash),
        "of the attempt before": replace(own, attempt=before.attempt),
        "of the epoch itself": replace(own, epoch_hash=now.replaced.hash),
    }
    return {what: done.to_bytes() for what, done in lies.items()}
