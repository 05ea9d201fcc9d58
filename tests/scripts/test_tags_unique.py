from __future__ import annotations

from pathlib import Path

from scripts.checks.tags_unique import OWN, tags_unique
from tests.scripts.conftest import Write

TAGS = f'class Tag:\n    ACK = "{OWN}ack"\n    KEK_ID = "{OWN}kek-id"\n    LEAF = "TapLeaf"\n'


def test_different_tags_in_their_file_are_fine(project: Path, write: Write) -> None:
    write("hsm_mpc/tags.py", TAGS)
    write("hsm_mpc/store.py", "tag = Tag.ACK\n")
    assert tags_unique(project) == []


def test_no_package_is_fine(project: Path) -> None:
    assert tags_unique(project) == []


def test_a_tag_outside_of_its_file_is_found(project: Path, write: Write) -> None:
    write("hsm_mpc/tags.py", TAGS)
    write("hsm_mpc/store.py", f'\nx = b"{OWN}new"\n')
    assert tags_unique(project) == ["hsm_mpc/store.py:2: a tag of ours outside of tags.py; use Tag"]


def test_two_names_of_one_tag_are_found(project: Path, write: Write) -> None:
    write("hsm_mpc/tags.py", TAGS + '    OTHER = "TapLeaf"\n')
    assert tags_unique(project) == ["hsm_mpc/tags.py: TapLeaf stands 2 times"]


def test_a_documented_list_must_be_the_same(project: Path, write: Write) -> None:
    write("hsm_mpc/tags.py", TAGS)
    write("docs/protocols/tags.md", f"| `{OWN}ack` |\n| `{OWN}gone` |\n")
    assert tags_unique(project) == [
        f"docs/protocols/tags.md lacks {OWN}kek-id",
        f"hsm_mpc/tags.py lacks {OWN}gone",
    ]
    write("docs/protocols/tags.md", f"`{OWN}ack`, `{OWN}kek-id`. Every one begins with `{OWN}`.\n")
    assert tags_unique(project) == []
