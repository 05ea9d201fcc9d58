"""What every test may ask for, and what a run says at its end: results, and what it left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final, TypeVar

import pytest
from _pytest.nodeid import NodeId

ROOT: Final = Path(__file__).resolve().parents[1]

VECTORS: Final = os.environ.get("HSM_MPC_VECTORS")
"""The folder of published test vectors, for a test that needs it when it is collected."""

IN_GATE: Final = os.environ.get("HSM_MPC_GATE") == "1"
"""Set by .ci/run. Then a skipped test has failed, unless its reason is in `ALLOWED_IN_GATE`."""

NO_VECTORS: Final = "HSM_MPC_VECTORS is not set"
LONG: Final = "takes minutes"
NO_MEMFD_SECRET: Final = "this kernel gives out no memfd_secret memory"
NO_LANDLOCK: Final = "this kernel's Landlock does not go that far"

ALLOWED_IN_GATE: Final = frozenset({LONG, NO_MEMFD_SECRET, NO_LANDLOCK})

WHAT_IS_LEFT_OUT: Final = {
    NO_VECTORS: "of published vectors (set HSM_MPC_VECTORS to the folder that holds them)",
    LONG: "marked long (scripts/test --long)",
}


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of published test vectors."""
    if VECTORS is None:
        pytest.skip(NO_VECTORS)
    folder = Path(VECTORS)
    assert folder.is_dir(), f"HSM_MPC_VECTORS: no folder {folder}"
    return folder


@pytest.fixture(scope="session")
def softhsm_module() -> str:
    """The path of SoftHSM2's module, as scripts/setup found it. Without it tests fail."""
    brought = os.environ.get("HSM_MPC_SOFTHSM_MODULE")
    if brought is not None:
        return brought
    written = ROOT / ".local" / "softhsm" / "module"
    assert written.is_file(), "no SoftHSM2: run scripts/setup"
    return written.read_text("utf-8").strip()


REPORTED: Final = "reported"
"""The property of a test that holds a line for the end of the run; workers send properties, too."""
EXPLORED: Final = "explored"
"""The property of a test that has explored a model: how many states, and which model."""


@pytest.fixture
def report_line(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """`report_line(text)`: `text` stands in the last lines of the run, if the test passes."""
    return lambda text: record_property(REPORTED, text)


def skip_where_left_out(kind: str) -> None:
    """Skip, with the reason, if scripts/setup could not have this kind of token."""
    left_out = ROOT / ".local" / kind / "left-out"
    if left_out.exists():
        pytest.skip(f"on {kind}, which is left out: {left_out.read_text('utf-8').strip()}")


# --- which tests run ------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        # pytest-xdist 3.8 writes the group, by which tests are sent to workers, to `_nodeid`; there
        # pytest 9.2 does not look for it any more.
        if marked := vars(item).get("_nodeid"):
            item._id = NodeId.parse(marked)
    if config.getoption("--long"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason=LONG))


# --- what was left out ----------------------------------------------------------------------------

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why the reported test was skipped, as `pytest.skip` was told."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


def _judged(report: Report) -> Report:
    """The report, failed if the gate does not allow its skip."""
    expected_failure = hasattr(report, "wasxfail")
    if IN_GATE and report.skipped and not expected_failure:
        reason = _reason(report)
        if reason not in ALLOWED_IN_GATE:
            report.outcome = "failed"
            report.longrepr = f"skipped in the gate: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _judged((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _judged((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    yield
    properties = [
        each
        for report in terminalreporter.stats.get("passed", [])
        for each in report.user_properties
    ]
    for name, text in properties:
        if name == REPORTED:
            terminalreporter.write_line(str(text))
    explored = {
        str(text).split(maxsplit=1)[1]: text for name, text in properties if name == EXPLORED
    }
    if explored:
        states = sum(int(str(text).split()[0]) for text in explored.values())
        terminalreporter.write_line(
            f"models of section 6 explored: {len(explored)}, with {states} states together"
        )
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    for reason, count in sorted(reasons.items()):
        tests = "1 test" if count == 1 else f"{count} tests"
        what = WHAT_IS_LEFT_OUT.get(reason, f"({reason})")
        terminalreporter.write_line(f"left out: {tests} {what}")
