"""A holder's folder on SoftHSM2, from nothing and without root.

DIR/holder.yaml      configuration
DIR/softhsm2.conf    where this holder's token lives
DIR/tokens/          the token: whoever copies it, copies its keys (it is a folder, not an HSM)
DIR/pin, DIR/so-pin  random PINs, mode 0600, drawn in protected memory
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from hsm_mpc.errors import BackendError, BadConfig, BadInput
from hsm_mpc.ids import checked_name
from hsm_mpc.lab.folder import write_private
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.entropy import SEED_BYTES, Entropy

PIN_CHARACTERS: Final = 2 * SEED_BYTES
MODULE_VARIABLE: Final = "HSM_MPC_SOFTHSM_MODULE"

_HEX: Final = b"0123456789abcdef"
_CONFIGURATION: Final = """\
directories.tokendir = {folder}/tokens
objectstore.backend = file
log.level = ERROR
slots.removable = false
"""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
_libc.write.restype = ctypes.c_ssize_t


@dataclass(frozen=True, slots=True)
class HolderFolder:
    """What `make_holder_folder` wrote. Nothing in it is secret but the PIN files' content."""

    config: Path
    so_pin_source: str


def module_path() -> str:
    """SoftHSM2's module: `HSM_MPC_SOFTHSM_MODULE`, or what `scripts/setup` found or unpacked.

    Raises:
        BadConfig: neither is there.
    """
    named = os.environ.get(MODULE_VARIABLE)
    if named:
        return named
    written = Path(__file__).resolve().parents[2] / ".local" / "softhsm" / "module"
    try:
        return written.read_text("utf-8").strip()
    except OSError as missing:
        raise BadConfig(
            f"no SoftHSM2 module is known: run scripts/setup, or set {MODULE_VARIABLE} to the "
            "path of libsofthsm2.so"
        ) from missing


def make_holder_folder(folder: Path, name: str, arena: Arena) -> HolderFolder:
    """Write configuration and PIN files; the token itself is made by `token init`.

    Raises:
        BadInput: the folder is already there, or `name` is no name.
    """
    checked_name(name, "holder")
    folder = folder.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError as taken:
        raise BadInput(f"{folder} is already there; name a new folder") from taken
    (folder / "tokens").mkdir(mode=0o700)
    for file in ("pin", "so-pin"):
        _write_random_pin(folder / file, arena)
    return HolderFolder(write_settings(folder, name, {}), f"file:{folder / 'so-pin'}")


def write_settings(folder: Path, name: str, more: Mapping[str, object]) -> Path:
    """Write holder.yaml, with `more` in it, and softhsm2.conf; where the former is."""
    (folder / "softhsm2.conf").write_text(_CONFIGURATION.format(folder=folder), "utf-8")
    config = folder / "holder.yaml"
    document = {**_holder_document(name), **more}
    write_private(config, yaml.safe_dump(document, sort_keys=False))
    return config


def _holder_document(name: str) -> dict[str, object]:
    return {
        "version": 1,
        "name": name,
        "lab": True,
        "store": "store",
        "roster": "roster",
        "hsm": {
            "module": module_path(),
            "token": name[:32],
            "pin_source": "file:pin",
            "environment": {"SOFTHSM2_CONF": "./softhsm2.conf"},
        },
    }


def _write_random_pin(path: Path, arena: Arena) -> None:
    """64 hexadecimal characters, made and written by pointer: they are never a Python value."""
    with arena.scope() as take:
        seed, pin = take(SEED_BYTES), take(PIN_CHARACTERS)
        Entropy().seed(seed)
        with seed.open() as source, pin.open() as target:
            drawn = (ctypes.c_ubyte * SEED_BYTES).from_address(source)
            text = (ctypes.c_ubyte * PIN_CHARACTERS).from_address(target)
            for at in range(SEED_BYTES):
                text[2 * at] = _HEX[drawn[at] >> 4]
                text[2 * at + 1] = _HEX[drawn[at] & 15]
            _write(path, target)


def _write(path: Path, pointer: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        if _libc.write(descriptor, pointer, PIN_CHARACTERS) != PIN_CHARACTERS:
            raise BackendError(f"{path}: {os.strerror(ctypes.get_errno())}")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
