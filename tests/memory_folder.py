"""Where the folders of tests lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_MEMORY: Final = Path("/dev/shm")

IN_MEMORY: Final = _MEMORY if os.access(_MEMORY, os.W_OK) else None
"""A folder in memory, where fsync costs nothing, as `dir` of `tempfile`; None: the usual one."""
