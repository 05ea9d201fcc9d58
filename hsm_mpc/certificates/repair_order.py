"""ORDER-REPAIR: which holder gets its lost share again, and from whom (step 6.7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hsm_mpc.encoding import Reader, lv16, u8, u16be, u64be
from hsm_mpc.errors import BadInput
from hsm_mpc.identity import Algorithm, VerifyingKey
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag, tagged_hash


@dataclass(frozen=True, slots=True)
class OrderSignature:
    """Of one administrator, by its place in the policy from 0; or of a helper, by its index."""

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


@dataclass(frozen=True, slots=True)
class RepairOrder:
    """A repair of one share of one epoch. Without signatures it is a plan (step 1.6.7).

    What stands in it and not in the specification: `offer_signature`, without which whoever carries
    the order puts a delivery key of its own into it, and gets the share; `keys_digest`, without
    which a coordinator that shows different delivery keys to different helpers has honest ones
    blamed; `known_key`, without which two orders for one holder could be put in either order;
    and `deadline`.
    """

    wallet_id: WalletId
    epoch_hash: EpochHash
    lost: int
    """r."""
    known_key: VerifyingKey
    """Of r, in the roster in force."""
    identity_key: VerifyingKey
    """Of r: the same, or one in another HSM, which amends the roster."""
    delivery_key: bytes
    """V_r, fresh."""
    kek_digest: bytes
    """Of the wrapping key that r has made for the share."""
    offer_signature: bytes
    """Of r, over `offer_message`."""
    helpers: tuple[int, ...]
    """H: t holders, ascending."""
    keys_digest: bytes
    """SHA-256(V_1 ‖ … ‖ V_n), with the fresh V_r."""
    deadline: int
    """Seconds since 1970 UTC; it bounds the consents."""
    nonce: bytes
    signatures: tuple[OrderSignature, ...] = ()

    @property
    def terms(self) -> bytes:
        """All before the signatures: what is signed, and what is consented to."""
        helpers = b"".join(u16be(helper) for helper in self.helpers)
        return (
            self.wallet_id
            + self.epoch_hash
            + u16be(self.lost)
            + self.known_key.to_bytes()
            + self.identity_key.to_bytes()
            + lv16(self.delivery_key)
            + self.kek_digest
            + lv16(self.offer_signature)
            + u8(len(self.helpers))
            + helpers
            + self.keys_digest
            + u64be(self.deadline)
            + self.nonce
        )

    @property
    def amends(self) -> bool:
        """Whether it gives the holder another identity key in the roster."""
        return self.identity_key != self.known_key

    @property
    def offer_message(self) -> bytes:
        """What r signs before anybody orders anything, with tag `repair-offer`."""
        return offer_message(
            self.wallet_id, self.epoch_hash, self.lost, self.delivery_key, self.kek_digest
        )

    @property
    def session_id(self) -> bytes:
        """sid, 32 bytes: of every message of the repair, whoever has signed it."""
        return tagged_hash(Tag.REPAIR, self.terms)

    def signed(self, signatures: Sequence[OrderSignature]) -> RepairOrder:
        """The same with these signatures, ascending."""
        return replace(self, signatures=tuple(signatures))

    def to_bytes(self) -> bytes:
        """`terms ‖ u8(m) ‖ Σ signature`."""
        signatures = b"".join(signature.to_bytes() for signature in self.signatures)
        return self.terms + u8(len(self.signatures)) + signatures

    @classmethod
    def from_bytes(cls, source: bytes) -> RepairOrder:
        """Inverse of `to_bytes`; `BadEncoding` or `BadInput` for anything else."""
        reader = Reader(source, "order")
        order = cls._read_terms(reader)
        signatures = [OrderSignature.read(reader) for _ in range(reader.u8())]
        reader.end()
        return order.signed(signatures)

    @classmethod
    def from_terms(cls, source: bytes) -> RepairOrder:
        """One without signatures, of its `terms`; `BadEncoding` or `BadInput` for anything else."""
        reader = Reader(source, "order")
        order = cls._read_terms(reader)
        reader.end()
        return order

    @classmethod
    def _read_terms(cls, reader: Reader) -> RepairOrder:
        return cls(
            wallet_id=WalletId(reader.take(16)),
            epoch_hash=EpochHash(reader.take(32)),
            lost=reader.u16be(),
            known_key=VerifyingKey.read(reader),
            identity_key=VerifyingKey.read(reader),
            delivery_key=reader.lv16(),
            kek_digest=reader.take(32),
            offer_signature=reader.lv16(),
            helpers=tuple(reader.u16be() for _ in range(reader.u8())),
            keys_digest=reader.take(32),
            deadline=reader.u64be(),
            nonce=reader.take(32),
        )


def offer_message(
    wallet_id: WalletId, epoch_hash: EpochHash, lost: int, delivery_key: bytes, kek_digest: bytes
) -> bytes:
    """`wallet_id ‖ h ‖ u16be(r) ‖ LV16(V_r) ‖ kek_digest_r`: what r wants its share sealed to."""
    return wallet_id + epoch_hash + u16be(lost) + lv16(delivery_key) + kek_digest
