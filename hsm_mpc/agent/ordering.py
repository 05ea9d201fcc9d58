"""ORDER at a holder that it counts: where the policy names no administrators, it signs (6.5.9)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.ceremonies import Ceremonies
from hsm_mpc.agent.consents import takes_part
from hsm_mpc.agent.repair.orders import policy_of
from hsm_mpc.agent.succession import votes
from hsm_mpc.agent.succession.desk import Successions
from hsm_mpc.agent.succession.live import LiveEpoch, opened_share
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.errors import BadInput, InvalidSignature, Refused, Tampered
from hsm_mpc.hsm.register import Register
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.succession.order_addresses import CarriedOrder, expected_of
from hsm_mpc.succession.ordering import check_terms, replaced_in
from hsm_mpc.succession.retirement import check_adopted
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import parse_envelope


class OrderDesk:
    """Safe to use from threads."""

    def __init__(
        self, holder: ActingHolder, ceremonies: Ceremonies, successions: Successions
    ) -> None:
        self._holder = holder
        self._ceremonies = ceremonies
        self._successions = successions

    def consider(self, source: bytes) -> bool:
        """ORDER, unsigned → whether this holder would sign it now; False: its operator is asked.

        Raises: as `countersign`, but for `consent`.
        """
        with self._possible(source) as (order, live, _):
            return takes_part(lambda: self._require_consent(order, live))

    def countersign(self, source: bytes) -> bytes:
        """ORDER, unsigned → the own signature. From then on this holder adopts no other successor
        of that epoch, and signs no order for one. The consent serves until the plan's deadline: to
        sign the same again changes nothing.

        Raises:
            Refused: `consent`; `administrators`: those whom the policy names sign it;
                `other-order`, `not-counted` or `deadline`; `not-adopted`: by this holder, or by
                one that is counted besides; or `other-epoch`, `unknown-wallet`,
                `wallet-destroyed`.
            Tampered, BackendError: the own share of the successor does not open.
            BadEncoding, BadInput, InvalidSignature: it is no ORDER of a coordinator known here.
        """
        with self._possible(source) as (order, live, register):
            self._require_consent(order, live)
            live.audit("order-signed", {"order": order.terms.hex(), "reason": order.reason})
            if register != live.register:
                self._holder.registers.write(live.wallet_id, register)
            signature = self._holder.identity.sign(Tag.ORDER, order.terms)
            algorithm = self._holder.identity.key.algorithm
            return OrderSignature(self._holder.me, algorithm, signature).to_bytes()

    @contextmanager
    def _possible(self, source: bytes) -> Iterator[tuple[Order, LiveEpoch, Register]]:
        """What is ordered, the epoch that goes, and the register once this holder has signed."""
        message = parse_envelope(source)
        carried = CarriedOrder.from_bytes(message.payload)
        order = carried.order
        self._holder.inbox().accept(message, expected_of(order), self._holder.clock())
        with self._successions.at(order.wallet_id, order.epoch_hash) as live:
            if policy_of(self._holder, live.body).administrators is not None:
                raise Refused("administrators", "the wallet's administrators sign that order")
            if order.deadline < self._holder.clock():
                raise Refused("deadline", "the time of that plan is over")
            _check_counted(order, live)
            register = votes.order(live.register, order.successor)
            _require_adopted(order, live)
            _require_others_adopted(carried, live)
            yield order, live, register

    def _require_consent(self, order: Order, live: LiveEpoch) -> None:
        """A holder of a lab-marked roster consents by itself (step 1.6.7). Raises: Refused."""
        if self._holder.asks_operator or not self._holder.roster.lab:
            self._ceremonies.consents.require(Plan.of(order), live.body.to_bytes())


def _check_counted(order: Order, live: LiveEpoch) -> None:
    """Such an order is possible, and this holder is one of those that it counts, all of whom have
    the HSM that they voted with.
    """
    lost = replaced_in(live.lineage, live.body.hash)
    try:
        check_terms(order, live.body, lost)
    except BadInput as wrong:
        raise Refused("other-order", f"no such order is possible: {wrong}") from wrong
    if lost.intersection(order.counted):
        raise Refused("other-order", "it counts a holder that has another HSM since")
    if live.holder.me not in order.counted:
        raise Refused("not-counted", "that order does not count this holder")


def _require_adopted(order: Order, live: LiveEpoch) -> None:
    """This holder has said DONE of that successor in that attempt, and its share of it opens."""
    said = live.attempts.kept(order.attempt.to_bytes(), AttemptDocument.DONE)
    if said is None:
        raise Refused("not-adopted", "this holder has said no DONE in that attempt")
    done = Done.from_bytes(parse_envelope(said).payload, live.body.terms.group)
    successor = live.successor(order.successor)
    if done.epoch_hash != order.successor:
        raise Refused("not-adopted", "this holder has adopted another successor in that attempt")
    if successor is None:
        raise Tampered("the store has no share of the successor that this holder has adopted")
    with opened_share(live.holder, successor.body):
        pass


def _require_others_adopted(carried: CarriedOrder, live: LiveEpoch) -> None:
    """All that are counted have said DONE of it. Who signs adopts nothing else from then on: were
    it alone, the others could go on to another successor, and it could not follow.
    """
    order = carried.order
    encoded = live.epochs.kept(order.successor, EpochDocument.CERTIFICATE)
    if encoded is None:
        raise Tampered("the store has no certificate of what this holder has adopted")
    try:
        certificate = SuccessorCertificate.from_bytes(encoded)
        keys = live.lineage_told(certificate).voters(live.body.terms.roster_hash, certificate)
        check_adopted(order, carried.dones, live.body, keys)
    except (BadInput, InvalidSignature) as wrong:
        raise Refused("not-adopted", f"not all that are counted show it: {wrong}") from wrong
