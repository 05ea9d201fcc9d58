"""A signing key in a file: the 32 bytes of an Ed25519 seed, mode 0600, never a Python value.

Keys of clients and coordinators (steps 1.6.9 and 1.6.10). The seed is drawn in protected memory and
written from there by pointer; it is read into protected memory the same way.
"""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path
from typing import Final

from hsm_mpc.errors import BackendError, BadConfig, NameTaken
from hsm_mpc.identity import Algorithm, VerifyingKey
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Arena, Secret
from hsm_mpc.secure.entropy import SEED_BYTES, Entropy
from hsm_mpc.steps import step
from hsm_mpc.tags import Tag, tagged_hash

_SECRET_KEY_BYTES: Final = 64
_ROOT: Final = 0

_libc = ctypes.CDLL(None, use_errno=True)
for _name in ("read", "write"):
    getattr(_libc, _name).argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
    getattr(_libc, _name).restype = ctypes.c_ssize_t


class SeedKey:
    """An Ed25519 key in protected memory; used by several threads."""

    def __init__(self, secret_key: Secret, key: VerifyingKey) -> None:
        self._secret_key = secret_key
        self.key: Final = key

    def sign(self, tag: Tag, message: bytes) -> bytes:
        """The signature, 64 bytes, over `TH(tag, message)` that `key.verify` accepts."""
        with self._secret_key.open() as secret_key:
            return sodium.ed25519_sign(secret_key, tagged_hash(tag, message))

    def wipe(self) -> None:
        """Nothing is signed from now on."""
        self._secret_key.release()


def create(path: Path, arena: Arena) -> SeedKey:
    """Draw a key and write it to a new file.

    Raises:
        NameTaken: the file is there already; it is left alone.
        BackendError: the folder cannot be written to, or the disk is full.
    """
    with arena.scope() as take:
        seed = take(SEED_BYTES)
        Entropy().seed(seed)
        try:
            with step("seed.write"):
                _write(path, seed)
        except FileExistsError as taken:
            raise NameTaken(f"{path} is there already: a key is never written over") from taken
        except OSError as failure:
            raise BackendError(f"{path}: {failure.strerror}") from failure
        return _key_of(seed, arena)


def load(path: Path, arena: Arena) -> SeedKey:
    """The key in a file.

    Raises:
        BadConfig: no such file, others could read it, or it does not hold 32 bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as failure:
        raise BadConfig(f"key file {path}: {failure.strerror}") from failure
    try:
        _check(os.fstat(descriptor), path)
        with arena.scope() as take:
            seed = take(SEED_BYTES)
            with seed.open() as pointer:
                got = _libc.read(descriptor, pointer, SEED_BYTES)
            if got != SEED_BYTES:
                raise BadConfig(f"key file {path}: it cannot be read")
            return _key_of(seed, arena)
    finally:
        os.close(descriptor)


def _key_of(seed: Secret, arena: Arena) -> SeedKey:
    secret_key = arena.take(_SECRET_KEY_BYTES)
    with seed.open() as source, secret_key.open() as target:
        public = sodium.ed25519_keypair(source, target)
    return SeedKey(secret_key, VerifyingKey(Algorithm.ED25519, public))


def _check(state: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(state.st_mode) or state.st_size != SEED_BYTES:
        raise BadConfig(f"key file {path}: not a file of {SEED_BYTES} bytes")
    if state.st_uid not in (os.geteuid(), _ROOT):
        raise BadConfig(f"key file {path}: it belongs to another user; mend: chown it")
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise BadConfig(f"key file {path}: others may use it; mend: chmod 600 {path}")


def _write(path: Path, seed: Secret) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with seed.open() as pointer:
            if _libc.write(descriptor, pointer, SEED_BYTES) != SEED_BYTES:
                raise OSError(ctypes.get_errno() or 5, os.strerror(ctypes.get_errno() or 5))
        os.fsync(descriptor)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(descriptor)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
