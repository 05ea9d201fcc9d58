"""A helper that sealed a false delta or sum: its receiver proves it, the others judge (6.7.6).

One complaint in a repair, on disk before it is sent and repeated as it is; the repair is dead with
it: a helper that has complained adds nothing up any more, and the holder that is repaired opens
nothing of that order any more, for with its next offer it shows another V_r.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.offers import Offer, kept_offer
from hsm_mpc.agent.repair.helping import named, received_splits
from hsm_mpc.agent.repair.offering import opened_offer, spend_if_complained
from hsm_mpc.agent.repair.orders import setup_of
from hsm_mpc.agent.repair.receiving import received_sums, settle
from hsm_mpc.agent.succession.live import opened_share
from hsm_mpc.agent.verdicts import (
    Verdict,
    convicted_accuser,
    convicted_alone,
    convicted_by_complaint,
    record,
)
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, ProtocolAbort, Refused
from hsm_mpc.protocols import repair_checks, repair_complaint
from hsm_mpc.protocols.repair_checks import Splits
from hsm_mpc.protocols.repair_messages import RepairSetup, Split, Summed, verify_summed
from hsm_mpc.protocols.rounds import Faults
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret
from hsm_mpc.store.repairs import RepairDocument
from hsm_mpc.succession.addresses import signed_by_identity
from hsm_mpc.succession.complained import AccusedOf, Complained, digest_of
from hsm_mpc.succession.repairing import address_in_repair, expected_in_repair
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Message, bundle, parse_envelope, unbundled
from hsm_mpc.wire.rounds import REPAIR_COMPLAINT


@dataclass(frozen=True, slots=True)
class Shown:
    """The messages of a repair, as they were signed."""

    order: bytes
    """ORDER-REPAIR."""
    dones: tuple[bytes, ...]
    """Of the order, in roster order; that of r is empty."""
    splits: tuple[bytes, ...]
    """R1 of all helpers, ascending."""
    sums: tuple[bytes, ...]
    """R2 of all helpers, ascending; none yet, where helpers complain of each other."""

    @classmethod
    def of(cls, order: bytes, dones: bytes, splits: bytes, sums: bytes) -> Shown:
        """All but the order come bundled. Raises: BadEncoding."""
        return cls(order, unbundled(dones), unbundled(splits), unbundled(sums))


@dataclass(frozen=True, slots=True)
class Received:
    """The same, of whoever has signed them."""

    setup: RepairSetup
    splits: Mapping[int, Message]
    sums: Mapping[int, Message]

    @classmethod
    def of(
        cls, holder: ActingHolder, suite: Suite, order: RepairOrder, body: EpochBody, shown: Shown
    ) -> Received:
        """Raises: BadEncoding, InvalidSignature, ProtocolAbort: they are not those of the order."""
        setup = setup_of(holder, suite, order, body, shown.dones)
        received_splits(holder, order, body, shown.splits)
        if shown.sums:
            received_sums(holder, order, body, shown.sums)
        splits, sums = (
            {message.address.sender: message for message in map(parse_envelope, sources)}
            for sources in (shown.splits, shown.sums)
        )
        return cls(setup, splits, sums)

    def accused_of(self, accuser: int) -> AccusedOf:
        """What this holder may complain of."""
        return AccusedOf.SUM if accuser == self.setup.lost else AccusedOf.DELTA

    def message(self, helper: int, what: AccusedOf) -> Message:
        """R1 or R2 of a helper. Raises: BadInput: it has sent none."""
        found = (self.sums if what is AccusedOf.SUM else self.splits).get(helper)
        if found is None:
            raise BadInput(f"holder {helper} has sent nothing of that in this repair")
        return found

    def checked(self) -> Splits:
        """R1 of all. Raises: ProtocolAbort: naming whose is bad, as everybody sees."""
        payloads = {helper: message.payload for helper, message in self.splits.items()}
        return repair_checks.verify(self.setup, payloads)

    def check_words_of(self, helper: int) -> None:
        """Nothing that this helper signed convicts it by itself (steps 6.7.4 and 6.7.5).

        Raises:
            BadEncoding, InvalidSignature: it does.
            BadInput: it is no helper.
        """
        faults = Faults()
        split = self.message(helper, AccusedOf.DELTA).payload
        repair_checks.parsed_splits(self.setup, {helper: split}, {}, faults)
        try:
            faults.raise_if_any()
        except ProtocolAbort as unsound:
            raise InvalidSignature(str(unsound)) from unsound
        if self.sums:
            summed = self.message(helper, AccusedOf.SUM).payload
            verify_summed(self.setup, helper, Summed.from_bytes(summed, self.setup))


def complain(
    holder: ActingHolder,
    suite: Suite,
    order: RepairOrder,
    body: EpochBody,
    accused: int,
    shown: Shown,
) -> bytes:
    """The own COMPLAINT message about helper `accused`; in this repair no other is ever made.

    Raises:
        Refused: `no-helper`, `other-order` or `acknowledged`; `complained`: of another helper;
            `proof-enough`: what the accused signed convicts it.
        BadInput: what it sealed for this holder is sound: nothing is revealed; or it does not help.
        Tampered, BackendError: v does not open, or HSM or disk fail.
        BadEncoding, InvalidSignature, ProtocolAbort: the messages are not those of the repair.
    """
    repairs, sid = holder.store.repairs(order.wallet_id), order.session_id
    if holder.me == order.lost:
        settle(holder, order.wallet_id)
    kept = repairs.kept(sid, RepairDocument.COMPLAINT)
    if kept is None:
        said = _made(holder, suite, order, body, accused, shown)
        holder.audit("complained", {**named(order, body), "accused": accused})
        if repairs.kept(sid, RepairDocument.ORDER) is None:
            repairs.keep(sid, RepairDocument.ORDER, bundle([order.terms, *shown.dones]))
        repairs.keep(sid, RepairDocument.COMPLAINT, said)
    else:
        said = _repeated(kept, body, accused)
    spend_if_complained(holder, order.wallet_id)
    return said


def judge(
    holder: ActingHolder,
    suite: Suite,
    order: RepairOrder,
    body: EpochBody,
    source: bytes,
    shown: Shown,
) -> Verdict:
    """Who lied: the accused helper, or whose COMPLAINT it is. Everybody comes to the same answer;
    the first time it goes into the audit log, with the evidence on disk.

    Raises:
        BadInput: the complaint is not about one of these messages; or a sum is not of these R1,
            and before those are compared nobody knows who lied.
        BackendError, Tampered: disk.
        BadEncoding, InvalidSignature, ProtocolAbort: the messages are not those of the repair.
    """
    received = Received.of(holder, suite, order, body, shown)
    senders = (*order.helpers, order.lost)
    expected = expected_in_repair(REPAIR_COMPLAINT, order, senders)
    roster = holder.lineage_of(body).newest.roster
    if order.amends:  # who is repaired speaks by the key of its new HSM
        roster = roster.with_key(order.lost, order.identity_key)
    message = signed_by_identity(source, expected, KeyBook(roster, {}))
    verdict = _verdict(message, received, holder.arena)
    _recorded(holder, order, body, verdict, shown, (source,))
    return verdict


def judge_alone(
    holder: ActingHolder,
    suite: Suite,
    order: RepairOrder,
    body: EpochBody,
    accused: int,
    shown: Shown,
) -> Verdict:
    """The accused helper, if what it signed is proof by itself: no complaint is needed.

    Raises:
        Refused: `not-proven`: it is none.
        Others: as `judge`.
    """
    received = Received.of(holder, suite, order, body, shown)
    verdict = _convicted_alone(received, accused)
    if verdict is None:
        raise Refused("not-proven", f"what holder {accused} signed does not convict it by itself")
    _recorded(holder, order, body, verdict, shown, ())
    return verdict


def _made(
    holder: ActingHolder,
    suite: Suite,
    order: RepairOrder,
    body: EpochBody,
    accused: int,
    shown: Shown,
) -> bytes:
    """A new complaint, of which nobody has heard yet."""
    offered = _offered(holder, order)
    received = Received.of(holder, suite, order, body, shown)
    alone = _convicted_alone(received, accused)
    if alone is not None:
        raise Refused("proof-enough", alone.reason)
    what = received.accused_of(holder.me)
    message = received.message(accused, what)

    def draw(into: Secret) -> None:
        suite.group.random_nonzero(into, holder.entropy)

    if offered is not None:
        summed = Summed.from_bytes(message.payload, received.setup)
        with opened_offer(holder, body, offered) as delivery:
            complaint = repair_complaint.accuse_of_sum(
                received.checked(), delivery, accused, summed, draw
            )
    else:
        split = Split.from_bytes(message.payload, received.setup)
        with opened_share(holder, body) as own:
            complaint = repair_complaint.accuse_of_delta(
                received.setup, holder.me, own.delivery, accused, split, draw
            )
    payload = Complained(digest_of(message), complaint).to_bytes(what.place)
    address = address_in_repair(order, holder.me)
    return holder.signed_by_identity(REPAIR_COMPLAINT, address, payload)


def _offered(holder: ActingHolder, order: RepairOrder) -> Offer | None:
    """Of the holder that is repaired, what it has prepared for this order; a helper has none, and
    has split its share for it, and added up nothing.

    Raises:
        Refused: `no-helper`, `acknowledged` or `other-order`.
    """
    if holder.me == order.lost:
        offered = kept_offer(holder, order.wallet_id)
        if offered is None or offered.delivery_key != order.delivery_key:
            raise Refused("other-order", "that order is about another key than this holder's")
        return offered
    repairs, sid = holder.store.repairs(order.wallet_id), order.session_id
    if repairs.kept(sid, RepairDocument.SPLIT) is None:
        raise Refused("no-helper", "this holder has split nothing for that repair")
    if repairs.kept(sid, RepairDocument.SUM) is not None:
        raise Refused("acknowledged", "this holder has added up what it got for that repair")
    return None


def _repeated(kept: bytes, body: EpochBody, accused: int) -> bytes:
    """The very bytes. Raises: Refused: `complained`: they are about another helper."""
    payload = parse_envelope(kept).payload
    said = Complained.from_bytes(payload, payload[:1], body.terms.group)
    if said.complaint.accused != accused:
        raise Refused("complained", "this holder has complained of another helper in that repair")
    return kept


def _convicted_alone(received: Received, accused: int) -> Verdict | None:
    """Raises: BadInput: it is no helper."""
    try:
        received.check_words_of(accused)
    except (BadEncoding, InvalidSignature) as own_words:
        return convicted_alone(accused, str(own_words))
    return None


def _verdict(complained: Message, received: Received, arena: Arena) -> Verdict:
    """Nobody is convicted by a complaint that is about another message than the one shown, for it
    may be true of that one.

    Raises:
        BadInput: it is; or of nobody that has sent its sender anything.
    """
    accuser, setup = complained.address.sender, received.setup
    what = received.accused_of(accuser)
    try:
        said = Complained.from_bytes(complained.payload, what.place, setup.suite.group)
    except BadEncoding as malformed:
        return convicted_accuser(accuser, malformed)
    accused = said.complaint.accused
    message = received.message(accused, what)
    if digest_of(message) != said.about:
        raise BadInput("the complaint is about another message than the one that is shown")
    alone = _convicted_alone(received, accused)
    if alone is not None:
        return alone
    if what is AccusedOf.SUM:
        summed = Summed.from_bytes(message.payload, setup)
        liar = repair_complaint.judge_sum(received.checked(), said.complaint, summed, arena)
    else:
        split = Split.from_bytes(message.payload, setup)
        liar = repair_complaint.judge_delta(setup, accuser, said.complaint, split, arena)
    return convicted_by_complaint(liar != accuser, accuser, accused)


def _recorded(
    holder: ActingHolder,
    order: RepairOrder,
    body: EpochBody,
    verdict: Verdict,
    shown: Shown,
    complaints: tuple[bytes, ...],
) -> None:
    said = [each for each in (shown.order, *shown.dones, *shown.splits, *shown.sums) if each]
    record(holder, named(order, body), verdict, (*said, *complaints))
