"""All repairs of one holder: what coordinators ask of it, one at a time (section 6.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.consents import Consents, takes_part
from hsm_mpc.agent.holdings import newest_done
from hsm_mpc.agent.repair import complaining, helping, offering, receiving
from hsm_mpc.agent.repair.amending import amend, consider_rotation
from hsm_mpc.agent.repair.chain import known_wallet
from hsm_mpc.agent.repair.complaining import Shown
from hsm_mpc.agent.repair.orders import (
    order_in,
    require_consent,
    require_ordered,
    require_possible,
    require_signed,
)
from hsm_mpc.agent.repair.register import is_lost, is_undecided, require_registered
from hsm_mpc.agent.succession.desk import Successions
from hsm_mpc.agent.succession.live import opened_share
from hsm_mpc.agent.verdicts import Verdict
from hsm_mpc.agent.wallets import HeldWallets, body_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.errors import BackendError, HsmMpcError, Refused, Tampered
from hsm_mpc.ids import EpochHash, Scheme, WalletId
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.repairs import RepairDocument
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.tags import Tag
from hsm_mpc.wire.amended import rotate_in


class RepairDesk:
    """Safe to use from threads. Every method raises what its function in this package raises."""

    def __init__(
        self,
        holder: ActingHolder,
        wallets: HeldWallets,
        consents: Consents,
        successions: Successions,
        suites: Mapping[Scheme, Suite],
    ) -> None:
        self._holder = holder
        self._wallets = wallets
        self._consents = consents
        self._successions = successions
        self._suites = suites

    def settle(self) -> None:
        """At start: finish what a crash interrupted. What does not fit is said aloud, and stays.
        Of a wallet whose end is decided nothing is finished.

        Raises:
            BackendError: HSM or disk.
        """
        for wallet_id in self._holder.store.wallet_ids():
            try:
                if not self._holder.store.destruction(wallet_id).is_decided:
                    receiving.settle(self._holder, wallet_id)
            except BackendError:
                raise
            except HsmMpcError as damaged:
                self._holder.alarm(wallet_id, damaged)

    def documents(self, wallet_id: WalletId, h: EpochHash) -> tuple[bytes, bytes, bytes, bytes]:
        """Policy file and client list of the epoch `h`, if this holder signs in it and its own
        share of it opens; the own newest DONE of it, and the lineage of its roster. A repair that
        an error interrupted is finished before.

        Raises:
            Refused: `unknown-wallet`, `wallet-destroyed` or `other-epoch`.
        """
        with self._successions.alone():
            self._settle(wallet_id)
        with self._successions.signing(wallet_id, h) as held:
            epochs = self._holder.epochs(wallet_id)
            with opened_share(self._holder, held.body):  # else this holder is of no help
                pass
            policy = epochs.kept(h, EpochDocument.POLICY)
            clients = epochs.kept(h, EpochDocument.CLIENTS)
            done = epochs.kept(h, EpochDocument.DONE) or newest_done(self._holder, held.body)
            lineage = self._holder.lineage_of(held.body)
        if policy is None or clients is None or done is None:
            raise Tampered("the policy, the client list or the DONE of an epoch is missing")
        return policy, clients, done, lineage.to_bytes()

    def amend(self, wallet_id: WalletId, source: bytes) -> bytes:
        """AMENDMENT → the own AMENDED: the wallet's roster has another identity key of one holder.

        Raises:
            Refused: `other-roster`: another key has taken the place of that one; `consent`,
                `unknown-wallet`, or `wallet-destroyed`.
            ProtocolAbort: it does not hold. No holder is to blame.
        """
        with self._successions.alone():
            self._settle(wallet_id)
        with self._successions.newest(wallet_id) as newest:
            said = amend(self._holder, self._consents, newest.body, source)
            self._wallets.forget(wallet_id)
            return said

    def consider_rotation(self, source: bytes) -> bool:
        """ROTATE → whether this holder would take that key now; False: its operator is asked.

        Raises:
            Refused: `other-roster`, `other-epoch`, `deadline`, `declined`, `unknown-wallet`, or
                `wallet-destroyed`.
            ProtocolAbort: it does not hold. No holder is to blame.
            BadEncoding, InvalidSignature: it is no ROTATE of a coordinator that is known here.
        """
        rotate = rotate_in(source, self._holder.inbox(), self._holder.clock())
        with self._successions.newest(rotate.wallet_id):
            return consider_rotation(self._holder, self._consents, rotate)

    def offer(
        self, chain: bytes, policy_file: bytes, clients: bytes
    ) -> tuple[bytes, bytes, bytes, bytes]:
        """What is public of a wallet → the own identity key, V_r and kek_digest_r for a repair, and
        the own signature of these.

        Raises:
            Refused: `share-opens`: there is nothing to repair; `unknown-wallet`: this holder's HSM
                knows no such wallet; `other-epoch`: or another epoch of it; `wallet-destroyed`.
        """
        wallet = known_wallet(self._holder, chain, policy_file, clients)
        wallet_id = wallet.body.terms.wallet_id
        with self._successions.alone():
            self._settle(wallet_id)
            self._wallets.forget(wallet_id)
            wallet.keep(self._holder)
            known = self._holder.lineage_of(wallet.body)
            lineage = wallet.lineage_over(known)
            self._require_lost(wallet.body, lineage)
            if lineage.to_bytes() != known.to_bytes():
                self._holder.keep_lineage(wallet_id, lineage)
            made = offering.offer(self._holder.at(wallet.body), wallet)
            digest = offering.kek_digest_in(self._holder, wallet_id, made)
        key = self._holder.identity.key.to_bytes()
        return key, made.delivery_key, digest, made.signature

    def consider(self, source: bytes) -> bool:
        """ORDER-REPAIR, unsigned → whether this holder would take part now; False: its operator is
        asked.
        """
        with self._concerned(source) as (holder, order, body):
            return self._has_begun(order) or takes_part(
                lambda: require_consent(holder, self._consents, order, body)
            )

    def countersign(self, source: bytes, administrators: Sequence[bytes] = ()) -> bytes:
        """ORDER-REPAIR, unsigned → the own signature, as a helper.

        Args:
            administrators: signatures of those whom the policy names, if it names any.

        Raises:
            Refused: `no-helper`, `consent`, or `not-ordered`: too few administrators have signed.
        """
        with self._concerned(source) as (holder, order, body):
            if holder.me not in order.helpers:
                raise Refused("no-helper", "this holder is none of the helpers of that repair")
            require_ordered(holder, order, body, administrators)
            if not self._has_begun(order):
                require_consent(holder, self._consents, order, body)
            signature = holder.identity.sign(Tag.REPAIR_ORDER, order.terms)
            algorithm = holder.identity.key.algorithm
            return OrderSignature(holder.me, algorithm, signature).to_bytes()

    def split(self, source: bytes, dones: Sequence[bytes]) -> bytes:
        """ORDER-REPAIR, the DONEs that it is about → the own R1."""
        with self._ordered(source) as (holder, order, body):
            return helping.split(holder, self._suite(body), order, body, dones)

    def collect(self, source: bytes, splits: Sequence[bytes]) -> bytes:
        """ORDER-REPAIR, R1 of all helpers → the own R2."""
        with self._ordered(source) as (holder, order, body):
            return helping.collect(holder, self._suite(body), order, body, splits)

    def recover(
        self,
        source: bytes,
        dones: Sequence[bytes],
        splits: Sequence[bytes],
        sums: Sequence[bytes],
    ) -> tuple[bytes, bytes]:
        """ORDER-REPAIR, the DONEs, R1 and R2 of all helpers → the own ACK and DONE."""
        with self._ordered(source) as (holder, order, body):
            if holder.me != order.lost:
                raise Refused("not-lost", "that repair is of another holder's share")
            messages = (dones, splits, sums)
            try:
                return receiving.recover(holder, self._suite(body), order, body, messages)
            finally:  # also what fails may have put another key into the record
                self._wallets.forget(order.wallet_id)
                if body.epoch and not is_undecided(holder, body):
                    self._successions.forget(order.wallet_id, body.prev_hash)

    def complain(self, accused: int, shown: Shown) -> bytes:
        """ORDER-REPAIR, the DONEs, R1 and maybe R2 → the own COMPLAINT about one of the helpers."""
        with self._signed(shown.order) as (holder, order, body):
            suite = self._suite(body)
            return complaining.complain(holder, suite, order, body, accused, shown)

    def judge(self, source: bytes, shown: Shown) -> Verdict:
        """COMPLAINT, ORDER-REPAIR, the DONEs, R1 and maybe R2 → who lied."""
        with self._signed(shown.order) as (holder, order, body):
            return complaining.judge(holder, self._suite(body), order, body, source, shown)

    def judge_alone(self, accused: int, shown: Shown) -> Verdict:
        """ORDER-REPAIR, the DONEs, R1 and maybe R2 → the accused, if these are proof enough."""
        with self._signed(shown.order) as (holder, order, body):
            return complaining.judge_alone(holder, self._suite(body), order, body, accused, shown)

    @contextmanager
    def _signed(self, source: bytes) -> Iterator[tuple[ActingHolder, RepairOrder, EpochBody]]:
        """A repair that all its helpers have signed."""
        with self._concerned(source) as (holder, order, body):
            require_signed(holder, order, body)
            yield holder, order, body

    @contextmanager
    def _ordered(self, source: bytes) -> Iterator[tuple[ActingHolder, RepairOrder, EpochBody]]:
        """A repair that is signed and consented to; the consent has served once it goes on."""
        with (
            self._concerned(source) as (holder, order, body),
            self._consents.serving(Plan.of(order)),
        ):
            if not self._has_begun(order):
                require_consent(holder, self._consents, order, body)
            if not receiving.is_done(holder, order):
                require_signed(holder, order, body)
            yield holder, order, body

    @contextmanager
    def _concerned(self, source: bytes) -> Iterator[tuple[ActingHolder, RepairOrder, EpochBody]]:
        """An order that this holder has a part in, and the body of its epoch; the holder is
        counted among those of that epoch.
        """
        order = order_in(self._holder, source)
        holder = self._seated(order)
        if holder.me == order.lost:
            with self._successions.alone():
                body = self._lost_body(order)
                if not receiving.is_done(holder, order):  # whose key is in force since
                    require_possible(holder, order, body)
                yield holder, order, body
        else:
            with self._successions.signing(order.wallet_id, order.epoch_hash) as held:
                require_possible(holder, order, held.body)
                yield holder, order, held.body

    def _seated(self, order: RepairOrder) -> ActingHolder:
        """As far as this holder knows of the epoch."""
        encoded = self._holder.epochs(order.wallet_id).kept(order.epoch_hash, EpochDocument.BODY)
        if encoded is None:
            return self._holder
        return self._holder.at(body_of(order.epoch_hash, encoded))

    def _settle(self, wallet_id: WalletId) -> None:
        """Nothing is left of a repair that was interrupted, unless the wallet is at its end."""
        self._wallets.require_not_destroyed(wallet_id)
        receiving.settle(self._holder, wallet_id)

    def _require_lost(self, body: EpochBody, lineage: Lineage) -> None:
        """The HSM knows this epoch as the one that lives, or may come to, and it is lost here."""
        require_registered(self._holder, body, lineage)
        if not is_lost(self._holder, body):
            raise Refused(
                "share-opens", "the share of this holder opens: there is nothing to repair"
            )

    def _lost_body(self, order: RepairOrder) -> EpochBody:
        """Of the epoch whose share is to be repaired here: it was told of before."""
        encoded = self._holder.epochs(order.wallet_id).kept(order.epoch_hash, EpochDocument.BODY)
        if encoded is None:
            raise Refused("other-order", "this holder has prepared no repair of that wallet")
        body = body_of(order.epoch_hash, encoded)
        self._wallets.require_not_destroyed(order.wallet_id)
        require_registered(self._holder, body, self._holder.lineage_of(body))
        return body

    def _has_begun(self, order: RepairOrder) -> bool:
        """Whether this holder has answered in this very repair: its consent has served."""
        repairs = self._holder.store.repairs(order.wallet_id)
        split = repairs.kept(order.session_id, RepairDocument.SPLIT)
        return split is not None or receiving.is_done(self._holder, order)

    def _suite(self, body: EpochBody) -> Suite:
        return self._suites[body.terms.scheme]
