"""Round 3 of a key generation: the signature of the transcript, and the acknowledgement of the HSM.

    sig_i ‖ blob_digest_i[32] ‖ LV16(ACK_i)

The digest of the blob travels here because the certificate names it (step 2.6.7) and no message
before CERT carries it otherwise (decision 5).
"""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.encoding import Reader, lv16
from hsm_mpc.groups.proofs import PublicSuite, signature_length


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Payload of round 3. `acknowledgement` is IdSign over `ack_message`."""

    signature: bytes
    blob_digest: bytes
    acknowledgement: bytes

    def to_bytes(self) -> bytes:
        """The payload."""
        return self.signature + self.blob_digest + lv16(self.acknowledgement)

    @classmethod
    def from_bytes(cls, payload: bytes, suite: PublicSuite) -> Confirmation:
        """Inverse of `to_bytes`; `BadEncoding` for anything else. It checks no signature."""
        reader = Reader(payload, "round 3")
        confirmation = cls(reader.take(signature_length(suite)), reader.take(32), reader.lv16())
        reader.end()
        return confirmation
