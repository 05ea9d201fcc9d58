"""Holders on NSS's software token, in the signer's own process.

DIR/nss/    the token: two SQLite files
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hsm_mpc.lab.kind import Kind


def _section(label: str) -> dict[str, object]:
    return {
        "parameters": (
            "configdir='sql:./nss' certPrefix='' keyPrefix='' secmod='secmod.db' flags= "
            f"dbTokenDescription='{label}'"
        ),
        # It is no HSM, and a laboratory.
        "accept_findings": ["key-not-local", "non-extractable-is-wrapped"],
    }


def _prepare(folder: Path) -> None:
    (folder / "nss").mkdir(mode=0o700, exist_ok=True)


NSS: Final = Kind(name="nss", section=_section, prepare=_prepare)
