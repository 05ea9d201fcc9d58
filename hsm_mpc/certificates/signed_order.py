"""What an order and an order of a repair have in common: terms, and who has signed them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from hsm_mpc.encoding import Reader, lv16, u8
from hsm_mpc.errors import BadInput
from hsm_mpc.identity import Algorithm


@dataclass(frozen=True, slots=True)
class OrderSignature:
    """Of one administrator, by its place in the policy from 0; or of a holder, by its index."""

    admin: int
    algorithm: Algorithm
    signature: bytes

    def to_bytes(self) -> bytes:
        """`u8(admin) ‖ u8(alg) ‖ LV16(signature)`."""
        return u8(self.admin) + u8(self.algorithm) + lv16(self.signature)

    @classmethod
    def read(cls, reader: Reader) -> OrderSignature:
        """Inverse of `to_bytes`."""
        admin, number, signature = reader.u8(), reader.u8(), reader.lv16()
        try:
            return cls(admin, Algorithm(number), signature)
        except ValueError as unknown:
            raise BadInput(f"order: algorithm {number} is unknown") from unknown


_Signed = TypeVar("_Signed", bound="SignedOrder")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOrder(ABC):
    """Without signatures it is a plan (step 1.6.7)."""

    signatures: tuple[OrderSignature, ...] = ()

    @property
    @abstractmethod
    def terms(self) -> bytes:
        """All before the signatures: what is signed, and what is consented to."""

    @classmethod
    @abstractmethod
    def _read_terms(cls: type[_Signed], reader: Reader) -> _Signed:
        """Inverse of `terms`."""

    def signed(self: _Signed, signatures: Sequence[OrderSignature]) -> _Signed:
        """The same with these signatures, ascending."""
        return replace(self, signatures=tuple(signatures))

    def to_bytes(self) -> bytes:
        """`terms ‖ u8(m) ‖ Σ signature`."""
        signatures = b"".join(signature.to_bytes() for signature in self.signatures)
        return self.terms + u8(len(self.signatures)) + signatures

    @classmethod
    def from_bytes(cls: type[_Signed], source: bytes) -> _Signed:
        """Inverse of `to_bytes`; `BadEncoding` or `BadInput` for anything else."""
        reader = Reader(source, "order")
        order = cls._read_terms(reader)
        signatures = [OrderSignature.read(reader) for _ in range(reader.u8())]
        reader.end()
        return order.signed(signatures)

    @classmethod
    def from_terms(cls: type[_Signed], source: bytes) -> _Signed:
        """One without signatures, of its `terms`; `BadEncoding` or `BadInput` for anything else."""
        reader = Reader(source, "order")
        order = cls._read_terms(reader)
        reader.end()
        return order
