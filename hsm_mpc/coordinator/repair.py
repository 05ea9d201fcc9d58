"""Repair at the relay: it carries signed messages, and sees no secret (section 6.7)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.coordinator.complaints import Exchanged, complaints_judged
from hsm_mpc.coordinator.completion import not_retired
from hsm_mpc.coordinator.consents import PLAN_SECONDS, WaitingPlans, require_consented
from hsm_mpc.coordinator.documents import Told, any_of, told_of
from hsm_mpc.coordinator.evidence import EvidenceFolder
from hsm_mpc.coordinator.keygen import CoSign
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.successions import Epochs, Succession
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    InvalidSignature,
    NotReady,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
)
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import WalletId
from hsm_mpc.policy.rules import Administrators
from hsm_mpc.succession.amendment import Repaired
from hsm_mpc.succession.dones import done_in
from hsm_mpc.succession.order_plan import RepairPlan
from hsm_mpc.succession.order_signatures import signature_in
from hsm_mpc.succession.ordering import administrators_in
from hsm_mpc.succession.repairing import (
    address_in_repair,
    check_administrators,
    check_repaired,
    check_terms,
    digest_of_keys,
)
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle, parse_envelope, seal_envelope
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
        evidence: EvidenceFolder,
    ) -> None:
        self._links = links
        self._registry = registry
        self._refresher = refresher
        self._number = number
        self._sign = sign
        self._clock = clock
        self._evidence = evidence
        self._rosters = Rosters(KeyBook(links.roster, {}), registry)
        self._plans = WaitingPlans(registry, clock)
        self._failed = Counter[tuple[WalletId, int]]()
        """How often a holder was among helpers of whom one lied or declined."""

    def plan(self, wallet: Registered, lost: str) -> RepairPlan:
        """What administrators sign, where the policy names any: the repair that comes next, the
        same as long as the same holders help and nothing has changed.

        Raises:
            NotReady: the epoch before is not retired yet.
            QuorumUnreachable: fewer than t other holders answer.
            Refused, BackendError: what the holders say.
        """
        with self._refresher.alone_with(wallet.wallet_id):
            epochs = self._refresher.advance(wallet)
            return self._seated(epochs)._plan(wallet, epochs, lost)

    def repair(self, wallet: Registered, lost: str, signatures: Sequence[bytes]) -> Epochs:
        """The share of the holder called `lost` again, then a refresh (steps 6.7.2 to 6.7.7).

        Args:
            signatures: of administrators, where the policy names any, ascending.

        Raises:
            NotReady: the epoch before is not retired yet; operators have not consented yet: it
                names their holders; or administrators have not signed the repair that comes next.
            QuorumUnreachable: fewer than t other holders answer; or the share is repaired, it says
                so, and another holder that the refresh wants does not answer.
            Refused, ProtocolAbort, BackendError: what the holders say.
            BadInput: what is given is no signature.
        """
        given = [signature_in(each) for each in signatures]
        with self._refresher.alone_with(wallet.wallet_id):
            epochs = self._refresher.advance(wallet)
            return self._seated(epochs)._repair(wallet, epochs, lost, given)

    def _seated(self, epochs: Epochs) -> Repairer:
        """The same, whose links are to the holders of the newest epoch."""
        seated = copy(self)
        seated._links = self._refresher.links_of(epochs.held.newest_body)
        return seated

    def _plan(self, wallet: Registered, epochs: Epochs, name: str) -> RepairPlan:
        lost = self._links.roster.index_of(name)
        self._refresher.tell_of_amendments(epochs.held.newest_body, self._links.indices)
        for each in self._live(epochs, lost):
            body = each.newest_body
            told = self._told(wallet, body, lost)
            if lost not in told:
                order, _ = self._wanted(wallet, each, lost, told)
                self._plans.keep(wallet.name, order)
                roster, policy_file = self._rosters.keys_of(body).roster, any_of(told).policy
                return RepairPlan(order, body, roster, policy_file)
        raise self._share_opens(wallet, lost)

    def _repair(
        self, wallet: Registered, epochs: Epochs, name: str, signatures: Sequence[OrderSignature]
    ) -> Epochs:
        lost = self._links.roster.index_of(name)
        self._refresher.tell_of_amendments(epochs.held.newest_body, self._links.indices)
        repaired = [
            self._repaired_in(wallet, each, lost, signatures) for each in self._live(epochs, lost)
        ]
        if not any(repaired):
            raise self._share_opens(wallet, lost)
        try:
            return self._refresher.refresh(wallet, ())
        except Refused as refused:
            raise Refused(refused.rule, f"{_REPAIRED}: {refused}") from refused
        except (NotReady, QuorumUnreachable) as waits:
            raise type(waits)(f"{_REPAIRED}: {waits}", waits.waiting_for) from waits

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

    def _share_opens(self, wallet: Registered, lost: int) -> Refused:
        return Refused(
            "share-opens", f"holder {self._links.name(lost)}: its share of {wallet.name} opens"
        )

    def _repaired_in(
        self, wallet: Registered, epochs: Epochs, lost: int, signatures: Sequence[OrderSignature]
    ) -> bool:
        """The share of holder `lost` in the newest of these epochs; False: it opens."""
        body = epochs.newest_body
        told = self._told(wallet, body, lost)
        if lost not in told:
            done = self._repaired_by(wallet, epochs, lost, told, signatures)
        elif parse_envelope(told[lost].done).kind is REPAIR_DONE:
            done = told[lost].done  # an answer of it was lost: it has its share again
        else:
            return False
        self._registry.keep_repaired(wallet.wallet_id, body.hash, lost, done)
        self._refresher.tell_of_amendments(body, self._links.indices)
        return True

    def _repaired_by(
        self,
        wallet: Registered,
        epochs: Epochs,
        lost: int,
        told: Mapping[int, Told],
        signatures: Sequence[OrderSignature],
    ) -> bytes:
        """The DONE of holder `lost`, with the help of t of those that have told something."""
        body = epochs.newest_body
        order, dones = self._wanted(wallet, epochs, lost, told)
        self._require_consents(wallet, order)
        self._require_ordered(order, administrators_in(any_of(told).policy, body), signatures)
        message = [self._said(order), *(each.to_bytes() for each in signatures)]
        signed = self._links.ask_single(order.helpers, HolderMethod.COUNTERSIGN, message)
        order = order.signed([signature_in(each) for each in signed.values()])
        try:
            done = self._repaired(order, body, dones)
        except ProtocolAbort:
            self._pass_over(order)
            raise
        self._plans.drop(order.signed(()))
        return done

    def _helpers(
        self, wallet: Registered, told: Mapping[int, Told], wanted: int
    ) -> tuple[int, ...]:
        """The first ones, after a failure others: nobody's word is taken for who was to blame."""
        by_failures = sorted(told, key=lambda index: (self._failed[wallet.wallet_id, index], index))
        return tuple(sorted(by_failures[:wanted]))

    def _pass_over(self, order: RepairOrder) -> None:
        """That repair is dead: the next one has another order, and other helpers first."""
        self._plans.drop(order.signed(()))
        self._failed.update((order.wallet_id, helper) for helper in order.helpers)

    def _newest_done(self, epochs: Epochs, told: Mapping[int, Told], index: int) -> bytes:
        if index in told:
            return told[index].done
        return epochs.newest_done(index, epochs.newest_body.epoch)

    def _told(self, wallet: Registered, body: EpochBody, lost: int) -> Mapping[int, Told]:
        """What each holder tells of this epoch, as far as it is true.

        Raises:
            QuorumUnreachable: fewer than t of the others do.
        """
        certified = Certificate.from_bytes(wallet.certificate).extension.clients_hash
        told = told_of(self._links, self._rosters, body, certified)
        others = [index for index in self._links.indices if index != lost]
        there, wanted = [index for index in others if index in told], body.terms.sizes.t
        if len(there) < wanted:
            raise QuorumUnreachable(
                f"{len(there)} of {wanted} needed helpers answer",
                [self._links.name(index) for index in others if index not in told],
            )
        return told

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

    def _wanted(
        self, wallet: Registered, epochs: Epochs, lost: int, told: Mapping[int, Told]
    ) -> tuple[RepairOrder, list[bytes]]:
        """The repair that comes next, unsigned: the one that people are asked about already, if it
        is the same; and the DONEs that it is about.
        """
        body, first = epochs.newest_body, any_of(told)
        helpers = self._helpers(wallet, told, body.terms.sizes.t)
        dones = [
            b"" if index == lost else self._newest_done(epochs, told, index)
            for index in self._links.indices
        ]
        offered = self._offered(wallet, epochs, lost, first.policy, first.clients)
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
        return order, dones

    def _require_ordered(
        self,
        order: RepairOrder,
        administrators: Administrators | None,
        signatures: Sequence[OrderSignature],
    ) -> None:
        """Those whom the policy names have signed; helpers look at it themselves."""
        if administrators is None:
            return
        try:
            check_administrators(order, administrators, signatures)
        except InvalidSignature as unsigned:
            raise NotReady(
                f"{administrators.threshold} of {len(administrators.keys)} administrators sign "
                f"the repair of {self._links.name(order.lost)}'s share first: --plan FILE writes "
                "what `hsm-mpc admin sign FILE` signs, and --signature FILE takes what that wrote"
            ) from unsigned

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
        before = (message, *filter(None, dones), *splits.values())
        deltas = bundle([*splits.values()])
        t, helpers = body.terms.sizes.t, order.helpers
        exchanged = Exchanged((message, bundle(dones), deltas, b""), before, t, helpers)
        with complaints_judged(self._links, self._evidence, exchanged):
            sums = self._links.ask_single(
                order.helpers, HolderMethod.COLLECT, [message, *splits.values()]
            )
        added = bundle([*sums.values()])
        after = (*before, *sums.values())
        exchanged = Exchanged((message, bundle(dones), deltas, added), after, t, helpers)
        parts = [message, bundle(dones), *splits.values(), *sums.values()]
        with complaints_judged(self._links, self._evidence, exchanged):
            answers = self._links.ask_parts([order.lost], HolderMethod.RECOVER, parts, 2)
        ack, done_message = answers[order.lost]
        check_repaired(done_message, order, body, self._amended(order, body, ack))
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
