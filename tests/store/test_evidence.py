from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hsm_mpc.store import evidence as module
from hsm_mpc.store import names
from hsm_mpc.store.evidence import Evidence


@pytest.fixture
def evidence(folder: Path) -> Evidence:
    return Evidence(folder)


def test_evidence_is_named_by_its_hash(evidence: Evidence) -> None:
    name = evidence.keep(b"two messages")
    assert name == hashlib.sha256(b"two messages").hexdigest()
    assert evidence.load(name) == b"two messages"


def test_the_same_evidence_is_kept_once(evidence: Evidence, folder: Path) -> None:
    assert evidence.keep(b"two messages") == evidence.keep(b"two messages")
    assert len(evidence.kept()) == len(list(folder.iterdir())) == 1


def test_evidence_does_not_fill_the_disk(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FILES", 2)
    kept = [evidence.keep(b"%d" % number) for number in range(3)]
    assert kept[2] is None
    assert len(evidence.kept()) == 2
    assert evidence.keep(b"0") == kept[0]  # known: nothing more is written


def test_what_would_be_too_large_to_be_read_is_not_written(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "DOCUMENT_CAP", 8)
    assert evidence.keep(b"123456789") is None
    assert not evidence.has_room(b"123456789")
    assert evidence.kept() == ()
    kept = evidence.keep(b"12345678")
    assert kept is not None
    assert evidence.load(kept) == b"12345678"
