"""store/names.py: folders named by hashes, files that are written once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.store import files, names


def test_hashes_are_read_from_names_in_order(folder: Path) -> None:
    for name in ("ff00", "00ff", ".tmp-1"):
        files.create_folder(folder / name, "x")
    assert names.hashes_in(folder, 2) == (b"\x00\xff", b"\xff\x00")


@pytest.mark.parametrize("name", ["ff0", "ff000", "FF00", "fg00", "ff00\n", "notes.txt"])
def test_an_entry_that_is_no_hash_is_refused(folder: Path, name: str) -> None:
    files.create_folder(folder / name, "x")
    with pytest.raises(Tampered, match="does not belong into the store"):
        names.hashes_in(folder, 2)


def test_keeping_the_same_bytes_again_is_no_failure(folder: Path) -> None:
    names.keep(folder / "file", b"content", "file")
    names.keep(folder / "file", b"content", "file")
    assert files.read(folder / "file", 7) == b"content"


def test_keeping_again_makes_the_name_durable_that_a_crash_may_have_left_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names.keep(folder / "file", b"content", "file")
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    names.keep(folder / "file", b"content", "file")
    assert synced == [folder]


def test_what_could_not_be_read_again_is_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "DOCUMENT_CAP", 4)
    names.keep(folder / "file", b"four", "file")
    with pytest.raises(BadInput, match="at most 4 bytes"):
        names.keep(folder / "longer", b"four.", "file")
    assert os.listdir(folder) == ["file"]


def test_what_is_kept_never_changes(folder: Path) -> None:
    names.keep(folder / "file", b"content", "file")
    with pytest.raises(Tampered, match="holds other bytes"):
        names.keep(folder / "file", b"other", "file")
    assert files.read(folder / "file", 7) == b"content"
    assert os.listdir(folder) == ["file"]
