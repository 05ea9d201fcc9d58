"""Keys of clients and coordinators: private files, drawn and read by pointer alone."""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsm_mpc import seed_file
from hsm_mpc.errors import BackendError, BadConfig, InvalidSignature, NameTaken
from hsm_mpc.secure.arena import Arena
from hsm_mpc.tags import Tag, tagged_hash


@pytest.fixture
def arena() -> Iterator[Arena]:
    arena = Arena(16 * 1024)
    yield arena
    arena.close()


@pytest.fixture
def path(tmp_path: Path, arena: Arena) -> Path:
    seed_file.create(tmp_path / "key", arena)
    return tmp_path / "key"


def test_a_key_is_the_same_after_it_was_read_again(tmp_path: Path, arena: Arena) -> None:
    made = seed_file.create(tmp_path / "key", arena)
    assert seed_file.load(tmp_path / "key", arena).key == made.key


def test_signatures_verify_under_the_public_half(path: Path, arena: Arena) -> None:
    key = seed_file.load(path, arena)
    signature = key.sign(Tag.CLIENT, b"pay")
    key.key.verify(Tag.CLIENT, b"pay", signature)
    with pytest.raises(InvalidSignature):
        key.key.verify(Tag.ENVELOPE, b"pay", signature)


def test_the_file_is_the_seed_of_rfc_8032_and_private(path: Path, arena: Arena) -> None:
    other = Ed25519PrivateKey.from_private_bytes(path.read_bytes())
    signature = seed_file.load(path, arena).sign(Tag.CLIENT, b"pay")
    assert signature == other.sign(tagged_hash(Tag.CLIENT, b"pay"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_keys_are_different(tmp_path: Path, arena: Arena) -> None:
    one = seed_file.create(tmp_path / "one", arena)
    assert one.key != seed_file.create(tmp_path / "other", arena).key


def test_nothing_of_the_seed_is_left_but_the_key_in_use(tmp_path: Path, arena: Arena) -> None:
    before = arena.free_bytes
    key = seed_file.create(tmp_path / "key", arena)
    key.wipe()
    assert arena.free_bytes == before


def test_a_wiped_key_signs_nothing(path: Path, arena: Arena) -> None:
    key = seed_file.load(path, arena)
    key.wipe()
    with pytest.raises(BackendError):
        key.sign(Tag.CLIENT, b"pay")


def test_a_key_is_never_written_over(path: Path, arena: Arena) -> None:
    before = path.read_bytes()
    with pytest.raises(NameTaken):
        seed_file.create(path, arena)
    assert path.read_bytes() == before


def test_a_folder_that_is_not_there_is_a_backend_error(tmp_path: Path, arena: Arena) -> None:
    with pytest.raises(BackendError):
        seed_file.create(tmp_path / "nowhere" / "key", arena)


def test_a_disk_that_takes_half_a_key_keeps_none(
    tmp_path: Path, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        @staticmethod
        def write(descriptor: int, pointer: int, length: int) -> int:
            return os.write(descriptor, ctypes.string_at(pointer, length // 2))

    monkeypatch.setattr(seed_file, "_libc", Full)
    with pytest.raises(BackendError):
        seed_file.create(tmp_path / "key", arena)
    assert not (tmp_path / "key").exists()


def test_a_file_that_is_not_there_is_a_bad_configuration(tmp_path: Path, arena: Arena) -> None:
    with pytest.raises(BadConfig, match="No such file"):
        seed_file.load(tmp_path / "key", arena)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_file_of_another_length_is_no_key(path: Path, arena: Arena, length: int) -> None:
    path.write_bytes(bytes(length))
    with pytest.raises(BadConfig, match="32 bytes"):
        seed_file.load(path, arena)


def test_a_folder_and_a_pipe_are_no_keys(tmp_path: Path, arena: Arena) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(BadConfig, match="32 bytes"):
            seed_file.load(path, arena)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_a_file_that_others_may_use_is_refused(path: Path, arena: Arena, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(BadConfig, match="chmod 600"):
        seed_file.load(path, arena)


def test_a_file_of_another_user_is_refused(
    path: Path, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seed_file, "_ROOT", 4242)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(BadConfig, match="another user"):
        seed_file.load(path, arena)


def test_a_read_that_fails_is_said(
    path: Path, arena: Arena, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        @staticmethod
        def read(descriptor: int, pointer: int, length: int) -> int:
            return -1

    monkeypatch.setattr(seed_file, "_libc", Broken)
    with pytest.raises(BadConfig, match="cannot be read"):
        seed_file.load(path, arena)
