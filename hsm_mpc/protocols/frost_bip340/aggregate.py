"""Partial signatures to one BIP 340 signature, and whose fault it is when they do not fit.

Steps 3.1.8 and 3.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1, verify_bip340
from hsm_mpc.protocols.frost_bip340.nonces import AggregateNonce, InvalidContribution, PublicNonce
from hsm_mpc.protocols.frost_bip340.partial import verify_partial
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.protocols.frost_bip340.signers import EpochKey
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.protocols.signing_messages import Commitment


def aggregate(session: Session, signatures: Sequence[bytes]) -> bytes:
    """xbytes(R) ‖ s, 64 bytes, of one partial signature per signer (step 3.1.8). Not verified yet.

    Raises:
        BadInput: another number of them.
        InvalidContribution: "psig", the first position that is no scalar.
    """
    if len(signatures) != len(session.signers.indices):
        raise BadInput(f"{len(signatures)} partial signatures for {session.signers.indices}")
    total = session.challenge * session.key.sign * session.key.tacc
    for position, signature in enumerate(signatures):
        try:
            total += SECP256K1.parse_scalar(signature)
        except BadEncoding as error:
            raise InvalidContribution(position, "psig") from error
    return session.nonce[1:] + SECP256K1.scalar_bytes(total % ORDER)


class Signing:
    """What a coordinator wants signed: one message under one key of one epoch (`quorum.Scheme`)."""

    def __init__(self, epoch: EpochKey, key: TweakedKey, message: bytes) -> None:
        self.epoch = epoch
        self.key = key
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
        signing = self._signing
        signers = signing.epoch.signers(sorted(self._nonces))
        nonces = AggregateNonce.of(tuple(self._nonces.values()))
        return Session.of(signers, signing.key, nonces, signing.message)

    def verify(self, index: int, signature: bytes) -> None:
        """Step 3.5.1 for the partial signature that holder `index` signed under this list.

        Raises:
            ProtocolAbort: it is wrong, and `index` is the culprit.
        """
        verify_partial(self._session, index, self._nonces[index], signature)

    def signature(self, signatures: Mapping[int, bytes]) -> bytes:
        """The signature, 64 bytes, verified by BIP 340 (step 3.2.5).

        Raises:
            ProtocolAbort: the nonces cancel out, and all partial signatures were right. Only who
                knows all of these nonces can do that: every signer is a culprit.
            InvalidSignature: it does not verify.
            InvalidContribution: a partial signature is no scalar.
        """
        session = self._session
        if session.cancelled:
            raise ProtocolAbort("the nonces of the list cancel out", session.signers.indices)
        finished = aggregate(session, [signatures[index] for index in session.signers.indices])
        verify_bip340(self._signing.key.x_only, self._signing.message, finished)
        return finished
