"""Times that others have said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_LAST_SECOND: Final = 253_402_300_799
"""Of the year 9999: a holder may say any time."""


def moment(said: int) -> datetime:
    """What somebody says in seconds since 1970 UTC, as far as a calendar goes."""
    return datetime.fromtimestamp(min(said, _LAST_SECOND), UTC)
