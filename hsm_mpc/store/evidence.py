"""What proves that somebody cheated, kept for the operators (steps 1.7.4, 2.5.12, 3.4.6).

    evidence/<SHA-256 hex of the content>

What stands in a file is for those who write it (hsm_mpc/agent/evidence.py).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from hsm_mpc.store import files, names

MOST_FILES = 256
"""Evidence proves a cheat however often it is repeated; a disk full of it would stop the holder."""

STEPS = files.steps_of_new("evidence")


class Evidence:
    """The folder `evidence` of a store. Every method raises `BackendError` and `Tampered`."""

    __slots__ = ("_folder",)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, content: bytes) -> str | None:
        """The name of the file with `content`; None: there is no room, and it was not written."""
        name = hashlib.sha256(content).digest()
        if name not in self.kept():
            if not self.has_room(content):
                return None
            names.keep(self._folder / name.hex(), content, "evidence")
        return name.hex()

    def has_room(self, content: bytes) -> bool:
        """Whether there are not too many files, and this one would not be too large to be read."""
        return len(self.kept()) < MOST_FILES and len(content) <= names.DOCUMENT_CAP

    def kept(self) -> tuple[bytes, ...]:
        """SHA-256 of every piece, 32 bytes each, ascending."""
        return names.hashes_in(self._folder, 32)

    def load(self, name: str) -> bytes:
        """What `keep` was given."""
        return files.read(self._folder / name, names.DOCUMENT_CAP)
