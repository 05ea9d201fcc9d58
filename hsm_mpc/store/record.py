"""The epoch record: what a holder's own signature says about its share of one epoch (1.11.6)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from hsm_mpc.encoding import Reader, lv16, u8, u16be, u32be
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.ids import EpochHash, HolderIndex, WalletId
from hsm_mpc.tags import Tag

Sign = Callable[[Tag, bytes], bytes]
"""`IdSign_i(tag, message)`: the signature (step 1.6.2)."""

Verify = Callable[[Tag, bytes, bytes], None]
"""`IdVerify(tag, message, signature)`: raises an `HsmMpcError` unless it is of this holder."""

VERSION = 1
NOT_SEALED = bytes(32)
"""The blob's digest while its wrapping key may exist and the blob does not (step 6.2.2)."""

_URI = re.compile(r"[!-~]{1,1024}")
_EXTRA_CAP = 7


class EpochState(IntEnum):
    """How far the share of an epoch has come (step 1.11.6)."""

    PREPARED = 1
    CERTIFIED = 2
    ACTIVE = 3
    STAGED = 4
    ACKED = 5
    ADOPTED = 6
    RETIRING = 7


class PairStatus(IntEnum):
    """Whether an ECDSA pair state may be used."""

    ACTIVE = 1
    STALE = 2
    QUARANTINED = 3


@dataclass(frozen=True, slots=True)
class Pair:
    """One ECDSA pair state: file `pairs/<peer>-<generation>`.

    Raises: BadInput: from the constructor, for a value out of its range.
    """

    peer: HolderIndex
    generation: int
    status: PairStatus
    digest: bytes  # SHA-256 of the file, 32 bytes

    def __post_init__(self) -> None:
        if not (1 <= self.peer <= 255 and 1 <= self.generation <= 0xFFFF):
            raise BadInput("a pair state has a peer 1 to 255 and a generation 1 to 65535")
        if len(self.digest) != 32:
            raise BadInput("a pair state's digest is 32 bytes long")


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What stands in the file `record` but for the signature.

    Raises: BadInput: from the constructor, for a value that a record never holds.
    """

    state: EpochState
    epoch_hash: EpochHash
    blob_digest: bytes  # SHA-256 of the blob's file, or NOT_SEALED
    kek_uri: str
    extra_uris: tuple[str, ...]  # further recipients, each a key of its own (step 1.11.7)
    key_generation: int  # g of step 6.2.2
    clients_version: int
    clients_hash: bytes
    pairs: tuple[Pair, ...]  # strictly ascending by (peer, generation)

    def __post_init__(self) -> None:
        if (len(self.epoch_hash), len(self.blob_digest), len(self.clients_hash)) != (32, 32, 32):
            raise BadInput("an epoch record's hashes are 32 bytes long")
        uris = self.kek_uris
        if len(self.extra_uris) > _EXTRA_CAP or len(set(uris)) != len(uris):
            raise BadInput(
                f"an epoch record names at most {_EXTRA_CAP} further keys, all different"
            )
        if not all(_URI.fullmatch(uri) for uri in uris):
            raise BadInput("a key uri is 1 to 1024 visible ASCII characters")
        slots = [(pair.peer, pair.generation) for pair in self.pairs]
        if slots != sorted(set(slots)):
            raise BadInput("an epoch record's pairs are strictly ascending")

    @property
    def kek_uris(self) -> tuple[str, ...]:
        """Of every wrapping key that opens the blob."""
        return self.kek_uri, *self.extra_uris

    def to_bytes(self, wallet_id: WalletId, index: HolderIndex, sign: Sign) -> bytes:
        """The signed record of holder `index` of this wallet.

        Raises: what `sign` raises.
        """
        unsigned = self._unsigned()
        return unsigned + lv16(sign(Tag.RECORD, _signed_message(wallet_id, index, unsigned)))

    def _unsigned(self) -> bytes:
        return b"".join(
            (
                u8(VERSION),
                u8(self.state),
                self.epoch_hash,
                self.blob_digest,
                lv16(self.kek_uri.encode("ascii")),
                u16be(len(self.extra_uris)),
                *(lv16(uri.encode("ascii")) for uri in self.extra_uris),
                u32be(self.key_generation),
                u32be(self.clients_version),
                self.clients_hash,
                u16be(len(self.pairs)),
                *(_pair_bytes(pair) for pair in self.pairs),
            )
        )


def parse(raw: bytes, wallet_id: WalletId, index: HolderIndex, verify: Verify) -> EpochRecord:
    """The record in `raw` when it is one that holder `index` signed for this wallet.

    Raises:
        BadEncoding: the bytes are not a record.
        HsmMpcError: what `verify` raises: another wallet's, another holder's, or changed.
    """
    reader = Reader(raw, "epoch record")
    if (version := reader.u8()) != VERSION:
        raise BadEncoding(f"epoch record: version {version}, known is {VERSION}")
    try:
        record = EpochRecord(
            state=EpochState(reader.u8()),
            epoch_hash=EpochHash(reader.take(32)),
            blob_digest=reader.take(32),
            kek_uri=reader.lv16().decode("ascii"),
            extra_uris=tuple(reader.lv16().decode("ascii") for _ in range(reader.u16be())),
            key_generation=reader.u32be(),
            clients_version=reader.u32be(),
            clients_hash=reader.take(32),
            pairs=tuple(_read_pair(reader) for _ in range(reader.u16be())),
        )
    except BadEncoding:
        raise
    except ValueError as error:  # refused by the constructor, no such state, text not ASCII
        raise BadEncoding(f"epoch record: {error}") from error
    unsigned = raw[: reader.consumed]
    signature = reader.lv16()
    reader.end()
    verify(Tag.RECORD, _signed_message(wallet_id, index, unsigned), signature)
    return record


def _signed_message(wallet_id: WalletId, index: HolderIndex, unsigned: bytes) -> bytes:
    return lv16(wallet_id) + u16be(index) + unsigned


def _pair_bytes(pair: Pair) -> bytes:
    return u16be(pair.peer) + u16be(pair.generation) + u8(pair.status) + pair.digest


def _read_pair(reader: Reader) -> Pair:
    return Pair(
        peer=HolderIndex(reader.u16be()),
        generation=reader.u16be(),
        status=PairStatus(reader.u8()),
        digest=reader.take(32),
    )
