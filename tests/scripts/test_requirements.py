from __future__ import annotations

import re
import tomllib

import pytest

from tests.conftest import ROOT

LOCKS = ("run", "dev")


def locked(name: str) -> dict[str, str]:
    """Name and version of what requirements/NAME.txt locks; every entry must carry hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    entries = re.findall(r"^[a-z0-9].*(?:\n    .*)*", text, re.MULTILINE)
    assert entries
    versions = {}
    for entry in entries:
        first, *hashes = entry.replace(" \\\n", "\n").splitlines()
        assert hashes
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", line) for line in hashes)
        package, version = first.split(" ; ")[0].split("==")
        versions[package] = version
    return versions


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    assert not re.search(r"://|--(?:extra-)?index-url|--find-links|--trusted-host", text)


def test_what_runs_is_tested_in_the_same_versions() -> None:
    run, dev = locked("run"), locked("dev")
    assert run.items() < dev.items()


def test_everything_that_pyproject_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

    def names(requirements: list[str]) -> set[str]:
        # Locks spell names with hyphens.
        spelled = (re.match(r"[\w-]+", requirement) for requirement in requirements)
        return {match[0].lower().replace("_", "-") for match in spelled if match}

    backend = names(project["build-system"]["requires"])
    runtime = names(project["project"]["dependencies"])
    extras = project["project"]["optional-dependencies"].values()
    assert backend | runtime <= locked("run").keys()
    assert set().union(*map(names, extras)) <= locked("dev").keys()
