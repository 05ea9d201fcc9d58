"""What is done to what a holder says once its share is in another HSM: ACK, the AMENDMENT that has
it, and DONE.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.done import Done, ack_message
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.client.verified import verified
from hsm_mpc.ids import EpochHash, Scheme
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.amendment import Repaired as Amended
from hsm_mpc.succession.repairing import RepairAck, address_in_repair, check_repaired
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope, seal_envelope
from hsm_mpc.wire.rounds import PROPOSE, REPAIR_ACK, Key
from hsm_mpc.wire.wallet_calls import Shown
from tests.agent.refreshing import Refreshing
from tests.agent.simulate import World
from tests.malice import repair_fields, succession_fields
from tests.malice.adopting import OWN_AFFAIR
from tests.malice.bench import COORDINATOR
from tests.malice.hearing import HOLDER, Case, Hearing, Take
from tests.malice.refreshing import of_holders
from tests.malice.repairs import Repaired, Repairs, Replacements
from tests.malice.retirements import CLIENT
from tests.malice.successions import EVERYBODY
from tests.malice.verdicts import LIAR, Attack
from tests.software_identity import SoftwareKey, p256_key

_HELPERS = (1, 3)


def of_amendments(world: World, scheme: Scheme) -> list[Attack]:
    """On the ACK of h2, and what all others are told with it."""
    replacements = _replacements(world, scheme)
    return [*_acks(replacements), *_amendments(replacements)]


def of_confirmations(world: World, scheme: Scheme) -> list[Attack]:
    """On the DONE of h2, of whose HSM all have heard."""
    replacements = _replacements(world, scheme)
    now = replacements.next()
    for helper in _HELPERS:
        now.amend(helper, now.amendment.to_bytes())
    return _dones(replacements)


def _replacements(world: World, scheme: Scheme) -> Replacements:
    repairs, petty = (Repairs.of(world, scheme, name, LIAR) for name in ("treasury", "petty"))
    return Replacements(repairs, petty)


def _told(now: Repaired) -> dict[str, Take]:
    """Everybody who is shown an AMENDMENT that nobody has heard of."""
    making, world = now.repairing.making, now.repairing.world
    certificate, dones = making.certificate().to_bytes(), tuple(making.dones)

    def shown(source: bytes) -> None:
        lineage = replace(now.known, pending=(*now.known.pending, source)).to_bytes()
        known = Shown(certificate, dones, lineage=lineage)
        verified(known, KeyBook(world.roster, {}), world.clock())

    judges: dict[str, Take] = {"coordinator": now.known.with_pending, CLIENT: shown}
    return judges | of_holders(now.amend, _HELPERS)


# ACK


def _acks(replacements: Replacements) -> list[Attack]:
    """In an AMENDMENT."""

    def begun() -> Case:
        now = replacements.next()
        order = now.repairing.order

        def told(take: Take) -> Take:
            return lambda ack: take(Amended(order, ack).to_bytes())

        return Case(now.ack, {judge: told(take) for judge, take in _told(now).items()})

    hearing = Hearing(replacements.repairs.world, "ACK, of a repair", HOLDER, begun)
    hearing.envelope()
    honest = RepairAck.from_bytes(parse_envelope(hearing.case.honest).payload)
    hearing.payload(repair_fields.of_ack(honest.acknowledgement))
    hearing.replaced(
        lambda: {
            "that of the repair before": replacements.before.ack,
            "that of another wallet": replacements.other.ack,
            "DONE": replacements.now.done,
        }
    )
    hearing.lies(lambda: _false_acks(replacements.now), {"with another blob": OWN_AFFAIR})
    hearing.taken()
    return hearing.found


def _false_acks(now: Repaired) -> dict[str, bytes]:
    """In each, h2 has signed what it says."""
    true = RepairAck.from_bytes(parse_envelope(now.ack).payload)
    said, another = true.acknowledgement, b"x" * 32
    sign = now.repairing.world.parties[LIAR].acting.identity.sign

    def signed(
        kek_digest: bytes = said.kek_digest,
        blob_digest: bytes = said.blob_digest,
        h: EpochHash = true.epoch_hash,
        index: int = LIAR,
    ) -> bytes:
        signature = sign(Tag.ACK, ack_message(h, index, kek_digest, blob_digest))
        return RepairAck(h, Acknowledgement(kek_digest, blob_digest, signature)).to_bytes()

    return {
        "with another blob": signed(blob_digest=another),
        "with another key than the ordered one": signed(kek_digest=another),
        "of another epoch": signed(h=EpochHash(another)),
        "signed as by h1": signed(index=1),
    }


# AMENDMENT


def _amendments(replacements: Replacements) -> list[Attack]:
    def begun() -> Case:
        now = replacements.next()
        return Case(now.amendment.to_bytes(), _told(now))

    world = replacements.repairs.world
    hearing = Hearing(world, "AMENDMENT, of a repair", COORDINATOR, begun)
    assert hearing.case.honest == replacements.now.amendment.to_bytes()
    group = replacements.now.repairing.body.terms.group
    hearing.bare(repair_fields.of_amendment(replacements.now.amendment, group))
    hearing.messages(
        lambda: {what: each.to_bytes() for what, each in _false_amendments(replacements).items()}
    )
    hearing.taken()
    return hearing.found


def _false_amendments(replacements: Replacements) -> dict[str, Amended]:
    now, before, other = replacements.now, replacements.before, replacements.other
    true, order = now.amendment, now.repairing.order
    one, three = order.signatures
    first = now.repairing.world.roster.member(1).key
    lost_before, stranger = before.repairing.order.known_key, p256_key(9)

    def ordered(**changes: Any) -> Amended:
        return replace(true, order=replace(order, **changes))

    return {
        "that of the repair before": before.amendment,
        "that of another wallet": other.amendment,
        "with the ACK of the repair before": replace(true, ack=before.ack),
        "with the ACK of another wallet": replace(true, ack=other.ack),
        "with the order of another wallet": replace(true, order=other.repairing.order),
        "with DONE for ACK": replace(true, ack=now.done),
        "signed by nobody": ordered(signatures=()),
        "signed by h1 alone": ordered(signatures=(one,)),
        "signed by h1 twice": ordered(signatures=(one, one)),
        "signed by both, h3 first": ordered(signatures=(three, one)),
        "to the key of h1": ordered(identity_key=first),
        "to the key that was lost": ordered(identity_key=order.known_key),
        "to a key that was lost before": ordered(identity_key=lost_before),
        "to the key of a stranger, who offers and acknowledges": _of_stranger(now, stranger),
        "in the place of a key that there is not": ordered(known_key=stranger.public),
        "in the place of a key that was lost before": ordered(known_key=lost_before),
        "for h3": ordered(lost=3),
        "for a holder that there is not": ordered(lost=9),
        "of another epoch": ordered(epoch_hash=EpochHash(b"e" * 32)),
        "by h1 alone": ordered(helpers=(1,), signatures=(one,)),
        "with another nonce": ordered(nonce=bytes(32)),
    }


def _of_stranger(now: Repaired, stranger: SoftwareKey) -> Amended:
    """All that h2 would sign; the helpers have signed another order."""
    order: RepairOrder = replace(now.repairing.order, identity_key=stranger.public)
    offered = stranger.sign(Tag.REPAIR_OFFER, order.offer_message)
    order = replace(order, offer_signature=offered)
    true = RepairAck.from_bytes(parse_envelope(now.ack).payload)
    said = true.acknowledgement
    message = ack_message(true.epoch_hash, LIAR, said.kek_digest, said.blob_digest)
    own = replace(said, signature=stranger.sign(Tag.ACK, message))
    payload = replace(true, acknowledgement=own).to_bytes()
    address = address_in_repair(order, LIAR)
    ack = seal_envelope(REPAIR_ACK, address, payload, Key.IDENTITY, stranger.sign).to_bytes()
    return Amended(order, ack)


# DONE


def _dones(replacements: Replacements) -> list[Attack]:
    """The coordinator, and those who deal to the key in it."""
    now, world = replacements.now, replacements.repairs.world
    body, (first, lost, third) = now.repairing.body, now.repairing.making.dones
    lineage = world.parties[1].acting.lineage(body.terms)
    refreshing = Refreshing(world, body, _HELPERS, [first, now.done, third], lineage=lineage)
    hearing = Hearing(world, "DONE, of a repair", HOLDER, lambda: _in_a_proposal(now, refreshing))
    hearing.envelope()
    group = body.terms.group
    blob = dict.fromkeys(("blob_digest", "blob_digest of zeros"), OWN_AFFAIR)
    hearing.payload(succession_fields.of_done_in_no_attempt(group), blob)
    hearing.replaced(
        lambda: {
            "that of the repair before": replacements.before.done,
            "that of another wallet": replacements.other.done,
            "that of before its loss": lost,
            "that of h3": third,
            "ACK": now.ack,
        }
    )
    own, theirs = (
        Done.from_bytes(parse_envelope(each).payload, group) for each in (now.done, third)
    )
    lies = {
        "without a share": replace(own, kek_digest=bytes(32), blob_digest=bytes(32)),
        "with the delivery key of h3": replace(own, delivery_key=theirs.delivery_key),
    }
    hearing.lies(lambda: {what: each.to_bytes() for what, each in lies.items()})
    hearing.taken()
    _refreshed(refreshing)
    return hearing.found


def _in_a_proposal(now: Repaired, refreshing: Refreshing) -> Case:
    """To refresh the epoch, in an attempt that h2 has not joined."""
    refreshing.world.later[0] += 601
    refreshing.joined()
    proposal = replace(refreshing).proposal()
    one, _, three = proposal.dones

    def dealt(index: int, done: bytes) -> object:
        content = replace(proposal, dones=(one, done, three))
        return refreshing.successions(index).deal(refreshing.said(PROPOSE, content.to_bytes()))

    def coordinated(done: bytes) -> None:
        assert refreshing.lineage is not None
        keys = refreshing.lineage.newest
        check_repaired(done, now.repairing.order, now.repairing.body, keys)

    return Case(now.done, {"coordinator": coordinated, **of_holders(dealt, _HELPERS)})


def _refreshed(refreshing: Refreshing) -> None:
    """All have a share of what comes next, h2 in its other HSM, too."""
    refreshing.world.later[0] += 601
    refreshing.drive(absent=(LIAR,))
    for index in EVERYBODY:
        wallets = refreshing.world.parties[index].wallets
        (held,) = wallets.of(refreshing.replaced.terms.wallet_id)
        assert (held.body, held.record.state) == (refreshing.successor, EpochState.ACTIVE)
