"""The functions of BIP 445 as its vectors call them, over the product's own functions.

Ids are 0-based; every secret is copied into a slot and the product works on it in place. Only
`deterministic_sign` (step 3.1.9) is not the product's: three replays of it reveal the share.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.encoding import u8, u32be, u64be
from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1
from hsm_mpc.protocols.frost_bip340.aggregate import aggregate
from hsm_mpc.protocols.frost_bip340.nonces import (
    AggregateNonce,
    InvalidContribution,
    PublicNonce,
    derive_nonce,
    public_part,
)
from hsm_mpc.protocols.frost_bip340.partial import sign_partial, verify_partial
from hsm_mpc.protocols.frost_bip340.session import Session
from hsm_mpc.protocols.frost_bip340.signers import SignerSet
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.secure.arena import Secret, Take, move_bytes, publish
from hsm_mpc.tags import Tag, tagged_hash
from tests.secure.bytes_of import filled


@dataclass(frozen=True)
class Signers:
    """(n, t, ids, public shares, threshold key) as a caller of BIP 445 lists them."""

    n: int
    t: int
    ids: Sequence[int]
    public_shares: Sequence[bytes]
    threshold_key: bytes

    def validated(self) -> SignerSet:
        indices = [id_ + 1 for id_ in self.ids]
        return SignerSet.validated(self.t, self.n, indices, self.public_shares, self.threshold_key)


@dataclass(frozen=True)
class Context:
    """What all functions of a session take."""

    signers: Signers
    tweaks: Sequence[bytes]
    x_only: Sequence[bool]
    message: bytes

    def session(self, aggregate_nonce: bytes) -> Session:
        """Step 3.1.5, in the order of step 3.1.10."""
        signers = self.signers.validated()
        pairs = list(zip(self.tweaks, self.x_only, strict=True))
        key = TweakedKey.of(signers.threshold_key, pairs)
        return Session.of(signers, key, AggregateNonce.parse(aggregate_nonce), self.message)


def nonce_gen(
    take: Take,
    random: bytes,
    share: bytes | None,
    public_share: bytes | None,
    x_only_key: bytes | None,
    message: bytes | None,
    extra: bytes | None,
) -> tuple[bytes, bytes]:
    """(secret nonce, public nonce) of 32 given random bytes."""
    public = public_part(public_share or b"", x_only_key or b"", message, extra or b"")
    into = take(64)
    slot = None if share is None else filled(take(32), share)
    nonce = derive_nonce(lambda out, _: move_bytes(out, random, 32), slot, public, into)
    return publish(into), bytes(nonce)


def nonce_agg(public_nonces: Sequence[bytes]) -> bytes:
    """Step 3.1.4. The product knows whose each nonce is, and names the holder."""
    nonces = []
    for position, nonce in enumerate(public_nonces):
        try:
            nonces.append(PublicNonce.parse(nonce))
        except BadEncoding as error:
            raise InvalidContribution(position, "pubnonce") from error
    return AggregateNonce.of(nonces).to_bytes()


def sign(
    take: Take, secret_nonce: bytes, share: bytes, my_id: int, context: Context, nonces: bytes
) -> bytes:
    session = context.session(nonces)
    return _signed(filled(take(64), secret_nonce), filled(take(32), share), my_id, session)


def _signed(secret_nonce: Secret, share: Secret, my_id: int, session: Session) -> bytes:
    """Step 3.1.6. A signer knows its public nonce; BIP 445 does not hand it in."""
    try:
        own_nonce = _public_nonce_of(secret_nonce)
    except ProtocolAbort as error:
        raise BadInput("the secret nonce is out of range") from error
    if not SECP256K1.is_canonical_nonzero(share):
        raise BadInput("the share is out of range")
    if SECP256K1.public_point(share) not in session.signers.public_shares:
        raise BadInput("the public share is not among the signers'")
    return sign_partial(session, my_id + 1, own_nonce, secret_nonce, share)


def _public_nonce_of(secret_nonce: Secret) -> PublicNonce:
    with secret_nonce.open() as at:
        return PublicNonce.of(SECP256K1.public_point_at(at), SECP256K1.public_point_at(at + 32))


def partial_sig_verify(
    signature: bytes, public_nonces: Sequence[bytes], context: Context, position: int
) -> bool:
    session = context.session(nonce_agg(public_nonces))
    nonce = PublicNonce.parse(public_nonces[position])
    try:
        verify_partial(session, context.signers.ids[position] + 1, nonce, signature)
    except ProtocolAbort:
        return False
    return True


def partial_sig_agg(signatures: Sequence[bytes], context: Context, nonces: bytes) -> bytes:
    return aggregate(context.session(nonces), signatures)


def deterministic_sign(
    take: Take,
    share: bytes,
    my_id: int,
    others: bytes | None,
    context: Context,
    random: bytes | None,
) -> tuple[bytes, bytes]:
    """(public nonce, partial signature) of nonces that the inputs determine."""
    signers = context.signers.validated()
    key = TweakedKey.of(signers.threshold_key, zip(context.tweaks, context.x_only, strict=True))
    hedged = share
    if random is not None:
        aux = tagged_hash(Tag.BIP445_AUX, random)
        hedged = bytes(left ^ right for left, right in zip(share, aux, strict=True))
    seed = hedged + u32be(my_id) + u32be(len(signers.indices)) + signers.encoded_ids
    seed += (others or b"") + key.x_only + u64be(len(context.message)) + context.message
    halves = (_tagged(seed + u8(half)) % ORDER for half in (0, 1))
    secret_nonce = filled(take(64), b"".join(half.to_bytes(32, "big") for half in halves))
    own = _public_nonce_of(secret_nonce)
    session = context.session(_with_others(own, others))
    return bytes(own), _signed(secret_nonce, filled(take(32), share), my_id, session)


def _with_others(own: PublicNonce, others: bytes | None) -> bytes:
    if others is None:
        return bytes(own)
    try:
        return nonce_agg([own, others])
    except InvalidContribution as error:
        raise InvalidContribution(None, "aggothernonce") from error


def _tagged(message: bytes) -> int:
    prefix = hashlib.sha256(b"BIP0445/deterministic/nonce").digest()
    return int.from_bytes(hashlib.sha256(prefix + prefix + message).digest(), "big")
