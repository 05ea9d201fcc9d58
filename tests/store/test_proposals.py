"""store/proposals.py: PROPOSAL is on disk before a wrapping key is made (step 2.6.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm_mpc.errors import Tampered
from hsm_mpc.store import files
from hsm_mpc.store.proposals import Proposals, SessionDocument
from hsm_mpc.tags import Tag, tagged_hash

PH = tagged_hash(Tag.PROPOSAL, b"a proposal")


@pytest.fixture
def proposals(folder: Path) -> Proposals:
    return Proposals(folder)


def test_a_begun_proposal_is_found_by_its_hash(proposals: Proposals, folder: Path) -> None:
    assert proposals.begin(b"a proposal") == PH
    assert proposals.hashes() == (PH,)
    assert proposals.load(PH) == b"a proposal"
    assert (folder / PH.hex() / "proposal").is_file()


def test_beginning_again_changes_nothing(proposals: Proposals) -> None:
    proposals.begin(b"a proposal")
    proposals.keep(PH, SessionDocument.HELLO, b"hello")
    proposals.begin(b"a proposal")
    assert proposals.kept(PH, SessionDocument.HELLO) == b"hello"


def test_own_messages_are_repeated_as_they_were(proposals: Proposals) -> None:
    proposals.begin(b"a proposal")
    assert proposals.kept(PH, SessionDocument.MSG1) is None
    proposals.keep(PH, SessionDocument.MSG1, b"first")
    with pytest.raises(Tampered, match="holds other bytes"):
        proposals.keep(PH, SessionDocument.MSG1, b"second")
    assert proposals.kept(PH, SessionDocument.MSG1) == b"first"


def test_nothing_is_kept_for_a_proposal_that_is_not_on_disk(proposals: Proposals) -> None:
    with pytest.raises(Tampered, match="is missing"):
        proposals.keep(PH, SessionDocument.HELLO, b"hello")


def test_a_changed_proposal_is_refused(proposals: Proposals, folder: Path) -> None:
    proposals.begin(b"a proposal")
    (folder / PH.hex() / "proposal").write_bytes(b"another")
    with pytest.raises(Tampered, match="not the proposal that its name says"):
        proposals.load(PH)


def test_a_forgotten_proposal_is_gone(proposals: Proposals, folder: Path) -> None:
    proposals.begin(b"a proposal")
    proposals.forget(PH)
    assert proposals.hashes() == ()
    assert list(folder.iterdir()) == []


def test_cleaning_removes_folders_without_a_proposal_only(
    proposals: Proposals, folder: Path
) -> None:
    proposals.begin(b"a proposal")
    files.create_folder(folder / bytes(32).hex(), "proposal-folder")
    proposals.clean()
    assert proposals.hashes() == (PH,)
