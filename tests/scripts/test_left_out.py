"""tests/conftest.py: what a run found and what it left out is said at its end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ALLOWED_IN_GATE, ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]

WANTS_VECTORS = "def test_a(vectors): assert vectors.name\ndef test_b(vectors): pass\n"
SKIPS = "import pytest\ndef test_a(): pytest.skip({reason!r})\n"
SKIPS_ALL = "import pytest\npytest.skip('no reason', allow_module_level=True)\n"
IS_LONG = "import pytest\n@pytest.mark.long\ndef test_a(): pass\ndef test_b(): pass\n"
REPORTS = "def test_a(report_line):\n    report_line('3 of 3')\n    report_line('no more')\n"
EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_a(): assert False\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs one test file under a copy of the project's conftest: `run(text, VARIABLE=value)`."""
    folder = tmp_path / "tests"
    folder.mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    def run_pytest(
        text: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        (folder / "test_it.py").write_text(text)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HSM_MPC_", "PYTEST_"))
        }
        inherited["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take half of the time
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=inherited | variables, capture_output=True, text=True
        )

    return run_pytest


ALONE_OR_NOT = pytest.mark.parametrize("workers", [(), ("-p", "xdist", "--numprocesses=1")])


@ALONE_OR_NOT
def test_without_vectors_their_tests_are_left_out_and_counted(
    run: Run, workers: tuple[str, ...]
) -> None:
    ended = run(WANTS_VECTORS, *workers)
    assert ended.returncode == 0
    *_, said, closing = ended.stdout.splitlines()
    assert said == (
        "left out: 2 tests of published vectors (set HSM_MPC_VECTORS to the folder that holds them)"
    )
    assert "2 skipped" in closing


@ALONE_OR_NOT
def test_what_a_test_reports_stands_at_the_end(run: Run, workers: tuple[str, ...]) -> None:
    *_, one, other, closing = run(REPORTS, *workers).stdout.splitlines()
    assert (one, other) == ("3 of 3", "no more")
    assert "1 passed" in closing


def test_what_a_failed_test_reports_does_not(run: Run) -> None:
    assert "3 of 3\n" not in run(REPORTS + "    assert False\n").stdout


def test_with_vectors_they_run(run: Run, tmp_path: Path) -> None:
    assert "2 passed" in run(WANTS_VECTORS, HSM_MPC_VECTORS=str(tmp_path)).stdout


def test_a_vector_folder_that_is_not_there_fails(run: Run, tmp_path: Path) -> None:
    assert run(WANTS_VECTORS, HSM_MPC_VECTORS=str(tmp_path / "gone")).returncode == 1


@pytest.mark.parametrize("text", [WANTS_VECTORS, SKIPS.format(reason="tired"), SKIPS_ALL])
def test_in_the_gate_a_skip_is_a_failure(run: Run, text: str) -> None:
    assert run(text).returncode in (0, 5)
    ended = run(text, HSM_MPC_GATE="1")
    assert ended.returncode not in (0, 5)
    assert "skipped in the gate: " in ended.stdout
    assert "skipped," not in ended.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "text", [EXPECTED_FAILURE, *(SKIPS.format(reason=reason) for reason in sorted(ALLOWED_IN_GATE))]
)
def test_the_gate_allows_what_is_listed_and_expected_failures(run: Run, text: str) -> None:
    assert run(text, HSM_MPC_GATE="1").returncode == 0


def test_long_tests_run_only_when_asked_for(run: Run) -> None:
    short = run(IS_LONG)
    assert "1 passed, 1 skipped" in short.stdout
    assert "left out: 1 test marked long (scripts/test --long)" in short.stdout
    assert "2 passed" in run(IS_LONG, "--long").stdout


def test_a_missing_hsm_module_fails(run: Run) -> None:
    ended = run("def test_a(softhsm_module): pass\n")
    assert ended.returncode == 1
    assert "no SoftHSM2: run scripts/setup" in ended.stdout


def test_a_module_that_is_brought_is_used(run: Run) -> None:
    text = "def test_a(softhsm_module): assert softhsm_module == 'm.so'\n"
    assert run(text, HSM_MPC_SOFTHSM_MODULE="m.so").returncode == 0
