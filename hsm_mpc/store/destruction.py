"""A wallet's end on disk: what was decided, and that it is done (step 6.10.2).

<wallet>/destroy      what is to go; written before the first key goes, and nothing of the
                      wallet is used from then on
         destroyed    the own DESTROYED message: nothing is left but public documents
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from hsm_mpc.store import files, names


class DestructionDocument(StrEnum):
    """A file that is written once; the value is its name."""

    DESTROY = "destroy"
    DESTROYED = "destroyed"

    @property
    def step_name(self) -> str:
        """What its durable steps are called."""
        return f"wallet-{self.value}"


STEPS = tuple(
    step for document in DestructionDocument for step in names.steps_of_keep(document.step_name)
)


class Destruction:
    """The end of one wallet. Every method raises `BackendError` and `Tampered`."""

    __slots__ = ("_wallet",)

    def __init__(self, wallet: Path) -> None:
        self._wallet = wallet

    def keep(self, document: DestructionDocument, content: bytes) -> None:
        """What is once kept never changes."""
        names.keep(self._wallet / document.value, content, document.step_name)

    def kept(self, document: DestructionDocument) -> bytes | None:
        """What `keep` was given, or None."""
        return files.read_if_present(self._wallet / document.value, names.DOCUMENT_CAP)

    @property
    def is_decided(self) -> bool:
        """Whether the wallet is not used any more."""
        return files.present(self._wallet / DestructionDocument.DESTROY.value)
