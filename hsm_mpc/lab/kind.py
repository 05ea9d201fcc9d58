"""What a lab must know of a kind of token, to make holders that stand on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.errors import BadConfig

ROOT: Final = Path(__file__).resolve().parents[2]
TOKEN: Final = "token"
"""The folder in a holder's folder where its token lies, for kinds that bring a process along."""
PIN_CHARACTERS: Final = 64


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of token. Its file in this package holds the one instance."""

    name: str
    section: Callable[[str], Mapping[str, object]]
    """What of `hsm` in holder.yaml is peculiar to it, for a token of this label."""
    prepare: Callable[[Path], None] = lambda _: None
    """Make what its module wants to find in the holder's folder; done again, it changes nothing."""
    wrapper: str | None = None
    """A program of this project that lets a command find the token, as `WRAPPER STATE COMMAND`."""
    pin_characters: int = PIN_CHARACTERS
    """The length of random PINs; even."""

    @property
    def variable(self) -> str:
        """The environment variable that names another module."""
        return f"HSM_MPC_{self.name.upper()}_MODULE"

    def module(self) -> str:
        """The module that the variable names, or that `scripts/setup` found or unpacked.

        Raises:
            BadConfig: neither is there.
        """
        named = os.environ.get(self.variable)
        if named:
            return named
        kept = ROOT / ".local" / self.name
        try:
            return (kept / "module").read_text("utf-8").strip()
        except OSError as missing:
            raise BadConfig(
                f"no module of {self.name} is known{_reason(kept)}: run scripts/setup, or set "
                f"{self.variable} to its path"
            ) from missing

    def before(self, folder: Path) -> list[str]:
        """What stands before a command that uses the token of the holder in `folder`."""
        if self.wrapper is None:
            return []
        return [str(ROOT / self.wrapper), str(folder / TOKEN)]


def _reason(kept: Path) -> str:
    try:
        return f" ({(kept / 'left-out').read_text('utf-8').strip()})"
    except OSError:
        return ""
