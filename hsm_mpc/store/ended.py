"""Key generations that ended without a share: their nonces stay refused (step 2.6.1).

    ended/<wallet_id hex>    u64be(until): seconds since 1970 UTC

wallet_id follows from the name and the nonce of a PROPOSAL (step 1.6.5). Whoever said HELLO to it
once must never say another one: two different HELLOs would prove a cheat.
"""

from __future__ import annotations

from pathlib import Path

from hsm_mpc.encoding import u64be
from hsm_mpc.errors import Tampered
from hsm_mpc.ids import WalletId
from hsm_mpc.store import files, names

STEPS = (*files.steps_of_replace("ended"), *files.steps_of_remove("ended"))

_LENGTH = 8


class EndedProposals:
    """The folder `ended` of a store. Every method raises `BackendError` and `Tampered`."""

    __slots__ = ("_folder",)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, wallet_id: WalletId, until: int) -> None:
        """Refuse proposals of this wallet_id until then; afterwards their deadline does it."""
        files.replace(self._path(wallet_id), u64be(until), "ended")

    def has(self, wallet_id: WalletId) -> bool:
        """Whether a key generation of this wallet_id has ended here."""
        return files.present(self._path(wallet_id))

    def forget_before(self, now: int) -> None:
        """Forget those whose time is over."""
        for name in names.hashes_in(self._folder, 16):
            path = self._path(WalletId(name))
            content = files.read(path, _LENGTH)
            if len(content) != _LENGTH:
                raise Tampered(f"{path} says no time")
            if int.from_bytes(content, "big") < now:
                files.remove(path, "ended")

    def _path(self, wallet_id: WalletId) -> Path:
        return self._folder / wallet_id.hex()
