"""Blobs of the tests, and what only tests may do: secrets as plain bytes, any change of a file."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from asn1crypto import cms

from hsm_mpc.ids import EpochHash, HolderIndex, Scheme, WalletId
from hsm_mpc.sealing.context import Context, Pair
from hsm_mpc.sealing.sealed import SealedShare, rewrap, seal, unseal
from hsm_mpc.secure.arena import Arena, publish
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wrapping.base import WrappingKey
from tests.wrapping.software import write

SHARE = bytes(range(64))
NOW = 1_763_816_400
CONTEXT = Context(
    wallet_id=WalletId(b"wallet of a test"),
    holder=HolderIndex(1),
    scheme=Scheme.TAPROOT,
    epoch=3,
    threshold=2,
    epoch_hash=EpochHash(b"epoch hash of a test, 32 bytes.."),
)
PAIR_CONTEXT = Context(
    CONTEXT.wallet_id,
    CONTEXT.holder,
    Scheme.ECDSA,
    CONTEXT.epoch,
    CONTEXT.threshold,
    CONTEXT.epoch_hash,
    Pair(HolderIndex(2), 7),
)


def sealed_by(
    arena: Arena, *keys: WrappingKey, context: Context = CONTEXT, content: bytes = SHARE
) -> bytes:
    """A blob with `content` for `keys`."""

    def work() -> bytes:
        with arena.scope() as take:
            secret = take(len(content))
            write(secret, content)
            return seal(secret, context, keys, Entropy(), NOW)

    return run_shielded(work)


def opened_by(
    arena: Arena,
    key: WrappingKey,
    encoded: bytes,
    context: Context = CONTEXT,
    digest: bytes | None = None,
    size: int | None = None,
) -> bytes:
    """The content of a blob, under the digest of these very bytes unless another is given."""

    def work() -> bytes:
        sealed = SealedShare.parse(encoded)
        with arena.scope() as take:
            into = take(size or len(sealed.blob.ciphertext))
            unseal(sealed, key, context, digest or hashlib.sha256(encoded).digest(), into)
            return publish(into)

    return run_shielded(work)


def rewrapped_by(
    arena: Arena,
    encoded: bytes,
    key: WrappingKey,
    *new_keys: WrappingKey,
    context: Context = CONTEXT,
    digest: bytes | None = None,
) -> bytes:
    """The blob for other keys, under the digest of these very bytes unless another is given."""
    sealed = SealedShare.parse(encoded)
    return run_shielded(
        lambda: rewrap(sealed, key, context, digest or sealed.digest, new_keys, arena)
    )


def everything_in(arena: Arena) -> bytes:
    """Every byte of the arena's pages, slots, canaries and gaps."""
    with arena.open() as start:
        return ctypes.string_at(start, arena._mapping.length)


def assert_nothing_left(arena: Arena) -> None:
    """All slots are given back and all pages are zero."""
    pages = everything_in(arena)
    assert arena.free_bytes == len(pages)
    assert pages == bytes(len(pages))


def changed(encoded: bytes, change: Callable[[Any], None]) -> bytes:
    """The blob after `change` was applied to its AuthEnvelopedData, encoded anew in DER."""
    info = cms.ContentInfo.load(encoded)
    change(info["content"])
    result: bytes = info.dump(force=True)
    return result


def flipped(encoded: bytes, bit: int) -> bytes:
    """The bytes with one bit the other way round."""
    return bytes(
        byte ^ (1 << bit % 8) if position == bit // 8 else byte
        for position, byte in enumerate(encoded)
    )


def recipients_of(encoded: bytes) -> Sequence[Any]:
    """The asn1crypto view of the recipients."""
    infos: Sequence[Any] = cms.ContentInfo.load(encoded)["content"]["recipient_infos"]
    return infos
