"""The other holders of a measured one, its coordinator and its client, in the same process.

They have no HSM: their identity keys are Ed25519 seeds (algorithm 2 of step 1.6.1).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc import seed_file
from hsm_mpc.agent.channel import ChannelKeys
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.seed_file import SeedKey
from hsm_mpc.wire.channels import channel_address
from hsm_mpc.wire.envelope import Address, seal_envelope
from hsm_mpc.wire.rounds import (
    CHANNEL,
    EVERYBODY,
    FIRST_COORDINATOR,
    Key,
    MessageKind,
)


def now() -> int:
    """Seconds since 1970 UTC."""
    return int(time.time())


@dataclass(frozen=True, slots=True)
class OtherHolder:
    """A holder with an identity key and channel keys."""

    index: int
    identity: SeedKey
    channel: ChannelKeys

    @classmethod
    def made(cls, index: int, folder: Path, arena: Arena) -> OtherHolder:
        """Both kinds of keys are drawn."""
        identity = seed_file.create(folder / f"holder-{index}", arena)
        channel = ChannelKeys(arena, Entropy(), identity.key, identity.sign, now())
        return cls(index, identity, channel)

    def message(self, kind: MessageKind, address: Address, payload: bytes) -> bytes:
        """A message signed with the channel key."""
        sign = self.channel.signer(now()).sign
        return seal_envelope(kind, address, payload, Key.CHANNEL, sign).to_bytes()

    def announcement(self) -> bytes:
        """Its CHANNEL message."""
        channel = self.channel.signer(now()).channel
        return self.message(CHANNEL, channel_address(self.index), channel.to_bytes())

    def wipe(self) -> None:
        """Both kinds of keys."""
        self.identity.wipe()
        self.channel.wipe()


COORDINATOR: Final = FIRST_COORDINATOR


def said(
    coordinator: SeedKey,
    kind: MessageKind,
    wallet_id: WalletId,
    session_id: bytes,
    epoch_hash: EpochHash,
    payload: bytes,
) -> bytes:
    """A message of the coordinator to everybody."""
    address = Address(wallet_id, session_id, epoch_hash, COORDINATOR, EVERYBODY)
    return seal_envelope(kind, address, payload, Key.COORDINATOR, coordinator.sign).to_bytes()
