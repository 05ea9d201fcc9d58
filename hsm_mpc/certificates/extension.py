"""ext: what the key generation certifies besides the key (step 2.6.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import WalletTerms, read_point, read_scheme
from hsm_mpc.encoding import Reader, decoding
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.ids import WalletId
from hsm_mpc.roster import read_name

_MAGIC: Final = b"HMPC-EXT1"


@dataclass(frozen=True, slots=True)
class Extension:
    """The extension bytes of our COCKTAIL transcripts, parsed. Lists run in roster order.

    Raises:
        BadInput: from the constructor: other than n keys or digests, a key that is no point, or a
            hash of another length.
    """

    terms: WalletTerms
    clients_hash: bytes
    delivery_keys: tuple[bytes, ...]
    kek_digests: tuple[bytes, ...]
    session_id: bytes

    def __post_init__(self) -> None:
        n = self.terms.sizes.n
        if (len(self.delivery_keys), len(self.kek_digests)) != (n, n):
            raise BadInput(f"ext: {n} delivery keys and {n} digests are wanted")
        hashes = (self.clients_hash, self.session_id, *self.kek_digests)
        if any(len(digest) != 32 for digest in hashes):
            raise BadInput("ext: a hash has 32 bytes")
        for key in self.delivery_keys:
            self.terms.group.parse_point(key)

    def to_bytes(self) -> bytes:
        """`ext`."""
        return (
            _MAGIC
            + self.terms.head()
            + self.terms.tail()
            + self.clients_hash
            + b"".join(self.delivery_keys)
            + b"".join(self.kek_digests)
            + self.session_id
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> Extension:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "ext")
        if reader.take(len(_MAGIC)) != _MAGIC:
            raise BadEncoding("ext: it does not begin with HMPC-EXT1")
        wallet_id, name = WalletId(reader.take(16)), read_name(reader, "wallet")
        scheme = read_scheme(reader)
        with decoding("ext"):
            sizes = QuorumSizes.read(reader)
            terms = WalletTerms(wallet_id, name, scheme, sizes, reader.take(32), reader.take(32))
            clients_hash = reader.take(32)
            delivery_keys = tuple(read_point(reader, terms.group) for _ in range(sizes.n))
            kek_digests = tuple(reader.take(32) for _ in range(sizes.n))
            session_id = reader.take(32)
            reader.end()
            return cls(terms, clients_hash, delivery_keys, kek_digests, session_id)
