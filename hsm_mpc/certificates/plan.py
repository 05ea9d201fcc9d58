"""PLAN, what an operator is asked to agree to, and his holder's consent (step 1.6.7)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from hsm_mpc.certificates.destruction import Destroy
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.resharing import ReshareOrder
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.encoding import Reader, lv16, u8, u64be
from hsm_mpc.errors import BadEncoding
from hsm_mpc.tags import Tag

Verify = Callable[[Tag, bytes, bytes], None]
"""`IdVerify(tag, message, signature)`: raises an `HsmMpcError` unless it is of this holder."""

Planned = Proposal | ReshareOrder | Destroy | Order | RepairOrder | Rotate
"""Each has a `deadline`, in seconds since 1970 UTC."""


class PlanKind(IntEnum):
    """What a plan is for. Numbers are never given twice; others are reserved by step 1.6.7."""

    PROPOSAL = 1
    """A wallet to be made."""
    RESHARE = 2
    """A wallet's key to be shared anew, among other holders or with another threshold."""
    ORDER = 3
    """A successor to be taken although a confirmation is missing."""
    REPAIR = 4
    """A lost share to be repaired."""
    DESTROY = 7
    """A wallet to be destroyed."""
    ROTATE = 8
    """Another identity key of a holder to be taken."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Whatever its holders do only together, and each with its operator's consent."""

    kind: PlanKind
    content: bytes
    """Of kind 1: PROPOSAL; of 2: what a resharing makes of which epoch; of 3, 4 and 8: the terms of
    ORDER, of ORDER-REPAIR, of ROTATE; of 7: DESTROY.
    """

    @property
    def digest(self) -> bytes:
        """SHA-256(PLAN), 32 bytes: what people call it, and what is consented to."""
        return hashlib.sha256(self.to_bytes()).digest()

    @classmethod
    def of(cls, asked: Planned) -> Plan:
        """What an operator consents to before his holder takes part in it."""
        if isinstance(asked, RepairOrder):
            return cls(PlanKind.REPAIR, asked.terms)
        if isinstance(asked, Order):
            return cls(PlanKind.ORDER, asked.terms)
        if isinstance(asked, Rotate):
            return cls(PlanKind.ROTATE, asked.terms)
        if isinstance(asked, Proposal):
            return cls(PlanKind.PROPOSAL, asked.to_bytes())
        kind = PlanKind.RESHARE if isinstance(asked, ReshareOrder) else PlanKind.DESTROY
        return cls(kind, asked.to_bytes())

    @property
    def asked(self) -> Planned:
        """What is asked of holders. Raises: BadInput: it is nothing of this kind."""
        if self.kind is PlanKind.PROPOSAL:
            return Proposal.from_bytes(self.content)
        if self.kind is PlanKind.RESHARE:
            return ReshareOrder.from_bytes(self.content)
        if self.kind is PlanKind.REPAIR:
            return RepairOrder.from_terms(self.content)
        if self.kind is PlanKind.ORDER:
            return Order.from_terms(self.content)
        if self.kind is PlanKind.ROTATE:
            return Rotate.from_terms(self.content)
        return Destroy.from_bytes(self.content)

    def to_bytes(self) -> bytes:
        """`u8(kind) ‖ bytes`."""
        return u8(self.kind) + self.content

    @classmethod
    def from_bytes(cls, source: bytes) -> Plan:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "plan")
        number = reader.u8()
        try:
            kind = PlanKind(number)
        except ValueError as unknown:
            raise BadEncoding(f"plan: kind {number} is unknown") from unknown
        return cls(kind, reader.take(len(source) - 1))


def consent_message(plan_digest: bytes, expiry: int) -> bytes:
    """What a consent signs, with tag `consent`. `expiry` is in seconds since 1970 UTC."""
    return plan_digest + u64be(expiry)


@dataclass(frozen=True, slots=True)
class Consent:
    """One operator's consent to one plan, signed in his holder's HSM. It is used once."""

    plan_digest: bytes
    expiry: int
    signature: bytes

    def verify(self, verify: Verify) -> None:
        """`verify` is that of the holder's identity key.

        Raises:
            InvalidSignature: it has not signed this.
        """
        verify(Tag.CONSENT, consent_message(self.plan_digest, self.expiry), self.signature)

    def to_bytes(self) -> bytes:
        """`SHA-256(PLAN)[32] ‖ u64be(expiry) ‖ LV16(signature)`."""
        return consent_message(self.plan_digest, self.expiry) + lv16(self.signature)

    @classmethod
    def from_bytes(cls, source: bytes) -> Consent:
        """Inverse of `to_bytes`; `BadEncoding` for anything else. It checks no signature."""
        reader = Reader(source, "consent")
        consent = cls(reader.take(32), reader.u64be(), reader.lv16())
        reader.end()
        return consent
