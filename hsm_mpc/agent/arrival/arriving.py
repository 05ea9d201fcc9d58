"""Who had no share before: what it learns of a wallet, and how its epoch comes to live (6.8.4).

Its register names the epoch that is shared anew, and votes for the new one, from DONE' on; once
that epoch may go, it names the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.repair.chain import known_wallet
from hsm_mpc.agent.succession import retiring
from hsm_mpc.agent.succession.dropping import destroy_all_but, destroy_keys
from hsm_mpc.agent.succession.live import SUCCESSOR_STATES, opened_share
from hsm_mpc.agent.wallets import HeldWallets, body_of
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import (
    BadInput,
    InvalidSignature,
    NameTaken,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.hsm.register import Register, Vote
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState
from hsm_mpc.succession.addresses import expected_in
from hsm_mpc.succession.lineage import carried_in
from hsm_mpc.succession.ordering import replaced_in
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.envelope import Address, parse_envelope
from hsm_mpc.wire.inbox import decoded
from hsm_mpc.wire.rounds import RETIRE


def learn(
    holder: ActingHolder, wallets: HeldWallets, address: Address, told: tuple[bytes, bytes, bytes]
) -> None:
    """Take in what proves a wallet up to the epoch that a message is about; to disk.

    Args:
        told: chain, policy file, client list.

    Raises:
        ProtocolAbort: it does not hold. No holder is to blame.
        Refused: `other-epoch`, `wallet-destroyed`.
        NameTaken: this holder has another wallet of that name.
    """
    wallets.require_not_destroyed(address.wallet_id)
    wallet = known_wallet(holder, *told)
    terms = wallet.body.terms
    if (terms.wallet_id, wallet.body.hash) != (address.wallet_id, address.epoch_hash):
        raise Refused("other-epoch", "another epoch or wallet is told of than the message's")
    if terms.wallet_id not in holder.store.wallet_ids() and wallets.has_name(terms.name):
        raise NameTaken(f"another wallet called {terms.name!r} is in this store")
    _forget_earlier(holder, wallet.body)
    wallet.keep(holder)
    known = holder.lineage(terms)
    lineage = wallet.lineage_over(known)
    if lineage.to_bytes() != known.to_bytes():
        holder.keep_lineage(terms.wallet_id, lineage)


def known(holder: ActingHolder, address: Address) -> EpochBody:
    """Of the epoch that a message is about, once it was told of.

    Raises:
        Refused: `unknown-wallet`: it was not.
    """
    encoded = holder.epochs(address.wallet_id).kept(address.epoch_hash, EpochDocument.BODY)
    if encoded is None:
        raise Refused("unknown-wallet", "this holder knows no such epoch of such a wallet")
    return body_of(address.epoch_hash, encoded)


def adopt(holder: ActingHolder, body: EpochBody, certificate: SuccessorCertificate) -> None:
    """Its HSM votes for the epoch of which it has a share. May be repeated."""
    wallet_id, h = body.terms.wallet_id, certificate.body.hash
    register = holder.registers.read(wallet_id)
    if register is not None and register.epoch_hash == h:
        return
    if register is None or register.adopted is None or register.adopted.epoch_hash != h:
        payload = parse_envelope(certificate.propose).payload
        alpha = Attempt.read(Reader(payload, "propose")).to_bytes()
        voted = Register(body.hash, promised=alpha, adopted=Vote(alpha, h))
        holder.registers.write(wallet_id, voted)
    epochs = holder.epochs(wallet_id)
    record = epochs.record(h)
    if record.state is EpochState.ACKED:
        epochs.change(replace(record, state=EpochState.ADOPTED))


def arrive(
    holder: ActingHolder,
    body: EpochBody,
    source: bytes,
    certified: bytes,
    amendments: Sequence[bytes] = (),
) -> bytes:
    """RETIRE, CERT → the own DONE' message; the new epoch is the one that lives. May be repeated.

    Args:
        amendments: as far as somebody tells of them.

    Raises:
        ProtocolAbort: it is no retirement; nobody is to blame.
        Tampered: the own share of the new epoch does not open.
        BackendError: HSM or disk; to be called again.
        BadEncoding, InvalidSignature: a message is not what is waited for.
    """
    wallet_id, message = body.terms.wallet_id, parse_envelope(source)
    epochs = holder.epochs(wallet_id)
    certificate = SuccessorCertificate.from_bytes(parse_envelope(certified).payload)
    h, lineage = certificate.body.hash, holder.lineage_of(body).merged_with(amendments)
    register = holder.registers.read(wallet_id)
    if register is None or register.epoch_hash != h:
        retirement = decoded(message, Retirement.from_bytes)
        try:
            certificate.verify(body, lineage.book(body.terms.roster_hash))
            keys = lineage.voters(body.terms.roster_hash, certificate)
            lost = replaced_in(lineage, body.hash)
            retired = retirement.check(body, keys, certificate, lost)
        except (BadInput, InvalidSignature) as broken:
            raise ProtocolAbort(f"a retirement that is none: {broken}") from broken
        book = holder.keys_of(body)
        coordinator = book.knows_coordinator(message.address.sender)
        senders = None if coordinator else range(1, body.terms.sizes.n + 1)
        expected = expected_in(RETIRE, body, retired.attempt, senders)
        holder.inbox(book).accept(message, expected, holder.clock())
        with opened_share(holder, certificate.body):
            pass
        if epochs.kept(body.hash, EpochDocument.RETIREMENT) is None:
            epochs.keep(body.hash, EpochDocument.RETIREMENT, message.payload)
        holder.audit("epoch-arrived", {"wallet_id": wallet_id.hex(), "epoch_hash": h.hex()})
        holder.keep_lineage(
            wallet_id, lineage.after(body.terms.roster_hash, carried_in(certificate))
        )
        destroy_all_but(holder, wallet_id, [epochs.record(h)])
        holder.registers.write(wallet_id, Register(h))
    retiring.settle(holder, wallet_id, Register(h))
    said = epochs.kept(h, EpochDocument.DONE)
    if said is None:
        raise Tampered("the own confirmation of an active epoch is missing")
    return said


def _forget_earlier(holder: ActingHolder, body: EpochBody) -> None:
    """Shares of successors that never came to be go: another epoch is shared anew by now.

    Raises:
        Refused: `other-epoch`: this holder's HSM has an epoch of that wallet that lived.
        BackendError: HSM or disk; to be called again.
    """
    wallet_id = body.terms.wallet_id
    epochs, register = holder.epochs(wallet_id), holder.registers.read(wallet_id)
    if register is None or register.epoch_hash == body.hash:
        return
    records = epochs.records()
    if not records or any(record.state not in SUCCESSOR_STATES for record in records):
        raise Refused("other-epoch", "this holder's HSM has another epoch of that wallet")
    for record in records:
        destroy_keys(holder, wallet_id, record)
        epochs.drop(record.epoch_hash)
    holder.registers.destroy(wallet_id)
