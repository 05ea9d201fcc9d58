"""Partial signatures to one Ed25519 signature, and whose fault it is when they do not fit.

Steps 4.3.7 and 3.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from hsm_mpc.errors import BadEncoding, ProtocolAbort
from hsm_mpc.groups.ed25519 import ED25519, ORDER, verify_ed25519
from hsm_mpc.protocols.frost_ed25519.nonces import PublicNonce
from hsm_mpc.protocols.frost_ed25519.partial import verify_partial
from hsm_mpc.protocols.frost_ed25519.session import Session
from hsm_mpc.protocols.frost_ed25519.signers import EpochKey
from hsm_mpc.protocols.signing_messages import Commitment


def aggregate(session: Session, signatures: Mapping[int, bytes]) -> bytes:
    """R ‖ Σ z_i, 64 bytes, of one partial signature per signer (step 4.3.7). Not verified yet.

    Raises:
        ProtocolAbort: some are no scalars, and their signers are the culprits.
    """
    total, culprits = 0, []
    for index in session.signers.indices:
        try:
            total += ED25519.parse_scalar(signatures[index])
        except BadEncoding:
            culprits.append(index)
    if culprits:
        raise ProtocolAbort(
            f"the partial signatures of holders {culprits} are no scalars", culprits
        )
    return session.nonce + ED25519.scalar_bytes(total % ORDER)


class Signing:
    """What a coordinator wants signed: one message under the key of one epoch (`quorum.Scheme`)."""

    def __init__(self, epoch: EpochKey, message: bytes) -> None:
        self.epoch = epoch
        self.message = message

    def parse_nonce(self, encoded: bytes) -> PublicNonce:
        """Raises `BadEncoding`: not two points; the evidence against whoever signed it."""
        return PublicNonce.parse(encoded)

    def open(self, listed: Sequence[Commitment]) -> SigningList:
        """The aggregator's side of one SIGN list; its nonces were parsed."""
        return SigningList(self, listed)


class SigningList:
    """One SIGN list at the aggregator. Curve operations wait until the first answer is judged."""

    def __init__(self, signing: Signing, listed: Sequence[Commitment]) -> None:
        self._signing = signing
        self._nonces = {commit.index: PublicNonce.parse(commit.public_nonce) for commit in listed}

    @cached_property
    def _session(self) -> Session:
        """Nonces that cancel out are the work of all signers: who knows less cannot do it."""
        indices = sorted(self._nonces)
        signers = self._signing.epoch.signers(indices)
        nonces = [self._nonces[index] for index in indices]
        try:
            return Session.of(signers, nonces, self._signing.message)
        except ProtocolAbort as error:
            raise ProtocolAbort(str(error), indices) from error

    def verify(self, index: int, signature: bytes) -> None:
        """Step 3.5.1 for the partial signature that holder `index` signed under this list.

        Raises:
            ProtocolAbort: it is wrong, and `index` is the culprit; or the nonces cancel out.
        """
        verify_partial(self._session, index, signature)

    def signature(self, signatures: Mapping[int, bytes]) -> bytes:
        """The signature, 64 bytes, verified by libsodium (step 4.3.7).

        Raises:
            ProtocolAbort: the nonces cancel out, or some are no scalars; with the culprits.
            InvalidSignature: it does not verify.
        """
        finished = aggregate(self._session, signatures)
        signing = self._signing
        verify_ed25519(signing.epoch.threshold_key, signing.message, finished)
        return finished
