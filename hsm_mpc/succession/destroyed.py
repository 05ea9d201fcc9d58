"""DESTROYED (M10): the wrapping key of an epoch is gone from a holder's HSM."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.encoding import Reader, u64be
from hsm_mpc.errors import BadInput
from hsm_mpc.ids import EpochHash
from hsm_mpc.succession.addresses import Replaced, expected_in, signed_by_identity
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import DESTROYED


@dataclass(frozen=True, slots=True)
class Destroyed:
    """Payload of DESTROYED_i. `at` is in seconds since 1970 UTC."""

    attempt: Attempt
    """In which the successor was adopted."""
    epoch_hash: EpochHash
    """The epoch that nobody opens here any more."""
    successor: EpochHash
    kek_digest: bytes
    at: int

    def to_bytes(self) -> bytes:
        """`α ‖ h_e ‖ h' ‖ kek_digest_i ‖ u64be(destroyed_at)`."""
        return (
            self.attempt.to_bytes()
            + self.epoch_hash
            + self.successor
            + self.kek_digest
            + u64be(self.at)
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> Destroyed:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "destroyed")
        destroyed = cls(
            Attempt.read(reader),
            EpochHash(reader.take(32)),
            EpochHash(reader.take(32)),
            reader.take(32),
            reader.u64be(),
        )
        reader.end()
        return destroyed


def destroyed_in(source: bytes, replaced: Replaced, keys: KeyBook) -> Destroyed:
    """What a holder said about its key of the epoch `replaced`.

    Raises:
        BadInput, InvalidSignature: it is no DESTROYED of a holder about that epoch.
    """
    destroyed = Destroyed.from_bytes(parse_envelope(source).payload)
    senders = range(1, replaced.terms.sizes.n + 1)
    signed_by_identity(source, expected_in(DESTROYED, replaced, destroyed.attempt, senders), keys)
    if destroyed.epoch_hash != replaced.hash:
        raise BadInput("destroyed: it is about another epoch than its header says")
    return destroyed
