"""A product of one file with tests of its own, to see that the harness bites.

`python -m tests.mutation.toy FOLDER` tries each of `TRIALS` there and prints what came of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from tests.mutation.trials import Trial, results, workplace

LIMIT: Final = 2.0

PRODUCT: Final = """
def small(x):
    if x > 3:
        raise ValueError(x)
    return x

def counted(most):
    count = 0
    while True:
        if count >= most:
            break
        count += 1
    return count

def after(x):
    if x is None:
        return None
    return x + 1

FIRST = after(None)
"""

TESTS: Final = """
import os, subprocess, sys
import pytest
import product

def test_refused():
    with pytest.raises(ValueError):
        product.small(4)

def test_accepted():
    assert product.small(3) == 3

def test_counted():
    assert product.counted(2) == 2

@pytest.fixture
def refused():
    with pytest.raises(ValueError):
        product.small(4)

def test_with_what_was_refused(refused):
    pass

def test_dies():
    try:
        product.small(4)
    except ValueError:
        return
    os.abort()

def test_in_a_new_process():
    command = [sys.executable, "-c", "import product; product.small(4)"]
    assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 1
"""

_SMALL: Final = "product.py small: x > 3"

TRIALS: Final = {
    "a test that fails": Trial(_SMALL, ("test_toy.py::test_refused",)),
    "a test that passes": Trial(_SMALL, ("test_toy.py::test_accepted",)),
    "the second of two": Trial(_SMALL, ("test_toy.py::test_accepted", "test_toy.py::test_refused")),
    "a test that never ends": Trial(
        "product.py counted: count >= most", ("test_toy.py::test_counted",)
    ),
    "a module that does not load": Trial(
        "product.py after: x is None", ("test_toy.py::test_accepted",)
    ),
    "a fixture that fails": Trial(_SMALL, ("test_toy.py::test_with_what_was_refused",)),
    "a test that is not there": Trial(_SMALL, ("test_toy.py::test_forgotten",)),
    "a test that dies": Trial(_SMALL, ("test_toy.py::test_dies",)),
    "a new process": Trial(_SMALL, ("test_toy.py::test_in_a_new_process",)),
    "nothing missing": Trial("", ("test_toy.py",)),
}


def make(folder: Path) -> None:
    """Write the product and its tests."""
    (folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (folder / "product.py").write_text(PRODUCT)
    (folder / "test_toy.py").write_text(TESTS)


def main(folder: Path) -> None:
    """See above."""
    names = {trial: name for name, trial in TRIALS.items()}
    with workplace() as place:
        found = {
            names[result.trial]: (result.fate.name, result.test)
            for result in results(folder, place, list(TRIALS.values()), limit=LIMIT)
        }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
