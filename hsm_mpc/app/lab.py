"""`lab holder`: a holder on SoftHSM2 from nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hsm_mpc.app import token
from hsm_mpc.lab.softhsm import make_holder_folder
from hsm_mpc.secure.arena import Arena


@dataclass(frozen=True, slots=True)
class PreparedHolder:
    """A folder with a token, PIN files and a configuration; `holder init` comes next."""

    config: Path
    token: str
    serial: str


def prepare_holder(folder: Path, name: str) -> PreparedHolder:
    """A private SoftHSM2 token with random PINs in a new folder.

    Raises:
        BadInput: the folder is there already, or `name` is no name.
        BadConfig: no SoftHSM2 module is known.
    """
    arena = Arena()
    made = make_holder_folder(folder, name, arena)
    arena.close()
    created = token.create(made.config, made.so_pin_source, prompt=False)
    return PreparedHolder(made.config, created.label, created.serial)
