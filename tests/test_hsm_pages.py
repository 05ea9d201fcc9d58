"""The pages of modules and vendors: whole, with configurations that load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from hsm_mpc.config import HolderConfig, load_holder
from hsm_mpc.hsm.profiles import PROFILES, Profile
from tests.conftest import ROOT

PAGES: Final = ROOT / "docs" / "hsm"
INDEX: Final = PAGES / "README.md"
OF_A_MODULE: Final = sorted(page.name for page in PAGES.glob("*.md") if page != INDEX)


def configured(page: str, folder: Path) -> HolderConfig:
    """The one `holder.yaml` on a page."""
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", (PAGES / page).read_text("utf-8"), re.M | re.S)
    path = folder / "holder.yaml"
    path.write_text(block, "utf-8")
    path.chmod(0o600)
    return load_holder(path)


@pytest.mark.parametrize("page", OF_A_MODULE)
def test_every_configuration_on_a_page_loads(page: str, tmp_path: Path) -> None:
    config = configured(page, tmp_path)
    assert config.front is not None
    of_this_page = {profile.name for profile in PROFILES if profile.page == page}
    assert config.hsm.profile is None or config.hsm.profile in of_this_page


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_every_profile_has_its_page_and_says_whether_it_was_tried(profile: Profile) -> None:
    page = (PAGES / profile.page).read_text("utf-8")
    assert f"`{profile.name}`" in page
    assert profile.untested is ("**untested on hardware**" in page)


@pytest.mark.parametrize("page", OF_A_MODULE)
def test_a_page_says_what_an_operator_asks(page: str) -> None:
    text = (PAGES / page).read_text("utf-8")
    for word in ("**Install.**", "**PINs.**", "egister", "**What doctor says.**", "**Backups"):
        assert word in text, word
    if "**untested on hardware**" in text:
        assert "**Not verified.**" in text
        assert re.search(r"^Sources: ", text, re.M)
    cited = {
        int(number) for group in re.findall(r"\[([\d, ]+)\]", text) for number in group.split(",")
    }
    assert cited == set(range(1, len(cited) + 1))


def test_the_index_has_every_page() -> None:
    assert sorted(set(re.findall(r"\]\((\w[\w-]*\.md)\)", INDEX.read_text("utf-8")))) == OF_A_MODULE
