"""A holder's folder, from nothing and without root.

DIR/holder.yaml      configuration
DIR/pin, DIR/so-pin  random PINs, mode 0600, drawn in protected memory
and what the kind of token wants (softhsm.py, nss.py, p11kit.py, opencryptoki.py)
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from hsm_mpc.errors import BackendError, BadInput
from hsm_mpc.ids import checked_name
from hsm_mpc.lab.folder import write_private
from hsm_mpc.lab.kind import TOKEN, Kind
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.entropy import SEED_BYTES, Entropy

_HEX: Final = b"0123456789abcdef"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
_libc.write.restype = ctypes.c_ssize_t


@dataclass(frozen=True, slots=True)
class HolderFolder:
    """What `make_holder_folder` wrote. Nothing in it is secret but the PIN files' content."""

    config: Path
    so_pin_source: str


def make_holder_folder(folder: Path, name: str, kind: Kind, arena: Arena) -> HolderFolder:
    """Write configuration and PIN files; the token itself is made by `token init`.

    Raises:
        BadInput: the folder is already there, or `name` is no name.
        BadConfig: no module of this kind is known.
    """
    checked_name(name, "holder")
    folder = folder.absolute()
    if folder.exists() and not _is_begun_by_a_wrapper(folder):
        raise BadInput(f"{folder} is already there; name a new folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in ("pin", "so-pin"):
        _write_random_pin(folder / file, kind.pin_characters, arena)
    return HolderFolder(write_settings(folder, name, kind, {}), f"file:{folder / 'so-pin'}")


def _is_begun_by_a_wrapper(folder: Path) -> bool:
    return folder.is_dir() and os.listdir(folder) == [TOKEN]


def write_settings(folder: Path, name: str, kind: Kind, more: Mapping[str, object]) -> Path:
    """Write holder.yaml, with `more` in it, and what the kind wants; where the former is."""
    kind.prepare(folder)
    config = folder / "holder.yaml"
    document = {**_holder_document(name, kind), **more}
    write_private(config, yaml.safe_dump(document, sort_keys=False))
    return config


def _holder_document(name: str, kind: Kind) -> dict[str, object]:
    label = name[:32]
    return {
        "version": 1,
        "name": name,
        "lab": True,
        "store": "store",
        "roster": "roster",
        "hsm": {
            "module": kind.module(),
            "token": label,
            "pin_source": "file:pin",
            **kind.section(label),
        },
    }


def _write_random_pin(path: Path, characters: int, arena: Arena) -> None:
    """Hexadecimal characters, made and written by pointer: they are never a Python value."""
    with arena.scope() as take:
        seed, pin = take(SEED_BYTES), take(characters)
        Entropy().seed(seed)
        with seed.open() as source, pin.open() as target:
            drawn = (ctypes.c_ubyte * SEED_BYTES).from_address(source)
            text = (ctypes.c_ubyte * characters).from_address(target)
            for at in range(characters // 2):
                text[2 * at] = _HEX[drawn[at] >> 4]
                text[2 * at + 1] = _HEX[drawn[at] & 15]
            _write(path, target, characters)


def _write(path: Path, pointer: int, length: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if _libc.write(descriptor, pointer, length) != length:
            raise BackendError(f"{path}: {os.strerror(ctypes.get_errno())}")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
