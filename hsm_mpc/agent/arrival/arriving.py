"""Who had no share before: what it learns of a wallet, and how its epoch comes to live (6.8.4).

Its register names the epoch that is shared anew, and votes for the new one, from DONE' on; once
that epoch may go, it names the new one. Not before then is anything signed with the share.
"""

from __future__ import annotations

from collections.abc import Sequence

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.repair.chain import KnownWallet, known_wallet
from hsm_mpc.agent.succession import retiring
from hsm_mpc.agent.succession.dropping import MOST_STAGED, destroy_all_but, destroy_keys
from hsm_mpc.agent.succession.live import SUCCESSOR_STATES, opened_share
from hsm_mpc.agent.wallets import HeldWallets, body_of
from hsm_mpc.audit import Json
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import (
    BadInput,
    InvalidSignature,
    NameTaken,
    ProtocolAbort,
    Refused,
    Tampered,
)
from hsm_mpc.hsm.register import Register, Vote
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import EpochRecord, EpochState
from hsm_mpc.succession.addresses import expected_in
from hsm_mpc.succession.ordering import replaced_in
from hsm_mpc.succession.propose import attempt_in
from hsm_mpc.succession.retirement import Retirement
from hsm_mpc.succession.stages import carried_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.envelope import Address, parse_envelope
from hsm_mpc.wire.rounds import RETIRE


def told_of(
    holder: ActingHolder, wallets: HeldWallets, address: Address, told: tuple[bytes, bytes, bytes]
) -> KnownWallet:
    """What proves a wallet up to the epoch that a message is about. Nothing of it is kept.

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
    _overtaken(holder, wallet)
    return wallet


def take_in(holder: ActingHolder, wallet: KnownWallet) -> None:
    """What proves a wallet, to disk; shares that it proves to be of no use go.

    Raises:
        Refused: `other-epoch`; `staged-full`: of too many attempts a share waits here.
        Tampered, BackendError: HSM or disk; to be called again.
    """
    terms = wallet.body.terms
    _forget(holder, terms.wallet_id, _overtaken(holder, wallet))
    if len(holder.epochs(terms.wallet_id).records()) >= MOST_STAGED:
        raise Refused(
            "staged-full",
            f"{MOST_STAGED} successors are staged here already; those that never come to be go "
            f"by: hsm-mpc share discard {terms.name}",
        )
    known = holder.lineage(terms)
    lineage = wallet.lineage_over(known)
    wallet.keep(holder)
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
    """Its HSM votes for the epoch of which it waits for its share to live, unless it has said
    something else since. May be repeated.

    Raises:
        Tampered: the share does not open.
        BackendError: HSM or disk; to be called again.
    """
    wallet_id, h = body.terms.wallet_id, certificate.body.hash
    records, register = holder.epochs(wallet_id).records(), holder.registers.read(wallet_id)
    if not any(each.epoch_hash == h and each.state in SUCCESSOR_STATES for each in records):
        return
    alpha = attempt_in(certificate.propose).to_bytes()
    if register is not None and not _is_before(holder, body, register, alpha):
        return
    with opened_share(holder, certificate.body):
        pass
    holder.registers.write(wallet_id, Register(body.hash, alpha, adopted=Vote(alpha, h)))


def _is_before(holder: ActingHolder, body: EpochBody, register: Register, alpha: bytes) -> bool:
    """Whether a register has nothing that this attempt would set back: an old holder's has."""
    is_older = register.epoch_hash == body.hash and register.promised <= alpha
    return is_older and _had_none(holder, body)


def _had_none(holder: ActingHolder, body: EpochBody) -> bool:
    """Whether this holder is none of those of an epoch."""
    try:
        holder.at(body)
    except Refused:
        return True
    return False


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
        try:
            retirement = Retirement.from_bytes(message.payload)
            certificate.verify(body, lineage.book(body.terms.roster_hash))
            keys = lineage.voters(body.terms.roster_hash, certificate)
            lost = replaced_in(lineage, body.hash)
            retired = retirement.check(body, keys, certificate, lost)
        except (BadInput, InvalidSignature) as broken:
            raise ProtocolAbort(f"a retirement that is none: {broken}") from broken
        book = holder.keys_of(body)
        senders = book.may_show_proof(message.address.sender)
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


def is_awaited(holder: ActingHolder, wallet_id: WalletId) -> bool:
    """Whether this holder has shares by resharings, and none of the epochs that they replace."""
    epochs = holder.epochs(wallet_id)
    records = epochs.records()
    return bool(records) and all(_is_arriving(holder, epochs, each) for each in records)


def _is_arriving(holder: ActingHolder, epochs: Epochs, record: EpochRecord) -> bool:
    if record.state not in (EpochState.STAGED, EpochState.ACKED):
        return False
    replaced = epochs.kept(_replaced_by(epochs, record), EpochDocument.BODY)
    if replaced is None:
        return False
    before = EpochBody.from_bytes(replaced)
    return _had_none(holder, before) and not _is_decided(holder, before, record)


def _is_decided(holder: ActingHolder, before: EpochBody, record: EpochRecord) -> bool:
    """Whether it lives, or the proof of that is on disk: `arrive` was interrupted, and goes on."""
    if _registered(holder, before) == record.epoch_hash:
        return True
    return retiring.retired_for(holder, before, holder.lineage_of(before)) == record.epoch_hash


def discard(holder: ActingHolder, wallet_id: WalletId) -> None:
    """No share is left that came by a resharing and waits for the end of the epoch before.

    Raises:
        Tampered, BackendError: HSM or disk; to be called again.
    """
    records = holder.epochs(wallet_id).records()
    hashes: list[Json] = [each.epoch_hash.hex() for each in records]
    holder.audit("reshare-discarded", {"wallet_id": wallet_id.hex(), "epoch_hashes": hashes})
    _forget(holder, wallet_id, records)


def _overtaken(holder: ActingHolder, wallet: KnownWallet) -> list[EpochRecord]:
    """Shares of successors that never came to be: the epoch that each would have replaced has ended
    for another one, as this wallet's chain proves.

    Raises:
        Refused: `other-epoch`: of something else that this holder has, it proves no end.
    """
    body = wallet.body
    epochs, register = holder.epochs(body.terms.wallet_id), _registered(holder, body)
    others = [each for each in epochs.records() if _replaced_by(epochs, each) != body.hash]
    if register in (None, body.hash) and not others:
        return []
    proven = register in (None, body.hash, *wallet.ended)
    if not (others and proven and all(_is_dead(epochs, each, wallet) for each in others)):
        raise Refused("other-epoch", "this holder has another epoch of that wallet")
    return others


def _registered(holder: ActingHolder, body: EpochBody) -> EpochHash | None:
    register = holder.registers.read(body.terms.wallet_id)
    return None if register is None else register.epoch_hash


def _replaced_by(epochs: Epochs, record: EpochRecord) -> EpochHash:
    h = record.epoch_hash
    return body_of(h, epochs.kept(h, EpochDocument.BODY) or b"").prev_hash


def _is_dead(epochs: Epochs, record: EpochRecord, wallet: KnownWallet) -> bool:
    succeeded = wallet.ended.get(_replaced_by(epochs, record), record.epoch_hash)
    return record.state in SUCCESSOR_STATES and succeeded != record.epoch_hash


def _forget(holder: ActingHolder, wallet_id: WalletId, records: Sequence[EpochRecord]) -> None:
    """The register goes first: what it leaves is found by the records."""
    if records:
        holder.registers.destroy(wallet_id)
    for record in records:
        destroy_keys(holder, wallet_id, record)
        holder.epochs(wallet_id).drop(record.epoch_hash)
