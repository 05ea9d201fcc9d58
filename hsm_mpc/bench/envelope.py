"""`envelope.sign` and `envelope.verify`: a COMMIT message under a channel key (section 1.7)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hsm_mpc.bench.floor import above_floor
from hsm_mpc.bench.measure import Measured, repeated
from hsm_mpc.bench.operations import window
from hsm_mpc.bench.parties import OtherHolder, now
from hsm_mpc.bench.report import Row, row_above_floor
from hsm_mpc.bench.tables import envelope_signed, envelope_verified
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.secure.arena import Arena
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address
from hsm_mpc.wire.inbox import Expected, Inbox
from hsm_mpc.wire.rounds import COMMIT, EVERYBODY

SIGN: Final = "envelope.sign"
VERIFY: Final = "envelope.verify"

_COMMIT_BYTES: Final = 2 + 16 + 66
_REPEATS: Final = 10
_HOLDERS: Final = 2


def rows(folder: Path, arena: Arena, *, rounds: int) -> tuple[Row, ...]:
    """Measure both, on a shielded thread. Keys are made in `folder`."""
    holders = [OtherHolder.made(index, folder, arena) for index in range(1, _HOLDERS + 1)]
    members = tuple(Member(f"h{holder.index}", holder.identity.key) for holder in holders)
    sender = holders[0]
    keys = KeyBook(Roster(True, 1, FIRST_PREDECESSOR, members), {})
    keys.learn_message(sender.announcement(), now())
    wallet_id, session_id = WalletId(os.urandom(16)), os.urandom(32)
    address = Address(wallet_id, session_id, EpochHash(os.urandom(32)), sender.index, EVERYBODY)
    expected = Expected(COMMIT, wallet_id, session_id, address.epoch_hash, (sender.index,))
    inbox, payload, moment = Inbox(keys), os.urandom(_COMMIT_BYTES), now()
    message = sender.message(COMMIT, address, payload)
    signing = above_floor(
        Measured(repeated(lambda: sender.message(COMMIT, address, payload)), _REPEATS),
        envelope_signed(_COMMIT_BYTES, window(arena)),
        rounds=rounds,
    )
    verifying = above_floor(
        Measured(repeated(lambda: inbox.receive(message, expected, moment)), _REPEATS),
        envelope_verified(_COMMIT_BYTES),
        rounds=rounds,
    )
    for holder in holders:
        holder.wipe()
    return (
        row_above_floor(SIGN, signing, "a COMMIT message under the channel key"),
        row_above_floor(VERIFY, verifying, "the same, parsed and checked (step 1.7.3)"),
    )
