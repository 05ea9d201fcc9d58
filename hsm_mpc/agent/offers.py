"""What waits for a repair on the disk of a holder that has lost its share (step 6.7.2)."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.encoding import u32be
from hsm_mpc.errors import Tampered
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.store.record import EpochRecord
from hsm_mpc.wire.envelope import bundle, unbundled


@dataclass(frozen=True, slots=True)
class Offer:
    """A wrapping key for the repaired share of an epoch, and v_r under it; all of it public."""

    epoch_hash: EpochHash
    key_generation: int
    """g of step 6.2.2."""
    kek_uri: str
    delivery_key: bytes
    """V_r; empty while the key is being made."""
    blob: bytes
    """v_r ‖ v_r, sealed."""
    signature: bytes
    """The own one over `offer_message`: made once, so that a plan with it stays the same."""
    taken_by: bytes = b""
    """sid of the repair whose share is about to be sealed under that key; empty: of none yet."""

    def is_key_of(self, *records: EpochRecord) -> bool:
        """Whether one of them names this key: a repair has taken it."""
        return any(self.kek_uri in each.kek_uris for each in records)

    def to_bytes(self) -> bytes:
        """As it lies on disk."""
        generation, uri = u32be(self.key_generation), self.kek_uri.encode()
        made = [self.delivery_key, self.blob, self.signature, self.taken_by]
        return bundle([self.epoch_hash, generation, uri, *made])

    @classmethod
    def from_bytes(cls, source: bytes) -> Offer:
        """Inverse of `to_bytes`. Raises: Tampered: the file is damaged."""
        try:
            h, generation, uri, *made = unbundled(source)
            number = int.from_bytes(generation, "big")
            delivery_key, blob, signature, sid = made
            KeyUri.parse(uri.decode())
            return cls(EpochHash(h), number, uri.decode(), delivery_key, blob, signature, sid)
        except ValueError as damaged:
            raise Tampered("the offer of a repair is damaged") from damaged


def kept_offer(holder: ActingHolder, wallet_id: WalletId) -> Offer | None:
    """The one that waits for a repair of this wallet; a damaged one is none."""
    kept = holder.store.repairs(wallet_id).offer()
    try:
        return None if kept is None else Offer.from_bytes(kept)
    except Tampered:
        return None


def is_of_offer(holder: ActingHolder, wallet_id: WalletId, record: EpochRecord) -> bool:
    """Whether a record names the key of an offer that a repair has taken, and has not finished."""
    offered = kept_offer(holder, wallet_id)
    return offered is not None and offered.is_key_of(record)
