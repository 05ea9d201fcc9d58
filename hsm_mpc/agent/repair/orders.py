"""ORDER-REPAIR at a holder: what it takes part in, and by which keys (step 6.7.2)."""

from __future__ import annotations

from collections.abc import Sequence

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.consents import Consents
from hsm_mpc.agent.wallets import policy_hash
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.errors import BadInput, InvalidSignature, ProtocolAbort, Refused, Tampered
from hsm_mpc.policy.rules import Policy
from hsm_mpc.protocols.repair_messages import RepairSetup
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.succession.order_signatures import signature_in
from hsm_mpc.succession.repairing import (
    check_administrators,
    check_helpers,
    check_terms,
    delivery_keys_in,
    expected_in_repair,
)
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import ORDER_REPAIR


def order_in(holder: ActingHolder, source: bytes) -> RepairOrder:
    """What a coordinator of the own list carries; who has signed it is not looked at.

    Raises:
        BadEncoding, BadInput, InvalidSignature: it is no ORDER-REPAIR of such a coordinator.
    """
    message = parse_envelope(source)
    order = RepairOrder.from_bytes(message.payload)
    holder.inbox().accept(message, expected_in_repair(ORDER_REPAIR, order, None), holder.clock())
    return order


def require_possible(holder: ActingHolder, order: RepairOrder, body: EpochBody) -> None:
    """Such a repair of the epoch `body` can be, and in time.

    Raises:
        Refused: `other-epoch`, `other-order`, or `deadline`.
    """
    if order.epoch_hash != body.hash:
        raise Refused("other-epoch", "the newest epoch of that wallet here is another one")
    try:
        known = holder.lineage_of(body)
        check_terms(order, body, known.newest.roster, known.identity_keys)
    except BadInput as wrong:
        raise Refused("other-order", f"no such repair is possible: {wrong}") from wrong
    if order.deadline < holder.clock():
        raise Refused("deadline", "the time of that plan is over")


def require_consent(
    holder: ActingHolder, consents: Consents, order: RepairOrder, body: EpochBody
) -> None:
    """A holder of a lab-marked roster consents by itself (step 1.6.7). Raises: Refused."""
    if holder.asks_operator or not holder.roster.lab:
        consents.require(Plan.of(order), body.to_bytes())


def require_ordered(
    holder: ActingHolder, order: RepairOrder, body: EpochBody, signatures: Sequence[bytes]
) -> None:
    """Those whom the policy names have ordered it, before this holder signs it as a helper.

    Args:
        signatures: of administrators, ascending; nobody looks at them where it names none.

    Raises:
        Refused: `not-ordered`.
        BadInput: one of them is none.
    """
    administrators = policy_of(holder, body).administrators
    if administrators is None:
        return
    try:
        check_administrators(order, administrators, [signature_in(each) for each in signatures])
    except InvalidSignature as unsigned:
        raise Refused(
            "not-ordered", f"the wallet's administrators have not ordered it: {unsigned}"
        ) from unsigned


def require_signed(holder: ActingHolder, order: RepairOrder, body: EpochBody) -> None:
    """Every helper has signed it, as is true only once those whom the policy names have ordered it.

    Raises:
        Refused: `not-ordered`.
    """
    roster = holder.lineage_of(body).newest.roster
    try:
        check_helpers(order, {index: [roster.member(index).key] for index in order.helpers})
    except InvalidSignature as unsigned:
        raise Refused("not-ordered", str(unsigned)) from unsigned


def setup_of(
    holder: ActingHolder, suite: Suite, order: RepairOrder, body: EpochBody, dones: Sequence[bytes]
) -> RepairSetup:
    """What all parties of a repair agree on.

    Raises:
        ProtocolAbort: the DONEs are not those that the order is about. No holder is to blame.
    """
    try:
        book = holder.lineage_of(body).newest
        keys = delivery_keys_in(order, dones, body, book)
        return RepairSetup.of(
            suite, order.session_id, order.lost, order.helpers, keys, body.commitments
        )
    except (BadInput, InvalidSignature) as broken:
        raise ProtocolAbort(f"a repair that does not hold: {broken}") from broken


def policy_of(holder: ActingHolder, body: EpochBody) -> Policy:
    """The certified policy. Raises: Tampered: it is not in the store."""
    encoded = holder.epochs(body.terms.wallet_id).kept(body.hash, EpochDocument.POLICY)
    if encoded is None or policy_hash(encoded) != body.terms.policy_hash:
        raise Tampered(f"wallet {body.terms.name}: the policy is not the certified one")
    return holder.parse_policy(encoded)
