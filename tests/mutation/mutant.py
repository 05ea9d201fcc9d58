"""Loads one module without one of its checks, in this process and in those that it starts.

By hand, for one check of docs/mutants.md:

    HSM_MPC_MUTANT='hsm_mpc/store/files.py read_if_present: len(content) > cap' \\
        .venv/bin/python -m pytest -p tests.mutation.mutant tests/store/test_files.py

No file is changed: an import hook compiles what is left of the module.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from tests.mutation.checks import without

VARIABLE: Final = "HSM_MPC_MUTANT"
_INHERITED: Final = Path(__file__).with_name("inherited")


class _Loader(SourceFileLoader):
    """Compiles anew: a cached file would hold the check."""

    def __init__(self, module: str, file: str, check: str) -> None:
        super().__init__(module, file)
        self._check = check

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text("utf-8")
        return compile(without(source, _path_of(self._check), self._check), self.path, "exec")


class _Finder(MetaPathFinder):
    def __init__(self, check: str) -> None:
        self._check = check
        self.module = _path_of(check).removesuffix(".py").replace("/", ".")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Loader(fullname, spec.origin, self._check)
        return spec


def install(check: str) -> None:
    """From now on the module of `check`, which nobody has imported yet, comes without it."""
    finder = _Finder(check)
    assert finder.module not in sys.modules, f"{finder.module} is imported already"
    sys.meta_path.insert(0, finder)


def hand_down(check: str) -> None:
    """New processes install it at their start, too, if they get our environment."""
    os.environ[VARIABLE] = check
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_INHERITED), *([others] if others else [])])


def _path_of(check: str) -> str:
    return check.partition(" ")[0]


if (_told := os.environ.get(VARIABLE)) is not None:
    install(_told)
