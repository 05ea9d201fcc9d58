"""Repairs of shares on disk: what this holder has said in each, to be said again (step 6.7.2).

<wallet>/repairs/<sid hex>/order    ORDER-REPAIR, before anything is answered: no nonce serves
                           split    twice; then the own R1
                           splits   R1 of all helpers, which the own R2 adds up
                           sum      the own R2
                           complaint
                                    the own one: in that repair nothing more is said
                           signed   the order with its signatures, of a holder whose own share it
                                    is: what amends the roster, if its HSM is another one
<wallet>/lineage                    AMENDMENTs of the roster (hsm_mpc/succession/lineage.py)
<wallet>/offer                      of a holder whose own share is lost: the wrapping key that it
                                    has made for the repaired one, and the sealed v_r
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from hsm_mpc.store import files, names

_OFFER_CAP = 64 << 10  # bytes


class RepairDocument(StrEnum):
    """A file of a repair; the value is its name."""

    ORDER = "order"
    SPLIT = "split"
    SPLITS = "splits"
    SUM = "sum"
    COMPLAINT = "complaint"
    SIGNED = "signed"

    @property
    def step_name(self) -> str:
        """What its durable steps are called."""
        return f"repair-{self.value}"


STEPS = (
    *files.steps_of_folder("repairs-folder"),
    *files.steps_of_folder("repair-folder"),
    *(step for document in RepairDocument for step in names.steps_of_keep(document.step_name)),
    *files.steps_of_folder("offer-folder"),
    *files.steps_of_replace("offer"),
    *files.steps_of_remove("offer"),
    *files.steps_of_replace("lineage"),
)


class Repairs:
    """The repairs of one wallet. Every method raises `BackendError` and `Tampered`."""

    __slots__ = ("_wallet",)

    def __init__(self, wallet: Path) -> None:
        self._wallet = wallet

    def keep(self, session_id: bytes, document: RepairDocument, content: bytes) -> None:
        """What is once kept never changes."""
        files.create_folder(self._folder, "repairs-folder")
        files.create_folder(self._path(session_id), "repair-folder")
        names.keep(self._path(session_id) / document.value, content, document.step_name)

    def kept(self, session_id: bytes, document: RepairDocument) -> bytes | None:
        """What `keep` was given, or None."""
        path = self._path(session_id) / document.value
        return files.read_if_present(path, names.DOCUMENT_CAP)

    def orders(self) -> tuple[bytes, ...]:
        """Every ORDER-REPAIR that this holder has answered."""
        if not files.present(self._folder):
            return ()
        found = (self.kept(sid, RepairDocument.ORDER) for sid in names.hashes_in(self._folder, 32))
        return tuple(order for order in found if order is not None)

    def put_lineage(self, lineage: bytes) -> None:
        """Put it into the place of the one before, if any."""
        files.create_folder(self._wallet, "offer-folder")
        files.replace(self._wallet / "lineage", lineage, "lineage")

    def lineage(self) -> bytes | None:
        """What `put_lineage` was given last."""
        return files.read_if_present(self._wallet / "lineage", names.DOCUMENT_CAP)

    def put_offer(self, offer: bytes) -> None:
        """Put it into the place of the one before, if any."""
        files.create_folder(self._wallet, "offer-folder")
        files.replace(self._wallet / "offer", offer, "offer")

    def offer(self) -> bytes | None:
        """What `put_offer` was given last."""
        return files.read_if_present(self._wallet / "offer", _OFFER_CAP)

    def remove_offer(self) -> None:
        """It was taken, or is of no use any more."""
        if files.present(self._wallet / "offer"):
            files.remove(self._wallet / "offer", "offer")

    @property
    def _folder(self) -> Path:
        return self._wallet / "repairs"

    def _path(self, session_id: bytes) -> Path:
        return self._folder / session_id.hex()
