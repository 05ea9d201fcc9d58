"""In the PYTHONPATH of processes that tests start: they miss the same check (mutant.py)."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[3]))

import tests.mutation.mutant  # noqa: F401
