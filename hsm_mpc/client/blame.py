"""An abort as a client tells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hsm_mpc.errors import ProtocolAbort


class HoldersBlamed(ProtocolAbort):
    """A protocol was aborted; the culprits by name, as the coordinator says."""

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names: Final = tuple(names)

    def facts(self) -> Mapping[str, object]:
        return {"culprits": list(self.names)} if self.names else {}
