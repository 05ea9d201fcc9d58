"""A holder's two answers: a COMMIT to a request, a partial signature to a SIGN list.

Steps 3.3 (round 1) and 3.4.1 to 3.4.12 (round 2: checks, then mathematics).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from hsm_mpc.errors import BadInput
from hsm_mpc.protocols import list_checks
from hsm_mpc.protocols.frost_bip340.nonces import (
    SECRET_NONCE_BYTES,
    AggregateNonce,
    PublicNonce,
    draw_nonce,
    public_part,
)
from hsm_mpc.protocols.frost_bip340.partial import sign_partial
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.protocols.frost_bip340.signers import EpochKey
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.protocols.leases import Lease, LeaseTerms
from hsm_mpc.protocols.list_checks import Allowed
from hsm_mpc.protocols.rounds import kept
from hsm_mpc.protocols.signing_messages import Commitment, CommitPayload
from hsm_mpc.secure.arena import Secret
from hsm_mpc.secure.entropy import Entropy


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
        self,
        lease_id: bytes,
        entropy: Entropy,
        share: Secret,
        sealed: Callable[[bytes], bytes],
    ) -> Lease:
        """Round 1 (steps 3.3.2 to 3.3.4); see `SigningTask`."""
        terms = self.terms
        public = public_part(
            public_share=self.epoch.public_share(self.index),
            x_only_key=self.key.x_only,
            extra=terms.bound_to(lease_id),
        )
        with share.arena.open(), kept(share.arena) as take:
            secret_nonce = take(SECRET_NONCE_BYTES)
            nonce = draw_nonce(entropy, share, public, secret_nonce)
            message = sealed(CommitPayload(self.k, lease_id, nonce).to_bytes())
            return Lease(lease_id, terms, self.key.point, nonce, message, secret_nonce)

    def answer(
        self,
        lease: Lease,
        listed: Sequence[Commitment],
        share: AbstractContextManager[Secret],
    ) -> bytes:
        """Round 2; see `SigningTask`.

        Raises:
            Refused, ProtocolAbort, BadInput: as `checked_session`.
            Tampered, ProtocolAbort: as `sign_partial`.
        """
        try:
            session = checked_session(self, lease, listed)
            own_nonce = PublicNonce.parse(lease.public_nonce)
            with lease.secret_nonce.arena.open(), share as scalar:
                return sign_partial(session, self.index, own_nonce, lease.secret_nonce, scalar)
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
    list_checks.require_same_session(terms, lease.terms)
    signers = list_checks.signer_set(listed, task.epoch.signers)
    list_checks.require_one_signature(listed, task.k)
    list_checks.require_allowed(listed, task.allowed)
    list_checks.require_own_commit(listed, task.index, lease.commit)
    nonces = list_checks.parsed_nonces(  # step 3.4.5
        listed, task.index, lease.public_nonce, PublicNonce.parse
    )
    list_checks.require_no_nonce_twice(listed)
    list_checks.require_same_message(terms, lease.terms)
    if task.key.point != lease.key:  # step 3.4.9
        raise BadInput("the request now gives another key than when the nonce was made")
    return Session.of(signers, task.key, AggregateNonce.of(nonces), task.message)
