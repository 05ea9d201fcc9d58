"""What this holder tells a coordinator of the wallets that it holds, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.wallets import HeldEpoch, HeldWallets
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.wire.envelope import unbundled
from hsm_mpc.wire.holdings import Holding

PAGE_BYTES: Final = 1 << 20
"""A page ends with the wallet that fills it."""


class Holdings:
    """All that a coordinator needs to know of the wallets here, should it have lost everything."""

    def __init__(self, holder: ActingHolder, wallets: HeldWallets) -> None:
        self._holder = holder
        self._wallets = wallets

    def page(self, after: bytes | None) -> Sequence[bytes]:
        """Holdings behind the place `after`, ascending; none: that was all.

        Args:
            after: `place` of the last holding of the page before; None for the first page.
        """
        page: list[bytes] = []
        size = 0
        for held in sorted(self._wallets.all(), key=_place):
            if (after is None or _place(held) > after) and size < PAGE_BYTES:
                page.append(self._holding(held).to_bytes())
                size += len(page[-1])
        return page

    def _holding(self, held: HeldEpoch) -> Holding:
        epochs, h = self._holder.epochs(held.wallet_id), held.body.hash

        def kept(document: EpochDocument) -> bytes:
            return epochs.kept(h, document) or b""

        return Holding(
            name=held.body.terms.name,
            wallet_id=held.wallet_id,
            epoch_hash=h,
            state=held.record.state,
            certificate=kept(EpochDocument.CERTIFICATE),
            done=kept(EpochDocument.DONE),
            dones=unbundled(kept(EpochDocument.DONES)),
            policy_file=kept(EpochDocument.POLICY),
        )


def _place(held: HeldEpoch) -> bytes:
    return held.wallet_id + held.body.hash
