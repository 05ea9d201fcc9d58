"""`share rewrap`: the same share under a new wrapping key of this holder alone (1.11.6, 6.2.2).

Order: the record names the new key beside the old one → the key in the HSM → the new blob, opened
and compared → the record that names the blob, whose rename is the commit → the old key goes, then
its name. So a key that a record names and its blob is not sealed for is one on its way, in or out:
`settle` destroys it, whatever a crash interrupted, while the share opens without it.
"""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.kek_digest import kek_digest_of
from hsm_mpc.agent.key_names import free_key, keys_in_token
from hsm_mpc.agent.keygen_files import destroy_wrapping_key
from hsm_mpc.agent.offers import is_of_offer, kept_offer
from hsm_mpc.agent.opener import OpenableShare, key_id_in
from hsm_mpc.agent.succession.dropping import made_in
from hsm_mpc.agent.succession.live import LiveEpoch, opened_share
from hsm_mpc.agent.wallets import body_of, context_of
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.errors import NotReady, Refused, Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.sealing import sealed
from hsm_mpc.sealing.cms import SHARE_BYTES
from hsm_mpc.sealing.sealed import SealedShare
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Arena
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.wrapping.base import WrappingKey
from hsm_mpc.wrapping.recipients import Recipient, RsaRecipient
from hsm_mpc.wrapping.token_keys import made_key


def begin(live: LiveEpoch) -> EpochRecord:
    """The live epoch's share is sealed for a new key, durably; the old one opens nothing more.

    Then `settle` it. Nothing is touched unless the share opens as it is.

    Raises:
        Refused: `epoch-retiring`: a refresh is about to destroy this share.
        NotReady: a repair of it was interrupted, and is still to say under which key it is.
        Tampered: the share does not open, or what was sealed anew opens to something else.
        BackendError: HSM or disk; to be begun again.
    """
    live.require_not_retiring()
    if is_of_offer(live.holder, live.wallet_id, live.held.record):
        raise NotReady("the repair of this share was interrupted: it is repeated first")
    with live.opened():
        pass
    holder, epochs, old_uri = live.holder, live.epochs, live.held.record.kek_uri
    before = OpenableShare.load(holder.token, epochs, context_of(holder, live.body))
    reserved = _reserved(live)
    epochs.change(reserved)
    (new_uri,) = reserved.extra_uris
    key = _generated(live, new_uri)
    blob = sealed.rewrap(
        before.sealed, before.key, before.context, before.digest, [key], holder.arena
    )
    anew = SealedShare.parse(blob)
    after = replace(before, sealed=anew, key=key, digest=anew.digest)
    _require_same(before, after, holder.arena)
    live.audit("share-rewrapped", {"kek_digest": kek_digest_of(holder.token, key).hex()})
    return epochs.seal(replace(reserved, kek_uri=new_uri, extra_uris=(old_uri,)), blob)


def settle(holder: ActingHolder, wallet_id: WalletId) -> None:
    """No key is left that an active epoch's record names and its blob is not sealed for.

    Unless its share does not open: disk or token were restored, and of another copy of them that
    key may be the only one.

    Raises:
        Tampered: a key is in another token, or a blob is not the one that its record names.
        BackendError: HSM or disk; to be called again.
    """
    epochs = holder.epochs(wallet_id)
    for record in epochs.records():
        if record.state is not EpochState.ACTIVE:  # of one that retires, every key goes
            continue
        passing = keys_on_their_way(epochs, record)
        if not passing or not _opens(holder, epochs, record.epoch_hash):
            continue
        for uri in passing:
            destroy_wrapping_key(holder, wallet_id, key_id_in(holder.token, uri))
        staying = tuple(uri for uri in record.extra_uris if uri not in passing)
        epochs.change(replace(record, extra_uris=staying))


def keys_on_their_way(epochs: Epochs, record: EpochRecord) -> tuple[str, ...]:
    """The keys that a record names and its blob is not sealed for.

    Raises:
        Tampered: the blob is not the one that the record names.
    """
    if not record.extra_uris or record.blob_digest == NOT_SEALED:
        return ()
    recipients = sealed.inspect(epochs.blob(record.epoch_hash)).recipients
    return tuple(
        uri for uri in record.extra_uris if not any(_is_named(uri, each) for each in recipients)
    )


def _opens(holder: ActingHolder, epochs: Epochs, h: EpochHash) -> bool:
    body = body_of(h, epochs.kept(h, EpochDocument.BODY) or b"")
    try:
        with opened_share(holder, body):
            return True
    except (Refused, Tampered):
        return False


def _generated(live: LiveEpoch, uri: str) -> WrappingKey:
    holder, label = live.holder, keys.wrapping_label(live.wallet_id)
    key_id = key_id_in(holder.token, uri)
    made = keys.generate_wrapping_key(holder.token, key_id, label, holder.wrapping)
    return made_key(holder.token, made, holder.wrapping)


def _is_named(uri: str, recipient: Recipient) -> bool:
    if isinstance(recipient, RsaRecipient):
        return recipient.key_id == KeyUri.parse(uri).key_id
    return recipient.fields.key_uri == uri


def _reserved(live: LiveEpoch) -> EpochRecord:
    """The record that names the key before there is one: the next g that no key in the token has.

    A disk that was restored counts from an older g. What it has forgotten may be the only key of a
    newer disk, so it is passed over; and so is the key of an offer that may not be made yet.
    """
    record, offered = live.held.record, kept_offer(live.holder, live.wallet_id)
    taken = keys_in_token(live.holder, live.wallet_id)
    if offered is not None:
        taken.add(offered.kek_uri)
    first = record.key_generation + 1
    generation, uri = free_key(live.holder, live.wallet_id, _origin(live), first, taken)
    return replace(record, key_generation=generation, extra_uris=(uri,))


def _origin(live: LiveEpoch) -> tuple[EpochHash, Attempt]:
    """What names the keys of an epoch (step 6.2.2). Of epoch 0 nobody keeps ph: h_0 stands in its
    place, and no key that was made for a refresh of it has the attempt 0.
    """
    body = live.body
    if body.epoch == 0:
        return body.hash, Attempt.NONE
    return body.prev_hash, made_in(live.epochs, body.hash)


def _require_same(before: OpenableShare, after: OpenableShare, arena: Arena) -> None:
    """Both blobs hold the same share: else the new one is never committed."""
    with arena.open(), arena.scope() as take:
        old, new = take(SHARE_BYTES), take(SHARE_BYTES)
        before.open_into(old)
        after.open_into(new)
        with old.open() as one, new.open() as other:
            if not sodium.equal(one, other, SHARE_BYTES):
                raise Tampered("what was sealed anew opens to something else")
