"""`sign`, `verify`: signatures that a client asks for. Everything shown was verified here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as File

from hsm_mpc.app.client import connected
from hsm_mpc.app.inputs import DIGEST_BYTES
from hsm_mpc.requests import RequestType
from hsm_mpc.taproot.derivation import Path


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that was verified. `digest` is what was signed where that is 32 bytes."""

    request_id: bytes
    wallet: str
    epoch: int
    signature: bytes
    public_key: bytes
    signers: tuple[str, ...]
    digest: bytes | None
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature verifies."""

    wallet: str
    public_key: bytes
    valid: bool = True


def sign(
    config_path: File,
    name: str,
    content: bytes,
    *,
    digest: bool,
    signers: Sequence[str],
    path: str,
) -> Signature:
    """A signature of a message, or of a digest, by the key at `path`.

    Raises:
        BadInput: a path, digest or signer that is none.
        Others: as `WalletClient.sign`.
    """
    began = time.monotonic()
    kind = RequestType.DIGEST if digest else RequestType.MESSAGE
    where = Path.parse(path)
    with connected(config_path) as client:
        indices = sorted({client.roster.index_of(signer) for signer in signers})
        wallet = client.show(name)
        signed = client.sign(wallet, kind, content, where, indices)
        return Signature(
            request_id=signed.request_id,
            wallet=name,
            epoch=client.epoch_of(wallet, signed.epoch_hash),
            signature=signed.signature,
            public_key=signed.public_key,
            signers=tuple(client.roster.member(index).name for index in signed.signers),
            digest=content if len(content) == DIGEST_BYTES else None,
            elapsed_ms=round((time.monotonic() - began) * 1000),
        )


def verify(config_path: File, name: str, content: bytes, signature: bytes, path: str) -> Verified:
    """Check a signature of a message under the wallet's key at `path`.

    Raises:
        InvalidSignature: it does not verify.
    """
    where = Path.parse(path)
    with connected(config_path) as client:
        wallet = client.show(name)
    wallet.require_path(where)
    wallet.key.verify(where, content, signature)
    return Verified(name, wallet.key.public_key(where))
