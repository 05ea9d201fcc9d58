"""ORDER at the relay: a successor replaces an epoch although a confirmation is missing (6.5.9).

Whom it counts shows that its share opens; who has to sign it signs it; then it is a RETIRE like
any other, and is shown to whoever comes back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.coordinator.consents import PLAN_SECONDS, WaitingPlans, require_consented
from hsm_mpc.coordinator.documents import PARTS, is_of_epoch
from hsm_mpc.coordinator.keygen import CoSign
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.successions import Epochs, Succession
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    HsmMpcError,
    NotReady,
    QuorumUnreachable,
    Refused,
)
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.order_addresses import CarriedOrder, address_of
from hsm_mpc.succession.order_plan import OrderPlan
from hsm_mpc.succession.order_signatures import signature_in
from hsm_mpc.succession.ordering import administrators_in, replaced_in
from hsm_mpc.succession.propose import attempt_in
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import seal_envelope
from hsm_mpc.wire.rounds import ORDER, Key

_DECLINED: Final = "declined"


@dataclass(frozen=True, slots=True)
class WishedOrder:
    """What somebody wants administrators to order."""

    successor: EpochHash
    suspects: tuple[int, ...]
    reason: str
    margin_accepted: bool


@dataclass(frozen=True, slots=True)
class _Undecided:
    """A successor that waits for somebody."""

    newest: Succession
    replaced: EpochBody
    lost: frozenset[int]
    """Who has another HSM since the epoch that goes: none of them is counted."""


class Orderer:
    """Carries orders; used by several threads. Whatever it is asked twice, it does once."""

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

    def plan(self, wallet: Registered, wished: WishedOrder) -> OrderPlan:
        """What is to be signed: the same as long as the same is wished for, and all that it counts
        show that their shares open.

        Raises:
            BadInput: another epoch than that waits, or no such reason.
            Refused: `no-order`: nothing waits; `no-margin`: the key would survive no further loss,
                and that was not accepted.
            NotReady: a holder that is no suspect does not answer, or does not open its share.
            QuorumUnreachable: fewer than t holders count.
        """
        with self._refresher.alone_with(wallet.wallet_id):
            epochs = self._refresher.advance(wallet)
            return self._seated(epochs)._plan(wallet, epochs, wished)

    def _plan(self, wallet: Registered, epochs: Epochs, wished: WishedOrder) -> OrderPlan:
        with self._refresher.alone_with(wallet.wallet_id):
            undecided = self._undecided(epochs, wished.successor)
            counted, policy_file = self._counted(undecided, wished.suspects)
            self._require_margin(undecided, counted, wished)
            order = self._same(wallet, undecided, counted, wished)
            if order is None:
                order = self._new(undecided, counted, wished)
            plan = self._proven(undecided, order, policy_file)
            self._plans.keep(wallet.name, order)
            return plan

    def order(self, wallet: Registered, order: Order, signatures: Sequence[bytes]) -> Epochs:
        """Have everybody that answers obey an order, once it is signed.

        Args:
            signatures: of administrators; where the policy names none, the holders that are counted
                are asked for theirs.

        Raises:
            Refused: `other-order`: it is not about what waits; `declined`: an operator wants no
                part in it; or as `plan`.
            NotReady: the operators of some holders have not consented yet; or as `plan`.
            InvalidSignature: not enough administrators have signed it.
            BadInput, BackendError: as `plan`; what the holders say.
        """
        with self._refresher.alone_with(wallet.wallet_id):
            epochs = self._refresher.epochs(wallet)
            return self._seated(epochs)._order(wallet, epochs, order, signatures)

    def _order(
        self, wallet: Registered, epochs: Epochs, order: Order, signatures: Sequence[bytes]
    ) -> Epochs:
        with self._refresher.alone_with(wallet.wallet_id):
            undecided = self._undecided(epochs, order.successor)
            counted, policy_file = self._counted(undecided, order.suspects)
            newest, replaced = undecided.newest, undecided.replaced
            same = (order.epoch_hash, order.attempt) == (replaced.hash, attempt_in(newest.propose))
            if not same or not set(order.counted) <= set(counted):
                raise Refused("other-order", "that order is not about what waits now: plan it anew")
            signed = order.signed([signature_in(each) for each in signatures])
            dones = tuple(newest.votes[index] for index in order.counted)
            if administrators_in(policy_file, replaced) is None:
                signed = order.signed(self._countersigned(CarriedOrder(order, dones)))
            retirement = Retirement(dones, newest.arrivals, signed.to_bytes(), policy_file)
            keys = self._rosters.voters(replaced, newest.certified)
            retirement.check(replaced, keys, newest.certified, undecided.lost)
            self._rosters.keep(replaced, replace(newest, retirement=retirement.to_bytes()))
            self._plans.drop(order)
            return self._refresher.advance(wallet)

    def _seated(self, epochs: Epochs) -> Orderer:
        """The same, whose links are to the holders of the epoch that goes."""
        seated, newest = copy(self), epochs.newest
        if newest is not None:
            seated._links = self._refresher.links_of(epochs.body(newest.epoch - 1))
        return seated

    def _undecided(self, epochs: Epochs, successor: EpochHash) -> _Undecided:
        newest = epochs.newest
        if newest is None or newest.retirement:
            raise Refused("no-order", "no epoch of that wallet waits for a confirmation")
        h = newest.body.hash
        if h != successor:
            raise BadInput(f"the epoch that waits for confirmations is {h.hex()}")
        replaced = epochs.body(newest.epoch - 1)
        lineage = self._rosters.lineage(replaced.terms)
        return _Undecided(newest, replaced, replaced_in(lineage, replaced.hash))

    def _counted(
        self, undecided: _Undecided, suspects: Collection[int]
    ) -> tuple[tuple[int, ...], bytes]:
        """Whom an order may count: each has just opened its share; and the certified policy. Of a
        resharing all new holders have said that they have theirs, and the old ones open the old.

        *[as built]* DOCUMENTS stands in the place of QUERY and STATEMENT (M11, M12).
        """
        newest = undecided.newest
        body = newest.body if newest.certified.shared_anew is None else undecided.replaced
        trusted = [index for index in self._links.indices if index not in suspects]
        asked = [newest.wallet_id, body.hash]
        answers = self._links.ask_each(HolderMethod.DOCUMENTS, asked, among=trusted)
        policies = self._opened(body, answers)
        voters = [i for i in trusted if i in newest.votes and i not in undecided.lost]
        silent = [i for i in trusted if isinstance(answers[i], BackendError)]
        missing = sorted({*silent, *(i for i in voters if i not in policies)})
        if missing:
            names = [self._links.name(index) for index in missing]
            raise NotReady(
                f"{', '.join(names)}: no answer, or its share does not open now; administrators "
                "order nothing before it is named a suspect",
                names,
            )
        wanted = undecided.replaced.terms.sizes.t
        if len(voters) < wanted:
            raise QuorumUnreachable(
                f"{len(voters)} holders count for an order, {wanted} are wanted: who has adopted "
                "the new epoch, is no suspect, and has no other HSM since",
                [self._links.name(i) for i in self._links.indices if i not in voters],
            )
        return tuple(voters), policies[voters[0]]

    def _opened(
        self, body: EpochBody, answers: Mapping[int, tuple[bytes, ...] | HsmMpcError]
    ) -> dict[int, bytes]:
        """The policy file, from each that has opened its share of this epoch for its answer."""
        opened = {}
        for index, answer in answers.items():
            if isinstance(answer, HsmMpcError) or len(answer) != PARTS:
                continue
            policy_file, _, done, _ = answer
            if is_of_epoch(self._rosters, body, index, policy_file, done):
                opened[index] = policy_file
        return opened

    def _require_margin(
        self, undecided: _Undecided, counted: Sequence[int], wished: WishedOrder
    ) -> None:
        threshold = undecided.replaced.terms.sizes.t
        if len(counted) == threshold and not wished.margin_accepted:
            names = ", ".join(self._links.name(index) for index in counted)
            raise Refused(
                "no-margin",
                f"{names} count, {threshold} sign: the key would survive 0 further losses of an "
                "HSM; say --accept-no-margin to order it all the same",
            )

    def _proven(self, undecided: _Undecided, order: Order, policy_file: bytes) -> OrderPlan:
        """With all that it rests on."""
        newest, replaced = undecided.newest, undecided.replaced
        roster_hash = replaced.terms.roster_hash
        return OrderPlan(
            order,
            replaced,
            self._rosters.keys_of(replaced).roster,
            policy_file,
            newest.certificate,
            self._rosters.lineage(replaced.terms).to_carry(roster_hash),
            tuple(newest.votes[index] for index in order.counted),
        )

    def _same(
        self,
        wallet: Registered,
        undecided: _Undecided,
        counted: Collection[int],
        wished: WishedOrder,
    ) -> Order | None:
        """What people are signing or consenting to already, while all that it counts still do."""
        for asked in self._plans.of(wallet.name):
            if not isinstance(asked, Order) or not set(asked.counted) <= set(counted):
                continue
            like = self._new(undecided, asked.counted, wished)
            if asked == replace(like, deadline=asked.deadline, nonce=asked.nonce):
                return asked
        return None

    def _new(self, undecided: _Undecided, counted: Sequence[int], wished: WishedOrder) -> Order:
        return Order(
            wallet_id=undecided.newest.wallet_id,
            epoch_hash=undecided.replaced.hash,
            attempt=attempt_in(undecided.newest.propose),
            successor=wished.successor,
            counted=tuple(counted),
            suspects=wished.suspects,
            reason=wished.reason,
            margin_accepted=wished.margin_accepted,
            deadline=self._clock() + PLAN_SECONDS,
            nonce=os.urandom(32),
        )

    def _countersigned(self, carried: CarriedOrder) -> list[OrderSignature]:
        """By every holder that it counts, each with its operator's consent."""
        order = carried.order
        address = address_of(order, self._number)
        said = seal_envelope(ORDER, address, carried.to_bytes(), Key.COORDINATOR, self._sign)
        message = [said.to_bytes()]
        try:
            answers = self._links.ask_single(order.counted, HolderMethod.CONSIDER, message)
        except Refused as refused:
            if refused.rule == _DECLINED:
                self._plans.drop(order)
            raise
        require_consented(self._links, Plan.of(order), answers)
        signed = self._links.ask_single(order.counted, HolderMethod.COUNTERSIGN, message)
        return [signature_in(each) for each in signed.values()]
