"""Payloads of the signing protocol: COMMIT, SIGN and PARTIAL (steps 3.2.2 to 3.2.4).

Signatures and headers around them are the envelope's (`wire`). Both threshold Schnorr schemes use
them; they differ in the length of a public nonce.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import Reader, lv32_list, u16be, u32be
from hsm_mpc.errors import BadInput

LEASE_ID_BYTES: Final = 16
HASH_BYTES: Final = 32
PARTIAL_SIGNATURE_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class CommitPayload:
    """A holder's offer to sign once: `u16be(k) ‖ lease_id[16] ‖ public nonce`.

    k numbers the signatures that one request asks for, from 0.

    Raises:
        BadInput: from the constructor, for a lease_id of another length.
    """

    k: int
    lease_id: bytes
    public_nonce: bytes

    def __post_init__(self) -> None:
        _require_length(self.lease_id, LEASE_ID_BYTES, "COMMIT: a lease_id")

    def to_bytes(self) -> bytes:
        """The payload."""
        return u16be(self.k) + self.lease_id + self.public_nonce

    @classmethod
    def from_bytes(cls, payload: bytes, nonce_length: int) -> CommitPayload:
        """Inverse of `to_bytes` for the nonces of one scheme; whether they are points is not asked.

        Raises:
            BadEncoding: missing or left-over bytes.
        """
        reader = Reader(payload, "COMMIT")
        commit = cls(reader.u16be(), reader.take(LEASE_ID_BYTES), reader.take(nonce_length))
        reader.end()
        return commit


@dataclass(frozen=True, slots=True)
class SignPayload:
    """The list under which its signers sign: the chosen COMMIT messages verbatim, signatures too.

    `u32be(attempt) ‖ u16be(k) ‖ u16be(u) ‖ Σ LV32(COMMIT message)`, ascending by holder.
    """

    attempt: int
    k: int
    commits: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """The payload."""
        return u32be(self.attempt) + u16be(self.k) + lv32_list(self.commits)

    @classmethod
    def from_bytes(cls, payload: bytes) -> SignPayload:
        """Inverse of `to_bytes`.

        Raises:
            BadEncoding: missing or left-over bytes.
        """
        reader = Reader(payload, "SIGN")
        attempt, k = reader.u32be(), reader.u16be()
        commits = reader.lv32_list()
        reader.end()
        return cls(attempt, k, commits)


def list_hash(sign_payload: bytes) -> bytes:
    """What a PARTIAL names its SIGN list by, 32 bytes."""
    return hashlib.sha256(sign_payload).digest()


@dataclass(frozen=True, slots=True)
class PartialPayload:
    """An answer to a SIGN list: `lease_id[16] ‖ SHA-256(SIGN payload)[32] ‖ partial signature[32]`.

    Raises:
        BadInput: from the constructor, for a field of another length.
    """

    lease_id: bytes
    list_hash: bytes
    signature: bytes

    def __post_init__(self) -> None:
        _require_length(self.lease_id, LEASE_ID_BYTES, "PARTIAL: a lease_id")
        _require_length(self.list_hash, HASH_BYTES, "PARTIAL: a list hash")
        _require_length(self.signature, PARTIAL_SIGNATURE_BYTES, "PARTIAL: a partial signature")

    def to_bytes(self) -> bytes:
        """The payload, 80 bytes."""
        return self.lease_id + self.list_hash + self.signature

    @classmethod
    def from_bytes(cls, payload: bytes) -> PartialPayload:
        """Inverse of `to_bytes`; whether the signature is a scalar is not asked.

        Raises:
            BadEncoding: not 80 bytes.
        """
        reader = Reader(payload, "PARTIAL")
        partial = cls(
            reader.take(LEASE_ID_BYTES),
            reader.take(HASH_BYTES),
            reader.take(PARTIAL_SIGNATURE_BYTES),
        )
        reader.end()
        return partial


@dataclass(frozen=True, slots=True)
class Commitment:
    """A COMMIT whose envelope was verified: signed by holder `index`, of this session.

    `message` is the whole COMMIT message as signed, which SIGN repeats verbatim. `public_nonce` may
    be the scheme's parsed form (a subclass of bytes) or plain bytes that nobody has checked yet.
    """

    index: int
    k: int
    lease_id: bytes
    public_nonce: bytes
    message: bytes

    def parsed(self, nonce: bytes) -> Commitment:
        """The same with the scheme's parsed form of its nonce."""
        return Commitment(self.index, self.k, self.lease_id, nonce, self.message)


def _require_length(value: bytes, length: int, what: str) -> None:
    if len(value) != length:
        raise BadInput(f"{what} is {length} bytes, not {len(value)}")
