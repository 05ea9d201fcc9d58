"""The configurations of a lab's processes, written anew at every start of the lab."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

from hsm_mpc.identity import VerifyingKey
from hsm_mpc.lab import sockets
from hsm_mpc.lab.folder import LabFolder, LabState, write_private
from hsm_mpc.lab.holder_folder import write_settings

COORDINATOR_NUMBER: Final = 0x8000
CLIENT: Final = "lab"

_WARNING: Final = "# Written by `hsm-mpc lab up`, which writes over it.\n"


def write_all(
    lab: LabFolder, state: LabState, coordinator: VerifyingKey, client: VerifyingKey
) -> None:
    """holder.yaml of each holder, coordinator.yaml, client.yaml."""
    place = Path(state.sockets)
    known = {
        "coordinators": [{"number": COORDINATOR_NUMBER, "key": coordinator.encoded.hex()}],
        "clients": [{"name": CLIENT, "key": client.encoded.hex()}],
    }
    for name in state.holders:
        front = sockets.front(place, name)
        front.parent.mkdir(mode=0o700, exist_ok=True)
        more = {"front": {"socket": str(front)}, **known}
        write_settings(lab.holder(name), name, state.kind(name), more)
    _write(
        lab.coordinator_config,
        {
            "version": 1,
            "number": COORDINATOR_NUMBER,
            "key": lab.coordinator_key.name,
            "roster": str(lab.roster),
            "registry": "registry.sqlite",
            "listen": str(sockets.coordinator(place)),
            "holders": {name: str(sockets.front(place, name)) for name in state.holders},
        },
    )
    _write(
        lab.client_config,
        {
            "version": 1,
            "name": CLIENT,
            "key": lab.client_key.name,
            "roster": lab.roster.name,
            "coordinator": str(sockets.coordinator(place)),
        },
    )


def _write(path: Path, document: dict[str, object]) -> None:
    write_private(path, _WARNING + yaml.safe_dump(document, sort_keys=False))
