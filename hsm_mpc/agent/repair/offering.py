"""What a holder that has lost its share prepares: a wrapping key and v_r for the repaired one.

Both outlive a restart, for people may take a day to consent: v_r lies sealed under that key, in the
place of x, too, until x is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.kek_digest import kek_digest_of
from hsm_mpc.agent.key_names import free_key, keys_in_token
from hsm_mpc.agent.keygen_files import destroy_wrapping_key
from hsm_mpc.agent.offers import Offer, kept_offer
from hsm_mpc.agent.opener import find_wrapping_key, key_id_in
from hsm_mpc.agent.repair.chain import KnownWallet
from hsm_mpc.agent.repair.register import is_lost, is_past
from hsm_mpc.agent.wallets import body_of, context_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.repair_order import RepairOrder, offer_message
from hsm_mpc.errors import BadInput, InvalidSignature, Refused, Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.ids import WalletId
from hsm_mpc.sealing.cms import SHARE_BYTES
from hsm_mpc.sealing.sealed import SealedShare, seal, unseal
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.repairs import RepairDocument
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import unbundled
from hsm_mpc.wrapping.token_keys import made_key


def offer(holder: ActingHolder, wallet: KnownWallet) -> Offer:
    """The one that waits for this epoch, or a new one: then nothing of an older one is left.

    Raises:
        BackendError: HSM or disk; to be called again.
    """
    wallet_id = wallet.body.terms.wallet_id
    repairs, kept = holder.store.repairs(wallet_id), kept_offer(holder, wallet_id)
    if kept is not None:
        if kept.epoch_hash == wallet.body.hash and _opens(holder, wallet.body, kept):
            return _signed_by_present_key(holder, wallet.body, kept)
        _destroy_key(holder, wallet_id, kept)
    records = holder.epochs(wallet_id).records()
    used = [each.key_generation for each in records if each.epoch_hash == wallet.body.hash]
    generation, uri = _next_key(holder, wallet, max([*used, kept.key_generation if kept else 0]))
    begun = Offer(wallet.body.hash, generation, uri, b"", b"", b"")
    repairs.put_offer(begun.to_bytes())
    made = _made(holder, wallet.body, begun)
    repairs.put_offer(made.to_bytes())
    return made


def withdraw_if_useless(holder: ActingHolder, wallet_id: WalletId) -> None:
    """An offer goes with its key, once nothing can be repaired by it: its epoch is none that lives
    here or may come to, or the share is there by another way. A damaged one goes, too.

    Raises:
        BackendError: HSM or disk; to be called again.
    """
    repairs = holder.store.repairs(wallet_id)
    if repairs.offer() is None:
        return
    offered = kept_offer(holder, wallet_id)
    if offered is None:
        repairs.remove_offer()
    elif _is_useless(holder, wallet_id, offered):
        _destroy_key(holder, wallet_id, offered)
        repairs.remove_offer()


def spend_if_complained(holder: ActingHolder, wallet_id: WalletId) -> None:
    """A complaint ends the offer under whose V_r it is: the next one has another V_r. This one
    begins to be made, and its v_r is nowhere any more.

    Raises:
        Tampered, BackendError: disk; to be called again.
    """
    repairs, offered = holder.store.repairs(wallet_id), kept_offer(holder, wallet_id)
    if offered is None:
        return
    for kept in repairs.orders():
        order = RepairOrder.from_terms(unbundled(kept)[0])
        complained = repairs.kept(order.session_id, RepairDocument.COMPLAINT) is not None
        if complained and order.delivery_key == offered.delivery_key:
            spent = replace(offered, delivery_key=b"", blob=b"", signature=b"")
            repairs.put_offer(spent.to_bytes())


def kek_digest_in(holder: ActingHolder, wallet_id: WalletId, kept: Offer) -> bytes:
    """Of its wrapping key. Raises: Tampered: the token does not have it."""
    key = find_wrapping_key(holder.token, kept.kek_uri, wallet_id)
    return kek_digest_of(holder.token, key)


@contextmanager
def opened_offer(holder: ActingHolder, body: EpochBody, kept: Offer) -> Iterator[Secret]:
    """v_r, unsealed for the length of the body.

    Raises:
        Tampered: blob, key and V_r do not belong together, or one is missing.
        BackendError: the HSM does not answer.
    """
    group = body.terms.group
    key = find_wrapping_key(holder.token, kept.kek_uri, body.terms.wallet_id)
    digest = hashlib.sha256(kept.blob).digest()
    with holder.arena.open(), holder.arena.scope() as take:
        content, delivery = take(SHARE_BYTES), take(group.scalar_length)
        try:
            unseal(SealedShare.parse(kept.blob), key, context_of(holder, body), digest, content)
        except BadInput as damaged:
            raise Tampered(f"the offer of a repair: {damaged}") from damaged
        with content.open() as source, delivery.open() as v:
            move_bytes(v, source + group.scalar_length, group.scalar_length)
        content.wipe()
        if not group.is_canonical_nonzero(delivery):
            raise Tampered("the offer of a repair holds no scalar")
        if group.public_point(delivery) != kept.delivery_key:
            raise Tampered("the offer of a repair holds another delivery key")
        yield delivery


def _is_useless(holder: ActingHolder, wallet_id: WalletId, offered: Offer) -> bool:
    """What is damaged says nothing of it."""
    epochs = holder.epochs(wallet_id)
    encoded = epochs.kept(offered.epoch_hash, EpochDocument.BODY)
    if encoded is None:
        return True
    try:
        body = body_of(offered.epoch_hash, encoded)
        if is_past(holder, body):
            return True
        if offered.is_key_of(*epochs.records()):
            return False
        return not is_lost(holder, body)
    except (Refused, Tampered):
        return False


def _signed_by_present_key(holder: ActingHolder, body: EpochBody, kept: Offer) -> Offer:
    """By the present identity key: another HSM, which no wallet knows yet, may turn to another one
    while its offer waits.
    """
    wallet_id = body.terms.wallet_id
    digest = kek_digest_in(holder, wallet_id, kept)
    offered = offer_message(wallet_id, body.hash, holder.me, kept.delivery_key, digest)
    try:
        holder.identity.key.verify(Tag.REPAIR_OFFER, offered, kept.signature)
    except InvalidSignature:
        signature = holder.identity.sign(Tag.REPAIR_OFFER, offered)
        kept = replace(kept, signature=signature)
        holder.store.repairs(wallet_id).put_offer(kept.to_bytes())
    return kept


def _destroy_key(holder: ActingHolder, wallet_id: WalletId, kept: Offer) -> None:
    """Unless it is that of a share by now, or in a token that is gone."""
    if not kept.is_key_of(*holder.epochs(wallet_id).records()):
        with suppress(Tampered):
            key_id = key_id_in(holder.token, kept.kek_uri)
            destroy_wrapping_key(holder, wallet_id, key_id)


def _opens(holder: ActingHolder, body: EpochBody, kept: Offer) -> bool:
    try:
        with opened_offer(holder, body, kept):
            return True
    except Tampered:
        return False


def _next_key(holder: ActingHolder, wallet: KnownWallet, used: int) -> tuple[int, str]:
    """g, higher than any that was `used`, and the URI of a key that the token does not have yet,
    and no record names (step 6.2.2).
    """
    body = wallet.body
    wallet_id = body.terms.wallet_id
    origin = body.hash if body.epoch == 0 else body.prev_hash, wallet.made_in
    named = {uri for each in holder.epochs(wallet_id).records() for uri in each.kek_uris}
    return free_key(holder, wallet_id, origin, used + 1, keys_in_token(holder, wallet_id) | named)


def _made(holder: ActingHolder, body: EpochBody, begun: Offer) -> Offer:
    wallet_id, group = body.terms.wallet_id, body.terms.group
    width, key_id = group.scalar_length, key_id_in(holder.token, begun.kek_uri)
    label = keys.wrapping_label(wallet_id)
    generated = keys.generate_wrapping_key(holder.token, key_id, label, holder.wrapping)
    key = made_key(holder.token, generated, holder.wrapping)
    with holder.arena.open(), holder.arena.scope() as take:
        content, delivery = take(2 * width), take(width)
        group.random_nonzero(delivery, holder.entropy)
        with content.open() as at, delivery.open() as v:
            move_bytes(at, v, width)
            move_bytes(at + width, v, width)
        shown = group.public_point(delivery)
        blob = seal(content, context_of(holder, body), [key], holder.entropy, holder.clock())
    digest = kek_digest_of(holder.token, key)
    offered = offer_message(wallet_id, body.hash, holder.me, shown, digest)
    signature = holder.identity.sign(Tag.REPAIR_OFFER, offered)
    return replace(begun, delivery_key=shown, blob=blob, signature=signature)
