"""A signature as a client asks for it, and verifies it before anybody sees it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.errors import BadEncoding, InvalidSignature, Tampered
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.requests import Request, RequestType, UnsignedRequest
from hsm_mpc.tags import Tag
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.wallet_calls import indices_from_bytes

REQUEST_VALIDITY: Final = 600
"""Seconds that a request for a signature is good for."""


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A signature that was verified under the key at the path of its request."""

    request_id: bytes
    signature: bytes
    message: bytes
    public_key: bytes
    signers: tuple[int, ...]
    epoch_hash: bytes
    """Which epoch signed, as the coordinator says."""


class Requester:
    """Requests for signatures under a client's request key; `sign` as of `WalletClient`."""

    def __init__(
        self, key: VerifyingKey, sign: Callable[[Tag, bytes], bytes], clock: Callable[[], int]
    ) -> None:
        self._key = key
        self._sign = sign
        self._clock = clock

    def request(
        self, wallet: VerifiedWallet, kind: RequestType, content: bytes, path: Path
    ) -> Request:
        """A new one, for one signature under the key at `path`."""
        unsigned = UnsignedRequest(
            wallet_id=wallet.certificate.body.terms.wallet_id,
            kind=kind,
            content=content,
            paths=(path,),
            script_root=b"",
            policy_evidence=b"",
            not_after=self._clock() + REQUEST_VALIDITY,
            nonce=os.urandom(32),
        )
        message = unsigned.signed_message(self._key)
        return Request(unsigned, self._key, self._sign(Tag.CLIENT, message))


def signature_in(
    parts: tuple[bytes, ...], request: Request, wallet: VerifiedWallet, holders: int
) -> VerifiedSignature:
    """The answer to a request with one path.

    Args:
        holders: how many stand in the pinned roster.

    Raises:
        BadEncoding: it has other parts.
        Tampered: it is no signature of this message under this key, or no quorum's.
    """
    if len(parts) != 3:
        raise BadEncoding(f"a signature in {len(parts)} parts")
    signature, signers, epoch_hash = parts
    (path,), message = request.content.paths, request.content.content
    try:
        wallet.key.verify(path, message, signature)
    except InvalidSignature as forged:
        raise Tampered("the coordinator gave a signature that does not verify") from forged
    told = indices_from_bytes(signers)
    if len(set(told)) < wallet.threshold or not set(told).issubset(range(1, holders + 1)):
        raise Tampered("the coordinator names signers that are no quorum")
    key = wallet.key.public_key(path)
    return VerifiedSignature(request.id, signature, message, key, told, epoch_hash)
