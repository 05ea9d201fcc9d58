"""What a holder tells of a wallet that it holds: enough for a coordinator that lost everything.

    holding = LV16(name) ‖ wallet_id[16] ‖ u32be(e) ‖ h_e[32] ‖ u8(state) ‖ LV32(certificate)
              ‖ LV32(own DONE) ‖ u16be(count) ‖ Σ LV32(DONE of each holder) ‖ LV32(policy file)
              ‖ LV32(retirement) ‖ LV32(own DESTROYED) ‖ LV32(own DESTROYED of the wallet)
              ‖ LV32(lineage)

All of it is public, and nothing of it needs to be believed: the certificate proves itself. What
there is not yet is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import Reader, lv16, lv32, lv32_list, u8, u32be
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import read_name

RETIRED: Final = 0
"""State of an epoch whose share is gone: only its public documents are left."""


def place_of(wallet_id: WalletId, epoch: int, epoch_hash: EpochHash) -> bytes:
    """Where an epoch stands in the list of all: a wallet's epochs in their order."""
    return wallet_id + u32be(epoch) + epoch_hash


@dataclass(frozen=True, slots=True)
class Holding:
    """One epoch of one wallet at one holder."""

    name: str
    wallet_id: WalletId
    epoch: int
    epoch_hash: EpochHash
    state: int
    """As in the epoch record (step 1.11.6); `RETIRED`: there is none any more."""
    certificate: bytes
    """Of a key generation; of a later epoch the payload of its CERT."""
    done: bytes
    """The holder's own DONE message."""
    dones: tuple[bytes, ...]
    """The DONE messages of all holders, in roster order, that made epoch 0 active; of a resharing
    those of all new ones, from an old holder that has voted for it.
    """
    policy_file: bytes
    retirement: bytes
    """Payload of the RETIRE that has ended the epoch."""
    destroyed: bytes
    """The own DESTROYED message: the epoch's key is gone."""
    ended: bytes
    """The own DESTROYED message of the whole wallet (section 6.10)."""
    lineage: bytes
    """What made the wallet's roster in force of the first one; with epoch 0."""

    @property
    def place(self) -> bytes:
        """wallet_id ‖ u32be(e) ‖ h_e, 52 bytes: where the next page of WALLETS goes on."""
        return place_of(self.wallet_id, self.epoch, self.epoch_hash)

    def to_bytes(self) -> bytes:
        """The encoding above."""
        return (
            lv16(self.name.encode("ascii"))
            + self.place
            + u8(self.state)
            + lv32(self.certificate)
            + lv32(self.done)
            + lv32_list(self.dones)
            + lv32(self.policy_file)
            + lv32(self.retirement)
            + lv32(self.destroyed)
            + lv32(self.ended)
            + lv32(self.lineage)
        )

    @classmethod
    def from_bytes(cls, source: bytes) -> Holding:
        """Inverse of `to_bytes`.

        Raises:
            BadEncoding: anything else.
        """
        reader = Reader(source, "holding")
        holding = cls(
            name=read_name(reader, "holding"),
            wallet_id=WalletId(reader.take(16)),
            epoch=reader.u32be(),
            epoch_hash=EpochHash(reader.take(32)),
            state=reader.u8(),
            certificate=reader.lv32(),
            done=reader.lv32(),
            dones=reader.lv32_list(),
            policy_file=reader.lv32(),
            retirement=reader.lv32(),
            destroyed=reader.lv32(),
            ended=reader.lv32(),
            lineage=reader.lv32(),
        )
        reader.end()
        return holding
