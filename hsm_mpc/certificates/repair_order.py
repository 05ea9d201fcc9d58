"""ORDER-REPAIR: which holder gets its lost share again, and from whom (step 6.7.2)."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.certificates.signed_order import SignedOrder
from hsm_mpc.encoding import Reader, lv16, u8, u16be, u64be
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag, tagged_hash


@dataclass(frozen=True, slots=True)
class RepairOrder(SignedOrder):
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
