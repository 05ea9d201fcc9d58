"""ASK → HELLO': a new holder says under which keys its share shall be dealt and sealed (6.8.1).

Order: ASK on disk → the wrapping key in the HSM → HELLO' on disk, then sent. v' lives in protected
memory until the share is sealed beside it: who restarts in between says HELLO' in another attempt.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.kek_digest import kek_digest_of
from hsm_mpc.agent.keygen_files import destroy_wrapping_key
from hsm_mpc.agent.opener import key_id_in
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.resharing import Resharing
from hsm_mpc.certificates.wrapping_keys import wrapping_key_id
from hsm_mpc.errors import Refused
from hsm_mpc.hsm import keys
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.protocols.rounds import kept
from hsm_mpc.roster import Roster
from hsm_mpc.secure.arena import Secret
from hsm_mpc.store.attempts import AttemptDocument, Attempts
from hsm_mpc.succession.addresses import address_in
from hsm_mpc.succession.ask import Ask
from hsm_mpc.succession.newcomers import NewHello
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import FIRST_NEW_HOLDER, NEW_HELLO
from hsm_mpc.wrapping.base import WrappingKey
from hsm_mpc.wrapping.token_keys import made_key

_FIRST_KEY = 0
"""g of step 6.2.2."""


@dataclass(frozen=True, slots=True)
class Greeted:
    """What a new holder has said HELLO' with, in one attempt."""

    attempt: Attempt
    place: int
    """k, its index in the new roster."""
    key: WrappingKey
    """KEK'."""
    delivery: Secret
    """v'."""


def place_in(holder: ActingHolder, new: Roster) -> int:
    """k. Raises: Refused: `not-a-member`: a resharing to these gives this holder nothing."""
    for k, member in enumerate(new.members, 1):
        if holder.identity.has(member.key):
            return k
    raise Refused("not-a-member", "this holder's identity key is not in the new roster")


def greet(
    holder: ActingHolder, body: EpochBody, ask: Ask, resharing: Resharing, source: bytes
) -> Greeted:
    """KEK' and v', and HELLO' on disk.

    Args:
        body: of the epoch that is shared anew.
        source: the ASK message.

    Raises:
        BackendError: HSM or disk. What was made by then goes at the next start.
    """
    wallet_id, alpha = body.terms.wallet_id, ask.attempt.to_bytes()
    attempts, k = holder.attempts(wallet_id), place_in(holder, resharing.roster)
    attempts.keep(alpha, AttemptDocument.ASK, source)
    key_id = own_key_id(wallet_id, k, body.hash, ask.attempt)
    label, group = keys.wrapping_label(wallet_id), body.terms.group
    made = keys.generate_wrapping_key(holder.token, key_id, label, holder.wrapping)
    key = made_key(holder.token, made, holder.wrapping)
    with holder.arena.open(), kept(holder.arena) as take:
        delivery = take(group.scalar_length)
        group.random_nonzero(delivery, holder.entropy)
        hello = NewHello(
            os.urandom(32), group.public_point(delivery), kek_digest_of(holder.token, key)
        )
        address = address_in(body, ask.attempt, FIRST_NEW_HOLDER + k)
        message = holder.signed_by_identity(NEW_HELLO, address, hello.to_bytes())
        holder.audit("reshare-greeted", {"wallet_id": wallet_id.hex(), "attempt": alpha.hex()})
        attempts.keep(alpha, AttemptDocument.HELLO, message)
    return Greeted(ask.attempt, k, key, delivery)


def forget_greetings(holder: ActingHolder, wallet_id: WalletId) -> None:
    """No wrapping key is left of a HELLO' that led to no share. Of an attempt that this holder did
    not join as an old one nothing else is left either, but of the newest: it is said once.

    Raises:
        Tampered, BackendError: HSM or disk; to be called again.
    """
    attempts, records = holder.attempts(wallet_id), holder.epochs(wallet_id).records()
    named = {key_id_in(holder.token, uri) for each in records for uri in each.kek_uris}
    newest = newest_greeted(attempts)
    for alpha in attempts.all():
        key_id = _key_id_of(holder, wallet_id, alpha)
        if key_id is None or key_id in named:
            continue
        destroy_wrapping_key(holder, wallet_id, key_id)
        if alpha != newest and attempts.kept(alpha, AttemptDocument.JOIN) is None:
            attempts.forget(alpha)


def newest_greeted(attempts: Attempts) -> bytes:
    """The attempt in which HELLO' was said last; empty: in none."""
    greeted = (a for a in attempts.all() if attempts.kept(a, AttemptDocument.HELLO) is not None)
    return max(greeted, default=b"")


def own_key_id(wallet_id: WalletId, k: int, replaced: EpochHash, attempt: Attempt) -> bytes:
    """CKA_ID of KEK' of new holder k (step 6.2.2)."""
    return wrapping_key_id(wallet_id, FIRST_NEW_HOLDER + k, replaced, attempt, _FIRST_KEY)


def _key_id_of(holder: ActingHolder, wallet_id: WalletId, alpha: bytes) -> bytes | None:
    """CKA_ID of the key that this holder made, or was about to make, in an attempt."""
    source = holder.attempts(wallet_id).kept(alpha, AttemptDocument.ASK)
    if source is None:
        return None
    message = parse_envelope(source)
    ask = Ask.from_bytes(message.payload)
    if ask.resharing is None:
        return None
    try:
        k = place_in(holder, ask.resharing.roster)
    except Refused:
        return None
    return own_key_id(wallet_id, k, message.address.epoch_hash, ask.attempt)
