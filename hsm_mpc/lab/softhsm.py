"""Holders on SoftHSM2, in the signer's own process.

DIR/softhsm2.conf    where this holder's token lives
DIR/tokens/          the token: whoever copies it, copies its keys (it is a folder, not an HSM)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hsm_mpc.lab.kind import Kind

_CONFIGURATION: Final = """\
directories.tokendir = {folder}/tokens
objectstore.backend = file
log.level = ERROR
slots.removable = false
"""


def _prepare(folder: Path) -> None:
    (folder / "tokens").mkdir(mode=0o700, exist_ok=True)
    (folder / "softhsm2.conf").write_text(_CONFIGURATION.format(folder=folder), "utf-8")


SOFTHSM: Final = Kind(
    name="softhsm",
    section=lambda _: {"environment": {"SOFTHSM2_CONF": "./softhsm2.conf"}},
    prepare=_prepare,
)
