"""The share of epoch 0 goes to disk, and proves that it comes back (step 2.6.6)."""

from __future__ import annotations

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.keygen_files import KeygenFiles
from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.agent.wallets import context_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.errors import Tampered
from hsm_mpc.hsm.register import Register
from hsm_mpc.sealing.sealed import seal
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.proposals import SessionDocument
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.wrapping.base import WrappingKey


def seal_first_share(
    holder: ActingHolder,
    files: KeygenFiles,
    key: WrappingKey,
    body: EpochBody,
    share: Secret,
    delivery: Secret,
    delivery_key: bytes,
) -> EpochRecord:
    """Seal x ‖ v, write blob and record, open it again, compare: PREPARED is durable.

    `delivery_key` is V_i.

    Raises:
        Tampered: what was sealed opens to something else, or x is not the share of this index.
        BackendError: HSM or disk. What is on disk then is to be discarded.
    """
    epochs = holder.epochs(files.wallet_id)
    if files.proposal.roster != holder.keys.pinned:  # by it the holder knows its place
        epochs.keep(body.hash, EpochDocument.ROSTER, files.proposal.roster.to_bytes())
    width = share.size
    with holder.arena.open(), holder.arena.scope() as take:
        content, again = take(2 * width), take(2 * width)
        with content.open() as at, share.open() as x, delivery.open() as v:
            move_bytes(at, x, width)
            move_bytes(at + width, v, width)
        blob = seal(content, context_of(holder, body), [key], holder.entropy, holder.clock())
        for document, written in (
            (EpochDocument.BODY, body.to_bytes()),
            (EpochDocument.POLICY, files.kept(SessionDocument.POLICY) or b""),
            (EpochDocument.CLIENTS, files.proposal.clients.to_bytes()),
        ):
            epochs.keep(body.hash, document, written)
        files.audit("keygen-sealed", {"epoch_hash": body.hash.hex()})
        record = epochs.seal(_record(files, body, key), blob)
        open_and_check(holder, body, delivery_key, again)
        with content.open() as one, again.open() as other:
            if not sodium.equal(one, other, 2 * width):
                raise Tampered("the sealed share opens to something else")
    return record


def open_and_check(
    holder: ActingHolder, body: EpochBody, delivery_key: bytes, into: Secret
) -> None:
    """The stored share of an epoch into `into` (x ‖ v): x·B is A(i) of the body, v·B is V_i.

    Raises:
        Tampered: one is not, or record, blob, key and body do not belong together.
        BackendError: the HSM does not answer.
    """
    group = body.terms.group
    epochs = holder.epochs(body.terms.wallet_id)
    OpenableShare.load(holder.token, epochs, context_of(holder, body)).open_into(into)
    points = (body.public_share(holder.at(body).me), delivery_key)
    with into.open() as first:
        for scalar, point in zip((first, first + group.scalar_length), points, strict=True):
            if not group.is_canonical_nonzero_at(scalar) or group.public_point_at(scalar) != point:
                raise Tampered("the sealed share is not that of this index")


def first_register(body: EpochBody) -> Register:
    """Nothing promised, nothing voted (step 6.2.1)."""
    return Register(body.hash)


def _record(files: KeygenFiles, body: EpochBody, key: WrappingKey) -> EpochRecord:
    clients = files.proposal.clients
    return EpochRecord(
        state=EpochState.PREPARED,
        epoch_hash=body.hash,
        blob_digest=NOT_SEALED,
        kek_uri=key.key_uri,
        extra_uris=(),
        key_generation=0,
        clients_version=clients.version,
        clients_hash=clients.hash,
        pairs=(),
    )
