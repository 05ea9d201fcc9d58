"""What unfinished key generations leave in store and HSM, and how it goes (2.6.2, 2.6.8, 6.6.1)."""

from __future__ import annotations

from collections.abc import Mapping

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.keygen_files import KeygenFiles, destroy_wrapping_key
from hsm_mpc.agent.opener import key_id_in
from hsm_mpc.agent.wallets import HeldEpoch, HeldWallets
from hsm_mpc.audit import Json
from hsm_mpc.errors import Refused, Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.ids import WalletId
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import EpochState


def settle(holder: ActingHolder, wallets: HeldWallets) -> list[KeygenFiles]:
    """At start: end what a crash interrupted. The key generations that wait for a certificate.

    Raises:
        BackendError, Tampered: disk or HSM.
    """
    for held in wallets.all():
        if held.record.state is EpochState.PREPARED and not _has_key(holder, held):
            _finish_discard(holder, held.wallet_id)
    waiting = []
    for ph in holder.store.proposals.hashes():
        files = KeygenFiles.load(holder, ph)
        states = {held.record.state for held in wallets.of(files.wallet_id)}
        if not states:
            end_unsealed(holder, files, "restart", {})
        elif states == {EpochState.PREPARED}:
            waiting.append(files)
        else:
            files.forget()
    holder.store.ended.forget_before(holder.clock())
    _look_for_lost_shares(holder, wallets)
    return waiting


def _finish_discard(holder: ActingHolder, wallet_id: WalletId) -> None:
    """A prepared wallet without its key was being discarded, for the key goes first."""
    named = {"wallet_id": wallet_id.hex()}
    try:
        require_prepared(holder, wallet_id)
    except Refused as certified:
        holder.audit("alarm", {**named, "reason": f"its wrapping key is missing; {certified}"})
        return
    holder.audit("keygen-discarded", named)
    discard(holder, wallet_id)


def end_unsealed(
    holder: ActingHolder, files: KeygenFiles, reason: str, fields: Mapping[str, Json]
) -> None:
    """The session is dead before its share was sealed: no key of it stays (step 2.6.2).

    A register is written only once the share is sealed: where the HSM has one, the disk is older
    than the wallet (a restored backup, or somebody's work), and nothing is destroyed (step 6.6.1).

    Raises:
        BackendError: HSM or disk; to be called again.
    """
    if holder.registers.exists(files.wallet_id):
        reason = "the store says that this wallet was never sealed, and the HSM that it was"
        files.audit("alarm", {"reason": reason})
        return
    files.audit("keygen-aborted", {"reason": reason, **fields})
    files.destroy_key()
    discard(holder, files.wallet_id)
    files.bury()
    holder.store.ended.forget_before(holder.clock())


def discard(holder: ActingHolder, wallet_id: WalletId) -> None:
    """Destroy keys and register of a wallet that is prepared at most, then what is on disk.

    The key goes first: whoever finds the record without it knows that this was under way.

    Raises:
        Refused: `not-prepared`, before anything is touched.
        Tampered: the key is in another token: nothing is touched either.
        BackendError: HSM or disk; to be called again.
    """
    require_prepared(holder, wallet_id)
    epochs = holder.epochs(wallet_id)
    for record in epochs.records():
        destroy_wrapping_key(holder, wallet_id, key_id_in(holder.token, record.kek_uri))
        holder.registers.destroy(wallet_id)
        epochs.discard(record.epoch_hash)
    epochs.clean()


def require_prepared(holder: ActingHolder, wallet_id: WalletId) -> None:
    """Nothing of a certified wallet is discarded, whatever an older record says of its state.

    Raises:
        Refused: `not-prepared`.
    """
    epochs = holder.epochs(wallet_id)
    for record in epochs.records():
        certified = epochs.kept(record.epoch_hash, EpochDocument.CERTIFICATE) is not None
        if certified or record.state is not EpochState.PREPARED:
            raise Refused("not-prepared", "the wallet is certified: it is not discarded")


def _has_key(holder: ActingHolder, held: HeldEpoch) -> bool:
    """Raises: Tampered: another token has it, or had it."""
    key_id = key_id_in(holder.token, held.record.kek_uri)
    label = keys.wrapping_label(held.wallet_id)
    return keys.find_wrapping_key(holder.token, key_id, label) is not None


def _look_for_lost_shares(holder: ActingHolder, wallets: HeldWallets) -> None:
    """The HSM wins over the disk: what only it knows is said aloud (steps 6.6.1 and 6.6.2)."""
    known = set(holder.registers.wallet_ids())
    for held in wallets.all():
        if held.record.state is EpochState.ACTIVE and held.wallet_id not in known:
            named = {"wallet_id": held.wallet_id.hex(), "epoch_hash": held.body.hash.hex()}
            holder.audit("alarm", {**named, "reason": "the HSM has no register of that wallet"})
    for wallet_id in sorted(known):
        try:
            register = holder.registers.read(wallet_id)
        except Tampered as damaged:
            holder.alarm(wallet_id, damaged)
            continue
        names = {held.body.hash for held in wallets.of(wallet_id)}
        if register is not None and register.epoch_hash not in names:
            named = {"wallet_id": wallet_id.hex(), "epoch_hash": register.epoch_hash.hex()}
            holder.audit("alarm", {**named, "reason": "the store has no share of that epoch"})
