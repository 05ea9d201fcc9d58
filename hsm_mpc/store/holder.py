"""A holder's store as a whole: one folder, one process that writes (6.2).

<store>/format               written last: the store is complete
        lock                 store/lock.py
        card                 CARD_i, public (step 1.6.3a)
        rotation             while another identity key takes the place of the card's (step 6.7.9)
        refused-pin          store/refused_pin.py
        audit/               store/audit_log.py; its `state` is the signer's state file
        plans/<digest>/      store/plans.py, from the first plan on
        proposals/<ph>/      store/proposals.py
        ended/               store/ended.py
        evidence/            store/evidence.py
        wallets/<wallet_id>/ store/epochs.py, store/attempts.py, store/repairs.py,
                             store/destruction.py
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from hsm_mpc.errors import BadConfig, BadInput, Tampered
from hsm_mpc.ids import HolderIndex, WalletId
from hsm_mpc.store import (
    attempts,
    audit_log,
    destruction,
    ended,
    epochs,
    evidence,
    files,
    names,
    plans,
    proposals,
    refused_pin,
    repairs,
)
from hsm_mpc.store.attempts import Attempts
from hsm_mpc.store.audit_log import AuditLog
from hsm_mpc.store.destruction import Destruction
from hsm_mpc.store.ended import EndedProposals
from hsm_mpc.store.epochs import Epochs
from hsm_mpc.store.evidence import Evidence
from hsm_mpc.store.lock import StoreLock
from hsm_mpc.store.plans import Plans
from hsm_mpc.store.proposals import Proposals
from hsm_mpc.store.record import Sign, Verify
from hsm_mpc.store.refused_pin import RefusedPin
from hsm_mpc.store.repairs import Repairs

STEPS = (
    files.SWEEP_STEP,
    *files.steps_of_folder("store-folder"),
    *files.steps_of_folder("proposals-folder"),
    *files.steps_of_folder("wallets-folder"),
    *files.steps_of_folder("ended-folder"),
    *files.steps_of_folder("evidence-folder"),
    *files.steps_of_new("store-format"),
    *files.steps_of_replace("card"),
)
ROTATION_STEPS = (*files.steps_of_replace("rotation"), *files.steps_of_remove("rotation"))
ALL_STEPS = (
    *STEPS,
    *ROTATION_STEPS,
    *audit_log.STEPS,
    *plans.STEPS,
    *proposals.STEPS,
    *ended.STEPS,
    *evidence.STEPS,
    *epochs.STEPS,
    *attempts.STEPS,
    *repairs.STEPS,
    *destruction.STEPS,
    *refused_pin.STEPS,
)
"""Every durable step below `store/`."""

_FORMAT = b"hsm-mpc store 1\n"
_CARD_CAP = 64 << 10  # bytes
_ROTATION_CAP = 4 << 20  # bytes
_FOLDERS = ("proposals", "wallets", "ended", "evidence")
_INSIDE = {"audit", "card", "format", "lock", "plans", "refused-pin", "rotation", *_FOLDERS}


class HolderStore:
    """An open store; everything in it may be used until `close`.

    Every method raises `BackendError` where the disk fails, and `Tampered` where the store is not
    as we left it.
    """

    __slots__ = (
        "_cleaned",
        "_cleaning",
        "_folder",
        "_lock",
        "audit",
        "ended",
        "evidence",
        "plans",
        "proposals",
        "refused_pin",
    )

    def __init__(self, folder: Path, lock: StoreLock, audit: AuditLog) -> None:
        """Takes over the lock and the log. Use `create` or `open`."""
        self._folder = folder
        self._lock = lock
        self._cleaned: set[WalletId] = set()
        self._cleaning = threading.Lock()
        self.audit = audit
        self.proposals = Proposals(folder / "proposals")
        self.ended = EndedProposals(folder / "ended")
        self.evidence = Evidence(folder / "evidence")
        self.plans = Plans(folder / "plans")
        self.refused_pin = RefusedPin(folder / "refused-pin")

    @classmethod
    def create(cls, folder: Path) -> HolderStore:
        """Make the store, or what of it a crash kept from being made, and open it.

        The parent of `folder` must be there.
        Raises: BadInput (the folder holds other things), BadConfig (it is there, but not ours
        alone), and as `open`.
        """
        if files.present(folder / "format"):
            return cls.open(folder)
        try:
            files.create_folder(folder, "store-folder")
        except Tampered as error:  # no store was ever complete there: nobody's damage
            raise BadConfig(str(error)) from error
        foreign = sorted(set(files.entries(folder)) - _INSIDE)
        if foreign:
            raise BadInput(f"{folder} holds {foreign[0]}: a store wants a folder of its own")
        with StoreLock.take(folder / "lock"):
            audit_log.create(folder / "audit")
            for name in _FOLDERS:
                files.create_folder(folder / name, f"{name}-folder")
            files.write_new(folder / "format", _FORMAT, "store-format")
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> HolderStore:
        """Lock the store, remove what a crash left, and check the audit log.

        Raises: BadConfig (no store of ours there), BackendError (in use: retryable), Tampered.
        """
        if not files.present(folder / "format"):
            raise BadConfig(f"no holder's store in {folder}: run hsm-mpc holder init")
        with ExitStack() as undo:
            lock = undo.enter_context(StoreLock.take(folder / "lock"))
            if files.read(folder / "format", len(_FORMAT)) != _FORMAT:
                raise BadConfig(f"{folder / 'format'} names a format that is not known here")
            files.sweep(folder)
            store = cls(folder, lock, AuditLog.open(folder / "audit"))
            undo.callback(store.audit.close)
            store._clean()
            undo.pop_all()
            return store

    def close(self) -> None:
        """Let others in."""
        self.audit.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def card(self) -> bytes | None:
        """CARD_i as it was kept last, or None before the first time."""
        return files.read_if_present(self._folder / "card", _CARD_CAP)

    def keep_card(self, card: bytes) -> None:
        """Put `card` in the place of the one before, if any."""
        files.replace(self._folder / "card", card, "card")

    def rotation(self) -> bytes | None:
        """What `keep_rotation` was given last, or None."""
        return files.read_if_present(self._folder / "rotation", _ROTATION_CAP)

    def keep_rotation(self, rotation: bytes) -> None:
        """Put it into the place of the one before, if any."""
        files.replace(self._folder / "rotation", rotation, "rotation")

    def end_rotation(self) -> None:
        """The key before is destroyed."""
        files.remove(self._folder / "rotation", "rotation")

    def wallet_ids(self) -> tuple[WalletId, ...]:
        """Every wallet of which there is an epoch, ascending."""
        return tuple(WalletId(name) for name in names.hashes_in(self._folder / "wallets", 16))

    def wallet(self, wallet_id: WalletId, index: HolderIndex, sign: Sign, verify: Verify) -> Epochs:
        """The epochs of one wallet, known or new.

        The first time, what a crash left in it is removed; never later, when it may be work of
        another thread.
        """
        found = Epochs(self._folder / "wallets" / wallet_id.hex(), wallet_id, index, sign, verify)
        with self._cleaning:
            if wallet_id not in self._cleaned:
                found.clean()
                self._cleaned.add(wallet_id)
        return found

    def attempts(self, wallet_id: WalletId) -> Attempts:
        """The attempts to replace an epoch of one wallet."""
        return Attempts(self._folder / "wallets" / wallet_id.hex())

    def repairs(self, wallet_id: WalletId) -> Repairs:
        """The repairs of shares of one wallet."""
        return Repairs(self._folder / "wallets" / wallet_id.hex())

    def destruction(self, wallet_id: WalletId) -> Destruction:
        """The end of one wallet, if it has one."""
        return Destruction(self._folder / "wallets" / wallet_id.hex())

    def _clean(self) -> None:
        self.proposals.clean()
        self.plans.clean()
        for wallet_id in self.wallet_ids():
            epochs.drop_if_empty(self._folder / "wallets" / wallet_id.hex())
