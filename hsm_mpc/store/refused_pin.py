"""A PIN that the token refused is not tried again until its source changed (decision 10).

The record says which source it was: inode and times of a file, nothing of the PIN. It stands on
disk before the process that was refused ends, so that no supervisor locks a token by restarting.
"""

from __future__ import annotations

import re
from pathlib import Path

from hsm_mpc.errors import PinRefused, Tampered
from hsm_mpc.store import files

Fingerprint = tuple[int, ...]
"""What tells one state of a PIN's source from the next: inode, mtime in ns; never the content."""

STEPS = (*files.steps_of_replace("refused-pin"), *files.steps_of_remove("refused-pin"))

_CAP = 256  # bytes
_RECORD = re.compile(rb"(-?\d+( -?\d+)*)?\n")


class RefusedPin:
    """The file `refused-pin` of a store. Every method raises: BackendError, Tampered."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def remember(self, source: Fingerprint | None) -> None:
        """The token refused the PIN of `source`; None stands for a descriptor or a prompt."""
        files.replace(self._path, _text(source), "refused-pin")

    def check(self, source: Fingerprint | None) -> bool:
        """Before a PIN is read: whether a PIN was refused, of what `source` is no longer.

        The record stays until the new PIN is accepted (`forget`) or refused (`remember`). Of a
        descriptor or a prompt nobody can see that it changed: only `forget` helps then.
        Raises: PinRefused.
        """
        content = files.read_if_present(self._path, _CAP)
        if content is None:
            return False
        if _RECORD.fullmatch(content) is None:
            raise Tampered(f"{self._path} is not the record of a refused PIN")
        if source is None or content == _text(source):
            raise PinRefused(
                f"the token refused this PIN before ({self._path}): change its source, "
                "or run: hsm-mpc holder login"
            )
        return True

    def forget(self) -> None:
        """`holder login` was typed, or a PIN was accepted."""
        if files.present(self._path):
            files.remove(self._path, "refused-pin")


def _text(source: Fingerprint | None) -> bytes:
    return (" ".join(str(part) for part in source or ()) + "\n").encode("ascii")
