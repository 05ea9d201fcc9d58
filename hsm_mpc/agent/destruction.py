"""DESTROY → DESTROYED: every wrapping key of a wallet goes from this HSM, for ever (section 6.10).

Order: what is to go is durable → the keys → what they opened → the register → DESTROYED. Each step
may be done again: what a crash interrupts is finished at the next start.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.ceremonies import Ceremonies
from hsm_mpc.agent.consents import takes_part
from hsm_mpc.agent.kek_digest import kek_digest_of
from hsm_mpc.agent.opener import key_id_in
from hsm_mpc.agent.succession.desk import ForgetEpoch, Successions
from hsm_mpc.agent.succession.live import require_closed
from hsm_mpc.agent.wallets import HeldEpoch, body_of
from hsm_mpc.certificates.destruction import Destroy, DestroyedKey, WalletDestroyed
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.errors import (
    BadConfig,
    BadInput,
    InvalidSignature,
    Refused,
    Tampered,
)
from hsm_mpc.hsm import keys
from hsm_mpc.ids import WalletId
from hsm_mpc.store.destruction import DestructionDocument
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import NOT_SEALED, EpochRecord
from hsm_mpc.tags import Tag
from hsm_mpc.wire.about_wallets import address_about
from hsm_mpc.wire.destroyed import destroy_in
from hsm_mpc.wire.envelope import bundle, unbundled
from hsm_mpc.wire.rounds import WALLET_DESTROYED
from hsm_mpc.wrapping.token_keys import found_key

_DIGEST_BYTES: Final = 32


class Destructions:
    """The ends of this holder's wallets. Safe to use from threads."""

    def __init__(
        self,
        holder: ActingHolder,
        ceremonies: Ceremonies,
        successions: Successions,
        forget_epoch: ForgetEpoch,
    ) -> None:
        self._holder = holder
        self._consents = ceremonies.consents
        self._ceremonies = ceremonies
        self._successions = successions
        self._forget_epoch = forget_epoch

    def recover(self) -> None:
        """At start, before anything else looks at wallets: finish what a crash interrupted. What
        does not fit is said aloud, and nothing is destroyed for it.

        Raises:
            BackendError: HSM or disk; the holder does not start.
        """
        for wallet_id in self._holder.store.wallet_ids():
            destruction = self._holder.store.destruction(wallet_id)
            try:
                if destruction.is_decided and not destruction.kept(DestructionDocument.DESTROYED):
                    self._finish(wallet_id)
            except (BadInput, Tampered) as damaged:
                self._holder.alarm(wallet_id, damaged)

    def consider(self, source: bytes) -> bool:
        """DESTROY → whether this holder would obey now; False: its operator is asked.

        Raises: as `destroy`.
        """
        order = self._received(source)
        if self._holder.store.destruction(order.wallet_id).is_decided:
            return True
        with self._successions.newest(order.wallet_id) as newest:
            return takes_part(lambda: self._check(order, newest))

    def destroy(self, source: bytes) -> bytes:
        """DESTROY → the own DESTROYED message; whatever asks again, the same bytes.

        Raises:
            Refused: `unknown-wallet`, `other-epoch`, `deadline` or `consent`.
            NotReady: the wallet is not certified: `share discard` removes it.
            Tampered: a key is in another token: nothing is destroyed; or a share still opens.
            BackendError: HSM or disk; to be called again.
            BadEncoding, InvalidSignature: it is no DESTROY of a coordinator that is known here.
        """
        order = self._received(source)
        wallet_id = order.wallet_id
        destruction = self._holder.store.destruction(wallet_id)
        with self._ceremonies.alone_with(wallet_id):
            if not destruction.is_decided:
                with (
                    self._successions.newest(wallet_id) as newest,
                    self._consents.serving(Plan.of(order)),
                ):
                    self._check(order, newest)
                    self._decide(order, newest)
            said = destruction.kept(DestructionDocument.DESTROYED)
            return self._finish(wallet_id) if said is None else said

    def _received(self, source: bytes) -> Destroy:
        return destroy_in(source, self._holder.inbox(), self._holder.clock())

    def _check(self, order: Destroy, newest: HeldEpoch) -> None:
        """A holder of a lab-marked roster consents by itself (step 1.6.7)."""
        holder = self._holder
        if newest.body.hash != order.epoch_hash:
            raise Refused("other-epoch", "the newest epoch of that wallet here is another one")
        if order.deadline < holder.clock():
            raise Refused("deadline", "the time of that plan is over")
        for record in holder.epochs(order.wallet_id).records():
            for uri in record.kek_uris:
                key_id_in(holder.token, uri)
        if holder.asks_operator or not holder.roster.lab:
            self._consents.require(Plan.of(order), newest.body.to_bytes())

    def _decide(self, order: Destroy, newest: HeldEpoch) -> None:
        """From now on the wallet is not used any more. What is kept is signed: no file that
        somebody else puts there destroys anything.
        """
        holder, wallet_id = self._holder, order.wallet_id
        named = {"wallet_id": wallet_id.hex(), "name": newest.body.terms.name}
        holder.audit("wallet-destroying", {**named, "reason": order.reason})
        digests = b"".join(self._kek_digests(wallet_id))
        signature = holder.identity.sign(Tag.DESTROY, _decision(order, digests))
        decided = bundle([order.to_bytes(), digests, signature])
        holder.store.destruction(wallet_id).keep(DestructionDocument.DESTROY, decided)

    def _kek_digests(self, wallet_id: WalletId) -> Iterator[bytes]:
        """Of all keys of the wallet in the token, whatever records or attributes say."""
        token, label = self._holder.token, keys.wrapping_label(wallet_id)
        for key_id in keys.wrapping_key_ids(token, label):
            with suppress(BadConfig):  # two of one name: both go, and none is the one
                key = keys.find_wrapping_key(token, key_id, label)
                if key is not None:
                    yield kek_digest_of(token, found_key(token, key))

    def _finish(self, wallet_id: WalletId) -> bytes:
        """Destroy what was condemned; the own DESTROYED message."""
        holder, epochs = self._holder, self._holder.epochs(wallet_id)
        order, kek_digests = self._decided(wallet_id)
        records = epochs.records()
        for record in records:
            self._forget_epoch(wallet_id, record.epoch_hash)
        keys.destroy_labelled(holder.token, keys.wrapping_label(wallet_id), ())
        for record in records:
            self._require_closed(epochs, record)
        epochs.forget_shares()
        attempts = holder.attempts(wallet_id)
        for attempt in attempts.all():
            attempts.forget(attempt)
        holder.registers.destroy(wallet_id)
        return self._said(order, kek_digests)

    def _decided(self, wallet_id: WalletId) -> tuple[Destroy, tuple[bytes, ...]]:
        """What this holder has decided, and the digests of the keys that were there then.

        Raises:
            Tampered: it was decided by somebody else, about another wallet, or is damaged.
        """
        kept = self._holder.store.destruction(wallet_id).kept(DestructionDocument.DESTROY)
        try:
            encoded, joined, signature = unbundled(kept or b"")
            order = Destroy.from_bytes(encoded)
            signed = _decision(order, joined)
            self._holder.identity.verify(Tag.DESTROY, signed, signature)
        except (ValueError, InvalidSignature) as broken:
            raise Tampered(f"the end of wallet {wallet_id.hex()}: {broken}") from broken
        if order.wallet_id != wallet_id:
            raise Tampered(f"the end of wallet {wallet_id.hex()} is another wallet's")
        digests = range(0, len(joined), _DIGEST_BYTES)
        return order, tuple(joined[at : at + _DIGEST_BYTES] for at in digests)

    def _require_closed(self, epochs: Epochs, record: EpochRecord) -> None:
        """The blob of an epoch does not open any more."""
        h = record.epoch_hash
        if record.blob_digest == NOT_SEALED:
            return
        body = body_of(h, epochs.kept(h, EpochDocument.BODY) or b"")
        require_closed(self._holder, body)

    def _said(self, order: Destroy, kek_digests: tuple[bytes, ...]) -> bytes:
        holder, at = self._holder, self._holder.clock()
        keys = tuple(DestroyedKey(digest, at) for digest in kek_digests)
        destroyed = WalletDestroyed(order.digest, keys)
        holder.audit(
            "wallet-destroyed",
            {
                "wallet_id": order.wallet_id.hex(),
                "kek_digests": [digest.hex() for digest in kek_digests],
                "at": at,
            },
        )
        encoded = holder.epochs(order.wallet_id).kept(order.epoch_hash, EpochDocument.BODY)
        seat = holder.at(body_of(order.epoch_hash, encoded or b""))
        address = address_about(order.wallet_id, order.epoch_hash, seat.me)
        message = holder.signed_by_identity(WALLET_DESTROYED, address, destroyed.to_bytes())
        holder.store.destruction(order.wallet_id).keep(DestructionDocument.DESTROYED, message)
        return message


def _decision(order: Destroy, kek_digests: bytes) -> bytes:
    """What is signed of a decision."""
    return order.digest + kek_digests
