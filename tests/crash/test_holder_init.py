"""SIGKILL of `token init` and `holder init` before and after every step of both.

Whoever runs them again, as the manual says, ends with one token, one identity key, one canary key
and a card that names this key; and a card that was there before names it still.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsm_mpc import steps
from hsm_mpc.card import Card
from hsm_mpc.store import audit_log
from hsm_mpc.store.files import SWEEP_STEP
from hsm_mpc.store.holder import STEPS
from tests.crash.deaths import WHICH_STEPS, Moment, killing_at
from tests.crash.site import Site
from tests.memory_folder import IN_MEMORY
from tests.named_steps import HSM
from tests.store.children import in_child, killed


@pytest.fixture
def site(softhsm_module: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="init-", dir=IN_MEMORY) as name:
        module = Path(name) / "module.so"  # a copy: this process may have loaded the other
        shutil.copy(softhsm_module, module)
        monkeypatch.setenv("HSM_MPC_SOFTHSM_MODULE", str(module))
        yield Site.made(Path(name))


@WHICH_STEPS
@pytest.mark.parametrize("moment", ["before", pytest.param("after", marks=pytest.mark.long)])
def test_a_holder_that_is_killed_while_it_is_made(
    site: Site, moment: Moment, questions: bool, report_line: Callable[[str], None]
) -> None:
    for number in itertools.count():
        site.reset()

        def dying(number: int = number) -> None:
            steps.observe(killing_at(moment, number, questions))
            site.initialise()

        if not killed(dying):
            break
        before = site.card()

        def again(before: Card | None = before) -> None:
            site.initialise()
            after = site.card()
            assert after is not None
            assert before in (None, after), "its identity key was lost"
            site.check()

        in_child(again)
    in_child(site.check)
    assert number > 40
    what = "each step" if questions else "each change"
    report_line(f"holder init: killed {moment} {what} of {number}")


def test_it_makes_every_call_of_the_hsm_but_five(site: Site) -> None:
    """Others are made by nonces, failing key generations, openCryptoki, recovery, and `doctor`."""
    site.reset()

    def recording() -> None:
        seen = set()
        steps.observe(lambda _, name: seen.add(name))
        site.initialise()
        others = {"key.destroy", "module.finalise", "module.info", "token.random"}
        others.add("token.change-so-pin")
        assert HSM - seen == others
        assert {*STEPS, *audit_log.STEPS} - seen == {SWEEP_STEP, "audit.cut"}

    in_child(recording)
