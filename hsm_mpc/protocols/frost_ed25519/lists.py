"""A holder's two answers: a COMMIT to a request, a partial signature to a SIGN list (section 4.4).

Round 1 is step 4.5; round 2 is 3.4.1 to 3.4.7 and 4.4.1 to 4.4.4, then the mathematics of 4.6.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from hsm_mpc.protocols import list_checks
from hsm_mpc.protocols.frost_ed25519.nonces import SECRET_NONCE_BYTES, PublicNonce, draw_nonce
from hsm_mpc.protocols.frost_ed25519.partial import sign_partial
from hsm_mpc.protocols.frost_ed25519.session import Session
from hsm_mpc.protocols.frost_ed25519.signers import EpochKey
from hsm_mpc.protocols.leases import Lease, LeaseTerms
from hsm_mpc.protocols.list_checks import Allowed
from hsm_mpc.protocols.rounds import kept
from hsm_mpc.protocols.signing_messages import Commitment, CommitPayload
from hsm_mpc.secure.arena import Secret
from hsm_mpc.secure.entropy import Entropy


@dataclass(frozen=True, slots=True)
class Task:
    """One signature as this holder itself sees it: computed anew for each round, never received.

    `index` is the holder; `epoch` one that it may sign with now (step 6.5.8), whose threshold key
    is the key of the signature; `message` comes out of its own policy (section 3.2.1).
    """

    wallet_id: bytes
    request_id: bytes
    k: int
    index: int
    epoch: EpochKey
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
        """Round 1 (step 4.5); see `SigningTask`."""
        with share.arena.open(), kept(share.arena) as take:
            secret_nonce = take(SECRET_NONCE_BYTES)
            nonce = draw_nonce(entropy, share, secret_nonce)
            message = sealed(CommitPayload(self.k, lease_id, nonce).to_bytes())
            key = self.epoch.threshold_key
            return Lease(lease_id, self.terms, key, nonce, message, secret_nonce)

    def answer(
        self,
        lease: Lease,
        listed: Sequence[Commitment],
        share: AbstractContextManager[Secret],
    ) -> bytes:
        """Round 2; see `SigningTask`.

        Raises:
            Refused, ProtocolAbort: as `checked_session`.
            Tampered, ProtocolAbort, BadInput: as `sign_partial`.
        """
        try:
            session = checked_session(self, lease, listed)
            with lease.secret_nonce.arena.open(), share as scalar:
                return sign_partial(session, self.index, lease.secret_nonce, scalar)
        finally:
            lease.secret_nonce.release()


def checked_session(task: Task, lease: Lease, listed: Sequence[Commitment]) -> Session:
    """Steps 3.4.1 to 3.4.7 and 4.4.1 to 4.4.3, for COMMITs whose envelopes were verified.

    Raises:
        Refused: `lease-session`, `quorum` or `message-changed`.
        ProtocolAbort: the list is not one that an honest relay sends, or its nonces cancel out (no
            culprit), or a nonce is no pair of points (its holders are the culprits).
        RepeatedNonce: two entries share a nonce.
    """
    terms = task.terms
    list_checks.require_same_session(terms, lease.terms)
    signers = list_checks.signer_set(listed, task.epoch.signers)
    list_checks.require_one_signature(listed, task.k)
    list_checks.require_allowed(listed, task.allowed)
    list_checks.require_own_commit(listed, task.index, lease.commit)
    nonces = list_checks.parsed_nonces(  # step 4.4.1
        listed, task.index, lease.public_nonce, PublicNonce.parse
    )
    list_checks.require_no_nonce_twice(listed)
    list_checks.require_same_message(terms, lease.terms)
    return Session.of(signers, nonces, task.message)
