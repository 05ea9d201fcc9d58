"""The epoch of a wallet that a succession would replace, as HSM and store say together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.agent.wallets import HeldEpoch, HeldWallets, context_of
from hsm_mpc.audit import Json
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import BackendError, NotReady, Refused, Tampered
from hsm_mpc.hsm.register import Register
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.sealing.cms import SHARE_BYTES
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.store.attempts import AttemptDocument, Attempts
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.stages import carried_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.channels import KeyBook

SUCCESSOR_STATES: Final = (EpochState.STAGED, EpochState.ACKED, EpochState.ADOPTED)
"""Of an epoch that may come to replace the live one."""


@dataclass(frozen=True, slots=True)
class OpenShare:
    """x and v of one epoch, in slots of their own."""

    share: Secret
    delivery: Secret


@dataclass(frozen=True, slots=True)
class LiveEpoch:
    """The epoch that the register names, with what was promised and voted about its successor."""

    holder: ActingHolder
    held: HeldEpoch
    register: Register
    successors: tuple[HeldEpoch, ...]
    """What was staged in its place, so far."""

    @classmethod
    def of(cls, holder: ActingHolder, wallets: HeldWallets, wallet_id: WalletId) -> LiveEpoch:
        """As of now.

        Raises:
            Refused: `unknown-wallet`.
            NotReady: the wallet is not active yet.
            Tampered: the store does not have the epoch that the register names.
        """
        register = holder.registers.read(wallet_id)
        if register is None:
            raise Refused("unknown-wallet", "this holder has no share of that wallet")
        epochs = {held.body.hash: held for held in wallets.of(wallet_id)}
        held = epochs.get(register.epoch_hash)
        if held is None and any(_may_replace(each, register) for each in epochs.values()):
            raise NotReady("a resharing to this holder is not decided yet")
        if held is None:
            raise Tampered("the HSM's register is of an epoch that the store does not have")
        if held.record.state not in (EpochState.ACTIVE, EpochState.RETIRING):
            raise NotReady(f"wallet {held.body.terms.name} is not active yet")
        successors = (each for each in epochs.values() if each.record.state in SUCCESSOR_STATES)
        return cls(holder.at(held.body), held, register, tuple(successors))

    @property
    def body(self) -> EpochBody:
        return self.held.body

    @property
    def wallet_id(self) -> WalletId:
        return self.held.wallet_id

    @property
    def epochs(self) -> Epochs:
        """Of this wallet, on disk."""
        return self.holder.epochs(self.wallet_id)

    @property
    def attempts(self) -> Attempts:
        """To replace it, on disk."""
        return self.holder.attempts(self.wallet_id)

    @property
    def keys(self) -> KeyBook:
        """The others' keys under the roster that this epoch names. Raises: Tampered."""
        return self.holder.keys_of(self.body)

    @property
    def lineage(self) -> Lineage:
        """Every roster of this wallet. Raises: Tampered."""
        return self.holder.lineage_of(self.body)

    def lineage_told(self, certificate: SuccessorCertificate) -> Lineage:
        """With what a successor's certificate says has amended this epoch's roster. A resharing
        takes effect only once it is decided.
        """
        if certificate.shared_anew is not None:
            return self.lineage.merged_with(certificate.amendments)
        return self.lineage_after(certificate)

    def lineage_after(self, certificate: SuccessorCertificate) -> Lineage:
        """Once this successor has taken the place of this epoch."""
        return self.lineage.after(self.body.terms.roster_hash, carried_in(certificate))

    def keep(self, lineage: Lineage) -> None:
        """What has amended the roster of this wallet, on disk."""
        if lineage.to_bytes() != self.lineage.to_bytes():
            self.audit("roster-amended", {"roster_hash": lineage.newest.roster.hash.hex()})
            self.holder.keep_lineage(self.wallet_id, lineage)

    def keep_certificate(self, certificate: SuccessorCertificate) -> None:
        """What proves a successor, on disk; and its body, where no share was staged with it."""
        h = certificate.body.hash
        for document, content in (
            (EpochDocument.BODY, certificate.body.to_bytes()),
            (EpochDocument.CERTIFICATE, certificate.to_bytes()),
        ):
            if self.epochs.kept(h, document) is None:
                self.epochs.keep(h, document, content)

    def successor(self, h: EpochHash) -> HeldEpoch | None:
        """What was staged as `h`, if it was."""
        return next((each for each in self.successors if each.body.hash == h), None)

    def require_not_retiring(self) -> None:
        """Nothing new begins in an epoch whose end is decided (step 6.5.1).

        Raises:
            Refused: `epoch-retiring`.
        """
        self.require_not_ending()
        if self.is_obeying():
            raise _decided()

    def require_not_ending(self) -> None:
        """Its end is not on disk yet. Raises: Refused: `epoch-retiring`."""
        if self.held.record.state is EpochState.RETIRING:
            raise _decided()

    def is_obeying(self) -> bool:
        """Whether a successor was taken by an order, and a crash came before the retirement was
        kept: this holder has said no DONE that would prove its adoption (steps 6.5.2, 6.5.9). Who
        has signed an order, and adopts the same anew, has what carries it on before the register
        says so: a crash comes between these two and DONE, which it is still to say.
        """
        vote = self.register.adopted if self.register.order is not None else None
        proofs = AttemptDocument.DONE, AttemptDocument.CARRIED
        return vote is not None and all(
            self.attempts.kept(vote.attempt, proof) is None for proof in proofs
        )

    @property
    def is_certified(self) -> bool:
        """Whether the certificate of what the register says is adopted is on disk, if anything is.
        It comes there before the register says so.
        """
        vote = self.register.adopted
        return (
            vote is None or self.epochs.kept(vote.epoch_hash, EpochDocument.CERTIFICATE) is not None
        )

    def audit(self, event: str, fields: Mapping[str, Json]) -> None:
        """A durable line about this epoch, before what it tells of takes effect."""
        named = {
            "wallet_id": self.wallet_id.hex(),
            "name": self.body.terms.name,
            "epoch_hash": self.body.hash.hex(),
        }
        self.holder.audit(event, {**named, **fields})

    def own_done(self) -> bytes:
        """The own DONE message of this epoch, which names V_i. Raises: Tampered."""
        done = self.epochs.kept(self.body.hash, EpochDocument.DONE)
        if done is None:
            raise Tampered("the own confirmation of an active epoch is missing")
        return done

    def require_sealed(self) -> None:
        """The blob is that of the record, and its wrapping key is in the HSM. Nothing is unsealed.

        Raises:
            Tampered, Refused: not so: the share cannot open (step 6.6.2).
            BackendError: the HSM does not answer.
        """
        OpenableShare.load(self.holder.token, self.epochs, context_of(self.holder, self.body))

    @contextmanager
    def opened(self) -> Iterator[OpenShare]:
        """The own share of it, unsealed for the length of the body.

        Raises:
            Tampered, BackendError: it does not open.
        """
        with opened_share(self.holder, self.body) as share:
            yield share


