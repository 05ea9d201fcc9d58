"""A holder's two answers: a COMMIT to a request, a partial signature to a SIGN list.

Steps 3.3 (round 1) and 3.4.1 to 3.4.12 (round 2: checks, then mathematics).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from operator import attrgetter

from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort, Refused
from hsm_mpc.protocols.frost_bip340.nonces import (
    SECRET_NONCE_BYTES,
    AggregateNonce,
    PublicNonce,
    draw_nonce,
    public_part,
)
from hsm_mpc.protocols.frost_bip340.partial import sign_partial
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.protocols.frost_bip340.signers import EpochKey, SignerSet
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.protocols.leases import Lease, LeaseTerms
from hsm_mpc.protocols.rounds import Faults, kept
from hsm_mpc.protocols.signing_messages import Commitment, CommitPayload
from hsm_mpc.secure.arena import Secret
from hsm_mpc.secure.entropy import Entropy

_session_of = attrgetter("wallet_id", "epoch_hash", "request_id", "k")

Allowed = Callable[[frozenset[int]], bool]
"""The quorum rule that the policy chose for a request: whether this set may sign."""


class RepeatedNonce(ProtocolAbort):
    """Two COMMITs with one lease_id or one public nonce. `pair` shows who; nobody is excluded."""

    def __init__(self, pair: tuple[int, int]) -> None:
        super().__init__(f"holders {pair[0]} and {pair[1]} committed to the same nonce")
        self.pair = pair


@dataclass(frozen=True, slots=True)
class Task:
    """One signature as this holder itself sees it: computed anew for each round, never received.

    `index` is the holder; `epoch` one that it may sign with now (step 6.5.8); `key` and `message`
    come out of its own policy and derivation (sections 3.2.1 and 5).
    """

    wallet_id: bytes
    request_id: bytes
    k: int
    index: int
    epoch: EpochKey
    key: TweakedKey
    message: bytes
    allowed: Allowed

    @property
    def terms(self) -> LeaseTerms:
        """What a lease for this task is bound to."""
        digest = hashlib.sha256(self.message).digest()
        return LeaseTerms(self.wallet_id, self.epoch.epoch_hash, self.request_id, self.k, digest)


def commit(
    task: Task,
    lease_id: bytes,
    entropy: Entropy,
    share: Secret,
    sealed: Callable[[bytes], bytes],
) -> Lease:
    """Round 1: a fresh nonce in a slot of its own (steps 3.3.2 to 3.3.4).

    `lease_id` is 16 random bytes. `share` is only read: its owner wipes it at once. `sealed` makes
    the COMMIT message of its payload (header and signature).
    """
    terms = task.terms
    public = public_part(
        public_share=task.epoch.public_share(task.index),
        x_only_key=task.key.x_only,
        extra=terms.bound_to(lease_id),
    )
    with share.arena.open(), kept(share.arena) as take:
        secret_nonce = take(SECRET_NONCE_BYTES)
        nonce = draw_nonce(entropy, share, public, secret_nonce)
        message = sealed(CommitPayload(task.k, lease_id, nonce).to_bytes())
        return Lease(lease_id, terms, task.key.point, nonce, message, secret_nonce)


def answer(
    task: Task,
    lease: Lease,
    listed: Sequence[Commitment],
    share: AbstractContextManager[Secret],
) -> bytes:
    """Round 2: the partial signature, 32 public bytes, for a lease just taken out of the table.

    Entering `share` unseals it (32 bytes), and only after every check that needs no share. Both
    secrets are wiped whatever happens. The caller sends the result only once its audit line is
    durable (steps 3.4.14, 3.4.15).

    Raises:
        Refused, ProtocolAbort, BadInput: as `checked_session`.
        Tampered, ProtocolAbort: as `sign_partial`.
    """
    try:
        session = checked_session(task, lease, listed)
        own_nonce = PublicNonce.parse(lease.public_nonce)
        with lease.secret_nonce.arena.open(), share as scalar:
            return sign_partial(session, task.index, own_nonce, lease.secret_nonce, scalar)
    finally:
        lease.secret_nonce.release()


def checked_session(task: Task, lease: Lease, listed: Sequence[Commitment]) -> Session:
    """Steps 3.4.1 to 3.4.9, in this order, for COMMITs whose envelopes were verified.

    Raises:
        Refused: `lease-session`, `quorum` or `message-changed`.
        ProtocolAbort: the list is not one that an honest relay sends (no culprit), or a nonce is
            no pair of points (its holders are the culprits).
        RepeatedNonce: two entries share a nonce.
        BadInput: another output key than when the lease was made, or b or e is 0.
    """
    terms = task.terms
    _check_lease(terms, lease.terms)
    signers = _checked_list(task, lease, listed)
    nonces = _parsed_nonces(task, lease, listed)
    _check_no_nonce_twice(listed)
    if terms.message_digest != lease.terms.message_digest:  # step 3.4.7
        raise Refused("message-changed", "the request now gives another message to sign")
    if task.key.point != lease.key:  # step 3.4.9
        raise BadInput("the request now gives another key than when the nonce was made")
    return Session.of(signers, task.key, AggregateNonce.of(nonces), task.message)


def _check_lease(now: LeaseTerms, made_for: LeaseTerms) -> None:
    """Step 3.4.1, for a lease out of the own table."""
    if _session_of(now) != _session_of(made_for):
        raise Refused("lease-session", "this nonce was made for another request or epoch")


def _checked_list(task: Task, lease: Lease, listed: Sequence[Commitment]) -> SignerSet:
    """Steps 3.4.2 to 3.4.4; the signers with the public shares of the own epoch (step 3.4.8)."""
    indices = [entry.index for entry in listed]
    try:
        signers = task.epoch.signers(indices)
    except BadInput as error:
        raise ProtocolAbort(f"SIGN list: {error}") from error
    if any(entry.k != task.k for entry in listed):
        raise ProtocolAbort(f"SIGN list: an entry is not for signature {task.k}")
    if not task.allowed(frozenset(indices)):
        raise Refused("quorum", f"holders {indices} may not sign this by themselves")
    own = [entry.message for entry in listed if entry.index == task.index]
    if own != [lease.commit]:
        raise ProtocolAbort("SIGN list: our own COMMIT is missing or changed")
    return signers


def _parsed_nonces(
    task: Task, lease: Lease, listed: Sequence[Commitment]
) -> tuple[PublicNonce, ...]:
    """Step 3.4.5; the own nonce is the lease's."""
    faults, nonces = Faults(), []
    for entry in listed:
        own = entry.index == task.index
        try:
            nonces.append(PublicNonce.parse(lease.public_nonce if own else entry.public_nonce))
        except BadEncoding as error:
            faults.blame(entry.index, f"public nonce: {error}")
    faults.raise_if_any()
    return tuple(nonces)


def _check_no_nonce_twice(listed: Sequence[Commitment]) -> None:
    """Step 3.4.6."""
    seen: dict[bytes, int] = {}
    for entry in listed:
        for name in (entry.lease_id, entry.public_nonce):
            if name in seen:
                raise RepeatedNonce((seen[name], entry.index))
            seen[name] = entry.index
