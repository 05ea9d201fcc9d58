"""Key generations that have begun: what is on disk before a wrapping key is made (step 2.6.2).

`proposals/<ph hex>/` holds the PROPOSAL, what was received in each round, and the own messages of
that session, written before they are sent, so that a restart repeats the same bytes (step 1.7.4).
The CKA_ID of KEK_0 follows from ph (step 6.2.2): as long as the folder stands, the HSM holds no key
that nobody can name.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from hsm_mpc.errors import Tampered
from hsm_mpc.store import files, names
from hsm_mpc.tags import Tag, tagged_hash

_PROPOSAL = "proposal"


class SessionDocument(StrEnum):
    """What is kept beside a PROPOSAL; the value is the name of the file."""

    POLICY = "policy"
    HELLO = "hello"
    HELLOS = "hellos"
    """Those of all holders, as they were answered by the own msg1."""
    MSG1 = "msg1"
    DEALINGS = "dealings"
    """msg1 of all holders, as they were answered by the own round 3."""
    ROUND3 = "round3"

    @property
    def step_name(self) -> str:
        """What its durable steps are called."""
        return f"session-{self.value}"


STEPS = (
    *files.steps_of_folder("proposal-folder"),
    *names.steps_of_keep(_PROPOSAL),
    *(step for document in SessionDocument for step in names.steps_of_keep(document.step_name)),
    *files.steps_of_remove_folder("proposal-folder"),
)


class Proposals:
    """The folder `proposals` of a store."""

    __slots__ = ("_folder",)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, proposal: bytes) -> bytes:
        """Put PROPOSAL on disk and return ph, 32 bytes; then KEK_0 may be made (step 2.6.2).

        Raises: BackendError, Tampered.
        """
        ph = tagged_hash(Tag.PROPOSAL, proposal)
        files.create_folder(self._path(ph), "proposal-folder")
        names.keep(self._path(ph) / _PROPOSAL, proposal, _PROPOSAL)
        return ph

    def hashes(self) -> tuple[bytes, ...]:
        """The ph of every key generation that has begun and was not forgotten.

        Raises: BackendError, Tampered.
        """
        return names.hashes_in(self._folder, 32)

    def load(self, ph: bytes) -> bytes:
        """The PROPOSAL whose hash is `ph`. Raises: BackendError, Tampered."""
        proposal = files.read(self._path(ph) / _PROPOSAL, names.DOCUMENT_CAP)
        if tagged_hash(Tag.PROPOSAL, proposal) != ph:
            raise Tampered(f"{self._path(ph) / _PROPOSAL} is not the proposal that its name says")
        return proposal

    def keep(self, ph: bytes, document: SessionDocument, content: bytes) -> None:
        """Keep `content` for repeats; what is once kept never changes.

        Raises: BackendError, Tampered.
        """
        files.check_folder(self._path(ph))
        names.keep(self._path(ph) / document.value, content, document.step_name)

    def kept(self, ph: bytes, document: SessionDocument) -> bytes | None:
        """What `keep` was given, or None. Raises: BackendError, Tampered."""
        return files.read_if_present(self._path(ph) / document.value, names.DOCUMENT_CAP)

    def forget(self, ph: bytes) -> None:
        """Remove all of this key generation: only once its KEK_0 is destroyed, or the wallet is
        certified.

        Raises: BackendError.
        """
        files.remove_folder(self._path(ph), "proposal-folder")

    def clean(self) -> None:
        """Remove what a crash left before PROPOSAL was on disk: there is no key for it yet.

        Raises: BackendError, Tampered.
        """
        for ph in self.hashes():
            if not files.entries(self._path(ph)):
                files.remove_folder(self._path(ph), "proposal-folder")

    def _path(self, ph: bytes) -> Path:
        return self._folder / ph.hex()
