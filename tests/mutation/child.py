"""A forked process that runs some tests, and writes down what becomes of them as it goes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import hypothesis
import pytest

from tests.mutation.mutant import hand_down, install

_OPTIONS: Final = ("-q", "-p", "no:cacheprovider", "-p", "no:faulthandler")


class Witness:
    """Writes one line per event: `[kind, test]`. Kinds: setup, call, passed, failed, error, end."""

    def __init__(self, events: Path, *, to_first_failure: bool) -> None:
        self._events = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._to_first_failure = to_first_failure
        self._session: pytest.Session | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self._session = session

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._write("setup", item.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        self._write("call", item.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._write("error" if report.when == "setup" else "failed", report.nodeid)
            if self._to_first_failure and self._session and report.when != "setup":
                self._session.shouldfail = "seen"
        elif report.when == "call" and report.passed:
            self._write("passed", report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._write("end", "")

    def _write(self, kind: str, test: str) -> None:
        os.write(self._events, json.dumps([kind, test]).encode() + b"\n")


def run(
    root: Path, check: str, tests: Sequence[str], folder: Path, plugins: Sequence[object] = ()
) -> None:
    """Run `tests` without `check`, or with all checks if that is empty; never returns.

    What happens goes to `folder / "events"`, what is printed to `folder / "printed"`.
    """
    try:
        os.setsid()
        os.chdir(root)
        _redirect(folder / "printed")
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # they take half of the time
        for name in ("HSM_MPC_GATE", "HSM_MPC_VECTORS"):  # what a claim may not depend on
            os.environ.pop(name, None)
        if check:
            hand_down(check)
            install(check)
        # Always the same examples, and none is kept in the project's folder.
        hypothesis.settings.register_profile(
            "mutation",
            derandomize=True,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        )
        hypothesis.settings.load_profile("mutation")
        witness = Witness(folder / "events", to_first_failure=bool(check))
        temporary = f"--basetemp={folder / 't'}"
        pytest.main([*_OPTIONS, temporary, *tests], plugins=[witness, *plugins])
    finally:
        sys.stdout.flush()
        os._exit(0)


def _redirect(printed: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(printed, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
