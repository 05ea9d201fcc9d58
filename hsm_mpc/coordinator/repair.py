"""Repair at the relay: it carries signed messages, and sees no secret (section 6.7)."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.coordinator.consents import PLAN_SECONDS, WaitingPlans, require_consented
from hsm_mpc.coordinator.keygen import CoSign
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.refresh import Refresher, not_retired
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.successions import Epochs, Succession
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
)
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import WalletId
from hsm_mpc.succession.amendment import Repaired
from hsm_mpc.succession.dones import done_in
from hsm_mpc.succession.repairing import (
    address_in_repair,
    check_terms,
    digest_of_keys,
    expected_in_repair,
)
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle, parse_envelope, seal_envelope
from hsm_mpc.wire.inbox import NO_CLOCK, Inbox
from hsm_mpc.wire.rounds import ORDER_REPAIR, REPAIR_DONE, Key
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession

_REPAIRED: Final = "the share is repaired, and not refreshed yet"


@dataclass(frozen=True, slots=True)
class _Offered:
    """What a holder without its share has prepared."""

    identity_key: VerifyingKey
    delivery_key: bytes
    kek_digest: bytes
    signature: bytes
    """Of that holder."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a holder tells of an epoch of which it has a share."""

    policy: bytes
    clients: bytes
    done: bytes
    """Its own newest DONE message."""


