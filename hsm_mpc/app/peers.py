"""What clients and coordinators need of others: the roster that they pin."""

from __future__ import annotations

from pathlib import Path

from hsm_mpc.errors import BadConfig, BadEncoding
from hsm_mpc.roster import Roster


def pinned_roster(path: Path) -> Roster:
    """The roster in a file.

    Raises:
        BadConfig: it cannot be read, or is none.
    """
    try:
        return Roster.from_bytes(path.read_bytes())
    except OSError as failure:
        raise BadConfig(f"roster {path}: {failure.strerror}") from failure
    except BadEncoding as broken:
        raise BadConfig(f"roster {path}: {broken}") from broken
