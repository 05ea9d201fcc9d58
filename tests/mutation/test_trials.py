"""The harness bites: it tells what notices a missing check from what does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.mutation import toy
from tests.mutation.page import ROOT
from tests.mutation.trials import Fate

Found = dict[str, list[str]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What came of each toy trial, in a process without anything of the project."""
    folder = tmp_path_factory.mktemp("toy")
    toy.make(folder)
    before = sorted(os.listdir(folder))
    command = [sys.executable, "-m", "tests.mutation.toy", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert sorted(os.listdir(folder)) == before, "the harness writes into the tree"
    read: Found = json.loads(ended.stdout)
    return read


@pytest.mark.parametrize(
    ("what", "test"),
    [
        ("a test that fails", "test_refused"),
        ("the second of two", "test_refused"),
        ("a test that never ends", "test_counted"),
        ("a test that dies", "test_dies"),
        ("a new process", "test_in_a_new_process"),
    ],
)
def test_a_missing_check_is_noticed(found: Found, what: str, test: str) -> None:
    assert found[what] == [Fate.NOTICED.name, f"test_toy.py::{test}"]


@pytest.mark.parametrize("what", ["a test that passes", "nothing missing"])
def test_a_test_that_passes_notices_nothing(found: Found, what: str) -> None:
    assert found[what] == [Fate.UNNOTICED.name, ""]


@pytest.mark.parametrize(
    "what", ["a module that does not load", "a fixture that fails", "a test that is not there"]
)
def test_what_does_not_come_to_a_test_notices_nothing(found: Found, what: str) -> None:
    assert found[what] == [Fate.BROKEN.name, ""]
