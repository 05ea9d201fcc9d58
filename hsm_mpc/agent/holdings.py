"""What this holder tells a coordinator of the wallets that it holds, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.wallets import body_of
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.done import Done
from hsm_mpc.errors import InvalidSignature
from hsm_mpc.ids import WalletId
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.destruction import DestructionDocument
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.tags import Tag
from hsm_mpc.wire.envelope import parse_envelope, unbundled
from hsm_mpc.wire.holdings import RETIRED, Holding, place_of

PAGE_BYTES: Final = 1 << 20
"""A page ends with the wallet that fills it."""


@dataclass(frozen=True, slots=True)
class _Epoch:
    """An epoch in the store, whether or not a share of it is left."""

    body: EpochBody
    state: int

    @property
    def wallet_id(self) -> WalletId:
        return self.body.terms.wallet_id

    @property
    def place(self) -> bytes:
        return place_of(self.wallet_id, self.body.epoch, self.body.hash)


class Holdings:
    """All that a coordinator needs to know of the wallets here, should it have lost everything."""

    def __init__(self, holder: ActingHolder) -> None:
        self._holder = holder

    def page(self, after: bytes | None) -> Sequence[bytes]:
        """Holdings behind the place `after`, ascending; none: that was all.

        Args:
            after: `place` of the last holding of the page before; None for the first page.
        """
        page: list[bytes] = []
        size = 0
        for epoch in sorted(self._all(), key=lambda each: each.place):
            if (after is None or epoch.place > after) and size < PAGE_BYTES:
                page.append(self._holding(epoch).to_bytes())
                size += len(page[-1])
        return page

    def _all(self) -> Iterator[_Epoch]:
        """Raises: Tampered: an epoch without its body."""
        for wallet_id in self._holder.store.wallet_ids():
            epochs = self._holder.epochs(wallet_id)
            states = {record.epoch_hash: record.state for record in epochs.records()}
            for h in epochs.hashes():
                certified = epochs.kept(h, EpochDocument.CERTIFICATE) is not None
                if h in states or certified:
                    body = body_of(h, epochs.kept(h, EpochDocument.BODY) or b"")
                    yield _Epoch(body, states.get(h, RETIRED))

    def _holding(self, epoch: _Epoch) -> Holding:
        epochs, h = self._holder.epochs(epoch.wallet_id), epoch.body.hash
        destruction = self._holder.store.destruction(epoch.wallet_id)

        def kept(document: EpochDocument) -> bytes:
            return epochs.kept(h, document) or b""

        return Holding(
            name=epoch.body.terms.name,
            wallet_id=epoch.wallet_id,
            epoch=epoch.body.epoch,
            epoch_hash=h,
            state=epoch.state,
            certificate=kept(EpochDocument.CERTIFICATE),
            done=kept(EpochDocument.DONE) or newest_done(self._holder, epoch.body) or b"",
            dones=unbundled(kept(EpochDocument.DONES)),
            policy_file=kept(EpochDocument.POLICY),
            retirement=kept(EpochDocument.RETIREMENT),
            destroyed=kept(EpochDocument.DESTROYED),
            ended=destruction.kept(DestructionDocument.DESTROYED) or b"",
            lineage=self._lineage(epoch.wallet_id) if epoch.body.epoch == 0 else b"",
        )

    def _lineage(self, wallet_id: WalletId) -> bytes:
        return self._holder.store.repairs(wallet_id).lineage() or b""


def newest_done(holder: ActingHolder, body: EpochBody) -> bytes | None:
    """The own DONE of a successor that was said last, while the epoch before still lives."""
    attempts, group = holder.attempts(body.terms.wallet_id), body.terms.group
    for alpha in reversed(attempts.all()):
        said = attempts.kept(alpha, AttemptDocument.DONE)
        if said is not None:
            done = Done.from_bytes(parse_envelope(said).payload, group)
            if done.epoch_hash == body.hash:
                return said
    return None


def say_done_again(holder: ActingHolder, body: EpochBody, said: bytes) -> None:
    """The own DONE of an epoch by the key that signs now, where it was said by one that has been
    rotated since: whoever deals reaches this holder by what it names.

    Raises:
        BackendError: HSM or disk; to be called again.
    """
    message = parse_envelope(said)
    try:
        holder.identity.key.verify(Tag.ENVELOPE, message.signed_part, message.signature)
    except InvalidSignature:
        anew = holder.signed_by_identity(message.kind, message.address, message.payload)
        holder.epochs(body.terms.wallet_id).renew(body.hash, EpochDocument.DONE, anew)