def _decided() -> Refused:
    return Refused("epoch-retiring", "the end of this epoch is decided")


def _may_replace(held: HeldEpoch, register: Register) -> bool:
    """Whether this holder, who has no share of the registered epoch, gets one by its successor."""
    waits = held.record.state in SUCCESSOR_STATES
    return waits and held.body.prev_hash == register.epoch_hash


@contextmanager
def opened_share(holder: ActingHolder, body: EpochBody) -> Iterator[OpenShare]:
    """The own share of an epoch, unsealed for the length of the body; x·B is A(i) of it.

    Raises:
        Tampered: record, blob, key and epoch do not belong together, or one is missing.
        BackendError: the HSM does not answer.
    """
    group = body.terms.group
    width = group.scalar_length
    openable = OpenableShare.load(
        holder.token, holder.epochs(body.terms.wallet_id), context_of(holder, body)
    )
    with holder.arena.open(), holder.arena.scope() as take:
        content, share, delivery = take(SHARE_BYTES), take(width), take(width)
        openable.open_into(content)
        with content.open() as source, share.open() as x, delivery.open() as v:
            move_bytes(x, source, width)
            move_bytes(v, source + width, width)
        content.wipe()
        if not (group.is_canonical_nonzero(share) and group.is_canonical_nonzero(delivery)):
            raise Tampered("the sealed share is no pair of scalars")
        if group.public_point(share) != body.public_share(holder.at(body).me):
            raise Tampered("the sealed share is not that of this index")
        yield OpenShare(share, delivery)


def require_closed(holder: ActingHolder, body: EpochBody) -> None:
    """The blob of an epoch whose wrapping keys were destroyed opens no more (steps 6.5.7, 6.10).

    Raises:
        BackendError: it does.
    """
    try:
        with opened_share(holder, body):
            pass
    except Tampered:
        return
    raise BackendError("a wrapping key was destroyed, and its blob still opens", retryable=False)