class Repairer:
    """Gives holders their lost shares again; used by several threads."""

    def __init__(
        self,
        links: HolderLinks,
        registry: Registry,
        refresher: Refresher,
        number: int,
        sign: CoSign,
        clock: Callable[[], int],
    ) -> None:
        self._links = links
        self._registry = registry
        self._refresher = refresher
        self._number = number
        self._sign = sign
        self._clock = clock
        self._rosters = Rosters(KeyBook(links.roster, {}), registry)
        self._plans = WaitingPlans(registry, clock)
        self._failed = Counter[tuple[WalletId, int]]()
        """How often a holder was among helpers of whom one lied or declined."""

    def repair(self, wallet: Registered, lost: str) -> Epochs:
        """The share of the holder called `lost` again, then a refresh (steps 6.7.2 to 6.7.7).

        Raises:
            NotReady: the epoch before is not retired yet; or operators have not consented yet: it
                names their holders.
            QuorumUnreachable: fewer than t other holders answer.
            Refused, ProtocolAbort, BackendError: what the holders say.
        """
        with self._refresher.alone_with(wallet.wallet_id):
            epochs = self._refresher.advance(wallet)
            seated = copy(self)
            seated._links = self._refresher.links_of(epochs.held.newest_body)
            return seated._repair(wallet, epochs, seated._links.roster.index_of(lost))

    def _repair(self, wallet: Registered, epochs: Epochs, lost: int) -> Epochs:
        self._refresher.tell_of_amendments(epochs.held.newest_body, self._links.indices)
        repaired = [self._repaired_in(wallet, each, lost) for each in self._live(epochs, lost)]
        if not any(repaired):
            raise Refused(
                "share-opens", f"holder {self._links.name(lost)}: its share of {wallet.name} opens"
            )
        try:
            return self._refresher.refresh(wallet, ())
        except Refused as refused:
            raise Refused(refused.rule, f"{_REPAIRED}: {refused}") from refused
        except NotReady as waits:
            raise NotReady(f"{_REPAIRED}: {waits}", waits.waiting_for) from waits

    def _live(self, epochs: Epochs, lost: int) -> list[Epochs]:
        """The wallet up to each epoch of which `lost` has to have a share, the older one first:
        both of two that live, so that it can adopt the newer one (step 6.7.1).

        Raises:
            NotReady: it has adopted that: once the older one has ended, its share is repaired.
        """
        newest = epochs.newest
        if newest is None or newest.retirement:
            return [epochs]
        if lost in newest.dones:
            raise not_retired(self._links, newest, newest.waiting_for)
        before = replace(epochs, successions=epochs.successions[:-1])
        return [before, epochs] if newest.is_adopted else [before]

    def _repaired_in(self, wallet: Registered, epochs: Epochs, lost: int) -> bool:
        """The share of holder `lost` in the newest of these epochs; False: it opens."""
        body = epochs.newest_body
        told = self._documents(wallet, body, lost)
        if lost not in told:
            done = self._repaired_by(wallet, epochs, lost, told)
        elif parse_envelope(told[lost].done).kind is REPAIR_DONE:
            done = told[lost].done  # an answer of it was lost: it has its share again
        else:
            return False
        self._registry.keep_repaired(wallet.wallet_id, body.hash, lost, done)
        self._refresher.tell_of_amendments(body, self._links.indices)
        return True

    def _repaired_by(
        self, wallet: Registered, epochs: Epochs, lost: int, told: Mapping[int, _Told]
    ) -> bytes:
        """The DONE of holder `lost`, with the help of t of those that have told something."""
        body = epochs.newest_body
        helpers = self._helpers(wallet, told, body.terms.sizes.t)
        dones = [
            b"" if index == lost else self._newest_done(epochs, told, index)
            for index in self._links.indices
        ]
        first = told[helpers[0]]
        offered = self._offered(wallet, epochs, lost, first.policy, first.clients)
        order = self._agreed(wallet, body, lost, helpers, dones, offered)
        try:
            done = self._repaired(order, body, dones)
        except ProtocolAbort:
            self._pass_over(order)
            raise
        self._plans.drop(order.signed(()))
        return done

    def _helpers(
        self, wallet: Registered, told: Mapping[int, _Told], wanted: int
    ) -> tuple[int, ...]:
        """The first ones, after a failure others: nobody's word is taken for who was to blame."""
        by_failures = sorted(told, key=lambda index: (self._failed[wallet.wallet_id, index], index))
        return tuple(sorted(by_failures[:wanted]))

    def _pass_over(self, order: RepairOrder) -> None:
        """That repair is dead: the next one has another order, and other helpers first."""
        self._plans.drop(order.signed(()))
        self._failed.update((order.wallet_id, helper) for helper in order.helpers)

    def _newest_done(self, epochs: Epochs, told: Mapping[int, _Told], index: int) -> bytes:
        if index in told:
            return told[index].done
        return epochs.newest_done(index, epochs.newest_body.epoch)

    def _documents(self, wallet: Registered, body: EpochBody, lost: int) -> Mapping[int, _Told]:
        """What each holder tells of the newest epoch, as far as it is true.

        Raises:
            QuorumUnreachable: fewer than t of the others do.
        """
        asked = [body.terms.wallet_id, body.hash]
        answers = {
            index: answer
            for index, answer in self._links.ask_each(HolderMethod.DOCUMENTS, asked).items()
            if not isinstance(answer, HsmMpcError) and len(answer) == 4
        }
        for *_, lineage in answers.values():
            self._rosters.learn(body.terms, lineage)
        certified = Certificate.from_bytes(wallet.certificate).extension.clients_hash
        claimed = {index: _Told(*answer[:3]) for index, answer in answers.items()}
        told = {
            index: each
            for index, each in claimed.items()
            if self._is_true(body, certified, index, each)
        }
        others = [index for index in self._links.indices if index != lost]
        there, wanted = [index for index in others if index in told], body.terms.sizes.t
        if len(there) < wanted:
            raise QuorumUnreachable(
                f"{len(there)} of {wanted} needed helpers answer",
                [self._links.name(index) for index in others if index not in told],
            )
        return told

    def _is_true(self, body: EpochBody, certified: bytes, index: int, told: _Told) -> bool:
        try:
            clients = ClientList.from_bytes(told.clients).hash
            done = done_in(told.done, index, body, self._rosters.newest(body.terms))
        except (BadInput, InvalidSignature):
            return False
        policy = hashlib.sha256(told.policy).digest()
        wanted = (body.terms.policy_hash, certified, body.hash)
        return (policy, clients, done.epoch_hash) == wanted

    def _offered(
        self, wallet: Registered, epochs: Epochs, lost: int, policy: bytes, clients: bytes
    ) -> _Offered:
        shown = tuple(_shown_to(lost, succession) for succession in epochs.successions)
        lineage = self._registry.lineage(wallet.wallet_id)
        chain = Chain(wallet.certificate, epochs.first_dones, shown, lineage).to_bytes()
        parts = self._links.ask(lost, HolderMethod.OFFER, [chain, policy, clients])
        if len(parts) != 4:
            raise BadEncoding(f"holder {self._links.name(lost)} offers {len(parts)} parts")
        reader = Reader(parts[0], "identity key")
        key = VerifyingKey.read(reader)
        reader.end()
        return _Offered(key, parts[1], parts[2], parts[3])

    def _agreed(
        self,
        wallet: Registered,
        body: EpochBody,
        lost: int,
        helpers: tuple[int, ...],
        dones: Sequence[bytes],
        offered: _Offered,
    ) -> RepairOrder:
        """An order that every helper has signed, and to which every operator has consented."""
        book = self._rosters.newest(body.terms)
        keys = [
            done_in(source, index, body, book).delivery_key if source else offered.delivery_key
            for index, source in enumerate(dones, 1)
        ]

        def wished(nonce: bytes, deadline: int) -> RepairOrder:
            return RepairOrder(
                wallet_id=wallet.wallet_id,
                epoch_hash=body.hash,
                lost=lost,
                known_key=book.roster.member(lost).key,
                identity_key=offered.identity_key,
                delivery_key=offered.delivery_key,
                kek_digest=offered.kek_digest,
                offer_signature=offered.signature,
                helpers=helpers,
                keys_digest=digest_of_keys(keys),
                deadline=deadline,
                nonce=nonce,
            )

        planned = self._plans.like(wallet.name, wished)
        order = planned or wished(os.urandom(32), self._clock() + PLAN_SECONDS)
        check_terms(order, body, book.roster, self._rosters.lineage(body.terms).identity_keys)
        self._require_consents(wallet, order)
        signed = self._links.ask_single(helpers, HolderMethod.COUNTERSIGN, [self._said(order)])
        return order.signed(tuple(map(_signature_in, signed.values())))

    def _require_consents(self, wallet: Registered, order: RepairOrder) -> None:
        concerned = sorted([*order.helpers, order.lost])
        try:
            answers = self._links.ask_single(concerned, HolderMethod.CONSIDER, [self._said(order)])
            require_consented(self._links, Plan.of(order), answers)
        except Refused:
            self._pass_over(order)
            raise
        except (NotReady, BackendError):
            self._plans.keep(wallet.name, order)
            raise

    def _repaired(self, order: RepairOrder, body: EpochBody, dones: Sequence[bytes]) -> bytes:
        """R1, R2, and what r says then: its DONE."""
        message = self._said(order)
        splits = self._links.ask_single(order.helpers, HolderMethod.SPLIT, [message, *dones])
        sums = self._links.ask_single(
            order.helpers, HolderMethod.COLLECT, [message, *splits.values()]
        )
        parts = [message, bundle(dones), *splits.values(), *sums.values()]
        answers = self._links.ask_parts([order.lost], HolderMethod.RECOVER, parts, 2)
        ack, done_message = answers[order.lost]
        keys = self._amended(order, body, ack)
        expected = expected_in_repair(REPAIR_DONE, order, (order.lost,))
        said = Inbox(keys).receive(done_message, expected, NO_CLOCK)
        done = Done.from_bytes(said.payload, body.terms.group)
        if (done.epoch_hash, done.delivery_key) != (order.epoch_hash, order.delivery_key):
            raise BadInput(f"holder {self._links.name(order.lost)} has repaired another share")
        return done_message

    def _amended(self, order: RepairOrder, body: EpochBody, ack: bytes) -> KeyBook:
        """The keys once the repaired holder has said ACK; its HSM may be another one.

        Raises:
            BadInput, InvalidSignature: it has not.
        """
        if order.amends:
            self._rosters.amend(body.terms, Repaired(order, ack).to_bytes())
        return self._rosters.newest(body.terms)

    def _said(self, order: RepairOrder) -> bytes:
        address = address_in_repair(order, self._number)
        payload = order.to_bytes()
        return seal_envelope(ORDER_REPAIR, address, payload, Key.COORDINATOR, self._sign).to_bytes()


def _shown_to(holder: int, succession: Succession) -> ShownSuccession:
    """What proves a succession, and what this holder has said in it."""

    def own(messages: Mapping[int, bytes]) -> tuple[bytes, ...]:
        return tuple(message for index, message in messages.items() if index == holder)

    return ShownSuccession(
        succession.certificate,
        own(succession.dones),
        succession.retirement,
        own(succession.destroyed),
    )


def _signature_in(encoded: bytes) -> OrderSignature:
    reader = Reader(encoded, "signature of an order")
    signature = OrderSignature.read(reader)
    reader.end()
    return signature
