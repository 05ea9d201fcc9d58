"""Attempts to replace an epoch: what this holder has said in each, to be said again (6.2, 1.7.4).

    <wallet>/attempts/<α hex>/ask        what was asked
                              join       the own messages
                              propose    what the own dealing answers
                              deal
                              ack
                              done
                              hello      of a resharing, as a new holder
                              new-ack    the same
                              complaint
                                         the own one: in that attempt nothing more is said
                              carried    of a DONE for what older attempts made: PROPOSE of each,
                                         until a later DONE

Each is on disk before it is sent, so that a restart repeats the same bytes. An attempt goes with
the epoch that it wanted to replace.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from hsm_mpc.store import files, names

ATTEMPT_BYTES = 10


class AttemptDocument(StrEnum):
    """A file of an attempt; the value is its name."""

    ASK = "ask"
    JOIN = "join"
    PROPOSE = "propose"
    DEAL = "deal"
    ACK = "ack"
    DONE = "done"
    HELLO = "hello"
    NEW_ACK = "new-ack"
    COMPLAINT = "complaint"
    CARRIED = "carried"
    """PROPOSE of this attempt, and of each that it carries on but the one that made it."""

    @property
    def step_name(self) -> str:
        """What its durable steps are called."""
        return f"attempt-{self.value}"


STEPS = (
    *files.steps_of_folder("attempts-folder"),
    *files.steps_of_folder("attempt-folder"),
    *(step for document in AttemptDocument for step in names.steps_of_keep(document.step_name)),
    *files.steps_of_replace("attempt-renewed"),
    *files.steps_of_remove(AttemptDocument.CARRIED.step_name),
    *files.steps_of_remove_folder("attempt-folder"),
)


class Attempts:
    """The folder `attempts` of one wallet. Every method raises `BackendError` and `Tampered`.

    An attempt is named by its α, 10 bytes.
    """

    __slots__ = ("_folder",)

    def __init__(self, wallet: Path) -> None:
        self._folder = wallet / "attempts"

    def all(self) -> tuple[bytes, ...]:
        """Every attempt that has a folder, ascending."""
        if not files.present(self._folder):
            return ()
        return names.hashes_in(self._folder, ATTEMPT_BYTES)

    def keep(self, attempt: bytes, document: AttemptDocument, content: bytes) -> None:
        """What is once kept never changes."""
        files.create_folder(self._folder, "attempts-folder")
        files.create_folder(self._path(attempt), "attempt-folder")
        names.keep(self._path(attempt) / document.value, content, document.step_name)

    def carry(self, attempt: bytes, content: bytes) -> None:
        """CARRIED of an attempt, in the place of what another vote in it, never cast, has left."""
        document = AttemptDocument.CARRIED
        kept = self.kept(attempt, document)
        if kept is None:
            self.keep(attempt, document, content)
        elif kept != content:
            files.replace(self._path(attempt) / document.value, content, "attempt-renewed")

    def kept(self, attempt: bytes, document: AttemptDocument) -> bytes | None:
        """What `keep` was given, or None."""
        return files.read_if_present(self._path(attempt) / document.value, names.DOCUMENT_CAP)

    def forget_carried(self, attempt: bytes) -> None:
        """A later vote than the one in it is kept: nobody is shown what led to this one."""
        document = AttemptDocument.CARRIED
        files.remove(self._path(attempt) / document.value, document.step_name)

    def forget(self, attempt: bytes) -> None:
        """The epoch that it wanted to replace is gone."""
        files.remove_folder(self._path(attempt), "attempt-folder")

    def _path(self, attempt: bytes) -> Path:
        return self._folder / attempt.hex()
