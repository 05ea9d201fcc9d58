"""The epoch body: the public facts of one epoch, the same bytes for everybody (step 1.6.5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import (
    PROTOCOL_VERSION,
    WalletTerms,
    read_point,
    read_scheme,
    read_version,
)
from hsm_mpc.encoding import Reader, decoding, u8, u32be
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.sharing import evaluate_public, require_index
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import read_name
from hsm_mpc.tags import Tag, tagged_hash

NO_EPOCH_BEFORE = EpochHash(bytes(32))
"""prev_hash of epoch 0."""


class EpochKind(IntEnum):
    """How an epoch came about."""

    KEY_GENERATION = 0
    REFRESH = 1
    RESHARE = 2


@dataclass(frozen=True, slots=True)
class EpochBody:
    """Everything that an epoch hash names. `commitments` are A_0 … A_{t−1}; A_0 is the group key.

    Raises:
        BadInput: from the constructor: other than t commitments, one that is no point, a wrong
            length, or a kind, number and prev_hash that contradict each other.
    """

    kind: EpochKind
    terms: WalletTerms
    epoch: int
    prev_hash: EpochHash
    commitments: tuple[bytes, ...]
    transcript_hash: bytes

    def __post_init__(self) -> None:
        if (len(self.prev_hash), len(self.transcript_hash)) != (32, 32):
            raise BadInput("epoch body: a hash has 32 bytes")
        first = self.kind is EpochKind.KEY_GENERATION
        if first != (self.epoch == 0) or first != (self.prev_hash == NO_EPOCH_BEFORE):
            raise BadInput("epoch body: exactly key generation is epoch 0 with nothing before it")
        if len(self.commitments) != self.terms.sizes.t:
            raise BadInput(f"epoch body: {self.terms.sizes.t} commitments are wanted")
        for commitment in self.commitments:
            self.terms.group.parse_point(commitment)

    @property
    def hash(self) -> EpochHash:
        """h_e: the name of this epoch in code."""
        return EpochHash(tagged_hash(Tag.EPOCH, self.to_bytes()))

    @property
    def group_key(self) -> bytes:
        """Y = A_0."""
        return self.commitments[0]

    def public_share(self, index: int) -> bytes:
        """A(i), always computed and never taken from the wire (step 1.6.6).

        Raises:
            BadInput: no holder has this index.
            ProtocolAbort: A(i) is the identity, which no certified epoch allows.
        """
        require_index(index, self.terms.sizes.n)
        return evaluate_public(self.terms.group, self.commitments, index)

    def to_bytes(self) -> bytes:
        """`body`."""
        return (
            u8(PROTOCOL_VERSION)
            + u8(self.kind)
            + self.terms.head()
            + u32be(self.epoch)
            + self.prev_hash
            + self.terms.tail()
            + b"".join(self.commitments)
            + self.transcript_hash
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> EpochBody:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "epoch body")
        read_version(reader, "epoch body")
        kind = _read_kind(reader)
        wallet_id, name = WalletId(reader.take(16)), read_name(reader, "wallet")
        scheme = read_scheme(reader)
        epoch, prev_hash = reader.u32be(), EpochHash(reader.take(32))
        with decoding("epoch body"):
            sizes = QuorumSizes.read(reader)
            terms = WalletTerms(wallet_id, name, scheme, sizes, reader.take(32), reader.take(32))
            commitments = tuple(read_point(reader, terms.group) for _ in range(sizes.t))
            transcript_hash = reader.take(32)
            reader.end()
            return cls(kind, terms, epoch, prev_hash, commitments, transcript_hash)


def _read_kind(reader: Reader) -> EpochKind:
    number = reader.u8()
    try:
        return EpochKind(number)
    except ValueError as error:
        raise BadEncoding(f"epoch body: kind {number} is unknown") from error
