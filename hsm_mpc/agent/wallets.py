"""The wallets that this holder has a share of, as its store says, and the names in use."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.errors import BadConfig, BadInput, NotReady, Refused, Tampered
from hsm_mpc.hsm.register import Register
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.policy.rules import Policy
from hsm_mpc.protocols.wallet_keys import wallet_key_of
from hsm_mpc.sealing.context import Context
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import EpochRecord, EpochState


@dataclass(frozen=True, slots=True)
class HeldEpoch:
    """One epoch of a wallet in this holder's store. All of it is public."""

    body: EpochBody
    record: EpochRecord

    @property
    def wallet_id(self) -> WalletId:
        return self.body.terms.wallet_id


class SigningWallet:
    """An active epoch with all that a signature needs, derived once."""

    def __init__(self, holder: ActingHolder, held: HeldEpoch) -> None:
        """Raises: Tampered: the store does not hold what epoch's body and register name."""
        body, epochs, h = held.body, holder.epochs(held.wallet_id), held.body.hash
        check_register(holder, body)
        self.body = body
        self.wallet_id = held.wallet_id
        self.epoch_hash = h
        self.scheme = body.terms.scheme
        self.policy = _policy(holder, body, epochs.kept(h, EpochDocument.POLICY))
        self.clients = _clients(held, epochs.kept(h, EpochDocument.CLIENTS))
        self.seat = holder.at(body)
        """This holder among those of this epoch."""
        self.me = self.seat.me
        self.holders = body.terms.sizes.n
        self.key = wallet_key_of(body, first_epoch(epochs, body))
        self.keys = holder.keys_in_force(body)
        """Of the other signers."""
        self.share = OpenableShare.load(holder.token, epochs, context_of(holder, body))


class HeldWallets:
    """All wallets of a store; safe to use from threads."""

    def __init__(self, holder: ActingHolder) -> None:
        self._holder = holder
        self._lock = threading.Lock()
        self._signing: dict[tuple[WalletId, EpochHash], SigningWallet] = {}
        self._names: dict[WalletId, str] = {}

    def all(self) -> tuple[HeldEpoch, ...]:
        """Every epoch that has a record.

        Raises:
            Tampered: a record without the body that belongs to it, or a damaged one.
        """
        return tuple(self._held())

    def of(self, wallet_id: WalletId) -> tuple[HeldEpoch, ...]:
        """Every epoch of one wallet that has a record. Raises: Tampered, as `all`."""
        return tuple(self._held(wallet_id))

    def find(self, wallet_id: WalletId, epoch_hash: EpochHash) -> HeldEpoch:
        """One epoch.

        Raises:
            Refused: `unknown-wallet`, or `wallet-destroyed`.
        """
        self.require_not_destroyed(wallet_id)
        for held in self._held(wallet_id):
            if held.body.hash == epoch_hash:
                return held
        raise Refused("unknown-wallet", "this holder has no such epoch of such a wallet")

    def require_not_destroyed(self, wallet_id: WalletId) -> None:
        """Nothing of a wallet is used once its end is decided (step 6.10.2).

        Raises:
            Refused: `wallet-destroyed`.
        """
        if self._holder.store.destruction(wallet_id).is_decided:
            raise Refused("wallet-destroyed", "this holder has destroyed its share of that wallet")

    def has_name(self, name: str) -> bool:
        """Whether a wallet in the store has it, however far it came (step 1.6.5); one that was
        destroyed has it for ever (step 6.10.3).
        """
        wallet_ids = self._holder.store.wallet_ids()
        for wallet_id in set(wallet_ids) - self._names.keys():
            self._names.update(self._name_of(wallet_id))  # a wallet_id is of one name for ever
        return any(self._names.get(wallet_id) == name for wallet_id in wallet_ids)

    def signing(self, wallet_id: WalletId, epoch_hash: EpochHash) -> SigningWallet:
        """An epoch that may sign: active, or adopted as its successor (step 6.5.8).

        Raises:
            Refused: `unknown-wallet`, or `wallet-destroyed`.
            NotReady: it is neither: some holder has not confirmed it yet, or its end is decided.
            Tampered: store, register and token do not belong together.
        """
        key = (wallet_id, epoch_hash)
        known = self._signing.get(key)
        if known is not None:
            return known
        with self._lock:  # who ends an epoch has said so on disk, and then calls `forget`
            if key not in self._signing:
                held = self.find(wallet_id, epoch_hash)
                if held.record.state not in (EpochState.ACTIVE, EpochState.ADOPTED):
                    raise NotReady(f"wallet {held.body.terms.name} is not active in this epoch")
                self._signing[key] = SigningWallet(self._holder, held)
            return self._signing[key]

    def forget(self, wallet_id: WalletId) -> None:
        """What signs for this wallet has changed: look again."""
        with self._lock:
            self._signing = {
                key: wallet for key, wallet in self._signing.items() if key[0] != wallet_id
            }

    def _name_of(self, wallet_id: WalletId) -> dict[WalletId, str]:
        epochs = self._holder.epochs(wallet_id)
        for h in epochs.hashes():
            encoded = epochs.kept(h, EpochDocument.BODY)
            if encoded is not None:
                return {wallet_id: body_of(h, encoded).terms.name}
        return {}

    def _held(self, only: WalletId | None = None) -> Iterator[HeldEpoch]:
        store = self._holder.store
        for wallet_id in store.wallet_ids() if only is None else (only,):
            epochs = self._holder.epochs(wallet_id)
            for record in epochs.records():
                encoded = epochs.kept(record.epoch_hash, EpochDocument.BODY)
                if encoded is None and record.epoch_hash not in epochs.hashes():
                    continue  # a successor that another one overtook went meanwhile
                yield HeldEpoch(body_of(record.epoch_hash, encoded or b""), record)


