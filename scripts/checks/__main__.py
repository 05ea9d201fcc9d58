"""`python -m scripts.checks NAME`: runs one check over the project and prints what it found."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(name: str) -> int:
    """0 if the check `name` (a module here, with a function of that name) found nothing, else 1."""
    check = getattr(importlib.import_module(f"scripts.checks.{name}"), name)
    problems: list[str] = check(Path(__file__).resolve().parents[2])
    print(*problems, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
