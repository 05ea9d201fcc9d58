"""What others have written, for a terminal."""

from __future__ import annotations

from typing import Final

from hsm_mpc.errors import printable

_COLUMNS: Final = 60
"""Of what others have written, in a line."""


def parts(text: str) -> list[str]:
    """Lines that no terminal breaks: behind a break it would look like a line of the plan."""
    found = []
    for line in map(printable, text.splitlines()):
        width = _COLUMNS if line.isascii() else _COLUMNS // 2
        found += [line[at : at + width] for at in range(0, len(line) or 1, width)]
    return found