def context_of(holder: ActingHolder, body: EpochBody) -> Context:
    """What this holder's blob of an epoch is bound to (step 1.11.3)."""
    terms = body.terms
    index = holder.at(body).me
    return Context(terms.wallet_id, index, terms.scheme, body.epoch, terms.sizes.t, body.hash)


def check_register(holder: ActingHolder, body: EpochBody) -> None:
    """The HSM wins over the disk: its register names this epoch, or votes for it as the successor
    of the one that it names (steps 6.2.1 and 6.6.1).

    Raises:
        Tampered: it names another one, or there is none.
    """
    register = holder.registers.read(body.terms.wallet_id)
    named = () if register is None else (register.epoch_hash, _adopted_after(register, body))
    if body.hash not in named:
        raise Tampered(f"wallet {body.terms.name}: the HSM's register is of another epoch, or gone")


def _adopted_after(register: Register, body: EpochBody) -> EpochHash | None:
    """What the register votes for, if `body` is a successor of the epoch that it names."""
    vote = register.adopted
    return None if vote is None or body.prev_hash != register.epoch_hash else vote.epoch_hash


def first_epoch(epochs: Epochs, body: EpochBody) -> EpochHash:
    """h_0 of the wallet: every body names the epoch before it (step 1.6.5).

    Raises:
        Tampered: a body on the way is missing, or is not the one that is named.
    """
    while body.epoch:
        h = body.prev_hash
        body = body_of(h, epochs.kept(h, EpochDocument.BODY) or b"")
    return body.hash


def policy_hash(policy_file: bytes) -> bytes:
    """SHA-256 of the policy file's bytes (step 1.6.8)."""
    return hashlib.sha256(policy_file).digest()


def body_of(h: EpochHash, encoded: bytes) -> EpochBody:
    """The body in a store's file, if it is that of epoch `h`.

    Raises:
        Tampered: it is not.
    """
    try:
        body = EpochBody.from_bytes(encoded)
    except BadInput as broken:
        raise Tampered(f"epoch {h.hex()}: {broken}") from broken
    if body.hash != h:
        raise Tampered(f"epoch {h.hex()}: the body is another epoch's")
    return body


def _policy(holder: ActingHolder, body: EpochBody, encoded: bytes | None) -> Policy:
    if encoded is None or policy_hash(encoded) != body.terms.policy_hash:
        raise Tampered(f"wallet {body.terms.name}: the policy is not the certified one")
    try:
        return holder.parse_policy(encoded)
    except BadConfig as unreadable:
        raise Tampered(f"wallet {body.terms.name}: {unreadable}") from unreadable


def _clients(held: HeldEpoch, encoded: bytes | None) -> ClientList:
    name = held.body.terms.name
    try:
        clients = ClientList.from_bytes(encoded or b"")
    except BadInput as broken:
        raise Tampered(f"wallet {name}: {broken}") from broken
    if (clients.version, clients.hash) != (held.record.clients_version, held.record.clients_hash):
        raise Tampered(f"wallet {name}: the client list is not the pinned one")
    return clients
