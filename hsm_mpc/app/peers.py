"""What clients and coordinators need of others: the roster that they pin."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hsm_mpc.errors import BadConfig, BadInput
from hsm_mpc.regular import read_regular
from hsm_mpc.roster import Roster

_LARGEST_ROSTER: Final = 256 * 1024


def pinned_roster(path: Path) -> Roster:
    """The roster in a file.

    Raises:
        BadConfig: it cannot be read, or is none.
    """
    try:
        return Roster.from_bytes(read_regular(path, _LARGEST_ROSTER)[0])
    except BadInput as broken:
        raise BadConfig(f"roster {path}: {broken}") from broken
