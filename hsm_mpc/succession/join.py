"""JOIN (M2): a holder's promise to go into no older attempt, with what it has adopted so far."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.encoding import Reader, u8
from hsm_mpc.errors import BadEncoding
from hsm_mpc.ids import EpochHash


@dataclass(frozen=True, slots=True)
class Adoption:
    """A successor that a holder has adopted: in which attempt, which one, and what certifies it."""

    attempt: Attempt
    epoch_hash: EpochHash
    certificate_digest: bytes
    """SHA-256 of the payload of its CERT."""

    def to_bytes(self) -> bytes:
        """`α ‖ h' ‖ SHA-256(M6 payload)`."""
        return self.attempt.to_bytes() + self.epoch_hash + self.certificate_digest

    @classmethod
    def read(cls, reader: Reader) -> Adoption:
        """Inverse of `to_bytes`."""
        return cls(Attempt.read(reader), EpochHash(reader.take(32)), reader.take(32))


@dataclass(frozen=True, slots=True)
class Join:
    """Payload of JOIN_i."""

    attempt: Attempt
    adopted: Adoption | None

    def to_bytes(self) -> bytes:
        """`α ‖ u8(0)`, or `α ‖ u8(1) ‖ adoption`."""
        adopted = b"" if self.adopted is None else self.adopted.to_bytes()
        return self.attempt.to_bytes() + u8(self.adopted is not None) + adopted

    @classmethod
    def from_bytes(cls, source: bytes) -> Join:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "join")
        attempt, form = Attempt.read(reader), reader.u8()
        if form > 1:
            raise BadEncoding(f"join: unknown form {form}")
        join = cls(attempt, Adoption.read(reader) if form else None)
        reader.end()
        return join
