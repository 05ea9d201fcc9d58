"""T: what all holders of a key generation sign (step 2.5.10), parsed exactly."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain

from hsm_mpc.certificates.terms import read_point
from hsm_mpc.encoding import Reader, decoding, u32le, u64le
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.proofs import PublicSuite, signature_length


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of COCKTAIL-DKG. Lists run in roster order; there is no ciphertext in it.

    Raises:
        BadInput: from the constructor: lists that do not fit each other, or a static, commitment
            or ephemeral key that is no point.
    """

    suite: PublicSuite
    context: bytes
    threshold: int
    static_keys: tuple[bytes, ...]
    """P_1 … P_n."""
    commitments: tuple[tuple[bytes, ...], ...]
    """C_j = C_{j,0} … C_{j,t−1} for each j."""
    possessions: tuple[bytes, ...]
    """PoP_1 … PoP_n."""
    ephemeral_keys: tuple[bytes, ...]
    """E_1 … E_n."""
    extension: bytes

    def __post_init__(self) -> None:
        lists = (self.commitments, self.possessions, self.ephemeral_keys)
        if any(len(of_holders) != self.n for of_holders in lists):
            raise BadInput(f"transcript: every list is of {self.n} holders")
        if any(len(own) != self.threshold for own in self.commitments):
            raise BadInput(f"transcript: every holder has {self.threshold} commitments")
        for point in (
            *self.static_keys,
            *chain.from_iterable(self.commitments),
            *self.ephemeral_keys,
        ):
            self.suite.group.parse_point(point)

    @property
    def n(self) -> int:
        """How many holders."""
        return len(self.static_keys)

    @property
    def hash(self) -> bytes:
        """transcript_hash of the epoch body: SHA-256(T) for every suite (step 2.6.6)."""
        return hashlib.sha256(self.to_bytes()).digest()

    def possession_message(self, index: int) -> bytes:
        """What PoP_index signs: context ‖ C ‖ E (step 2.5.2)."""
        own = b"".join(self.commitments[index - 1])
        return self.context + own + self.ephemeral_keys[index - 1]

    def to_bytes(self) -> bytes:
        """`T`."""
        suite_id = self.suite.suite_id
        return b"".join(
            (
                u64le(len(suite_id)) + suite_id,
                u64le(len(self.context)) + self.context,
                u32le(self.n) + u32le(self.threshold),
                *self.static_keys,
                *chain.from_iterable(self.commitments),
                *self.possessions,
                *self.ephemeral_keys,
                u64le(len(self.extension)) + self.extension,
            )
        )

    @classmethod
    def from_bytes(cls, source: bytes, suite: PublicSuite) -> Transcript:
        """Inverse of `to_bytes` for this suite; `BadEncoding` for anything else."""
        reader = Reader(source, "transcript")
        if _read_long(reader) != suite.suite_id:
            raise BadEncoding("transcript: it is of another suite")
        context = _read_long(reader)
        n, threshold = _read_count(reader), _read_count(reader)

        def points(count: int) -> tuple[bytes, ...]:
            return tuple(read_point(reader, suite.group) for _ in range(count))

        static_keys = points(n)
        commitments = tuple(points(threshold) for _ in range(n))
        possessions = tuple(reader.take(signature_length(suite)) for _ in range(n))
        ephemeral_keys, extension = points(n), _read_long(reader)
        reader.end()
        with decoding("transcript"):
            return cls(
                suite,
                context,
                threshold,
                static_keys,
                commitments,
                possessions,
                ephemeral_keys,
                extension,
            )


def _read_count(reader: Reader) -> int:
    return int.from_bytes(reader.take(4), "little")


def _read_long(reader: Reader) -> bytes:
    """A string behind its length in eight bytes, little-endian."""
    return reader.take(int.from_bytes(reader.take(8), "little"))
