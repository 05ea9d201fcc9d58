"""SIGKILL of `token init` and `holder init` before and after every step of both.

Whoever runs them again, as the manual says, ends with one token, one identity key, one canary key
and a card that names this key; and a card that was there before names it still.
"""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from hsm_mpc import audit, steps
from hsm_mpc.app import holder as holder_app
from hsm_mpc.app import inventory, token
from hsm_mpc.card import Card
from hsm_mpc.errors import NameTaken
from hsm_mpc.lab.holder_folder import make_holder_folder
from hsm_mpc.lab.softhsm import SOFTHSM
from hsm_mpc.secure.arena import Arena
from hsm_mpc.store import audit_log
from hsm_mpc.store.files import SWEEP_STEP
from hsm_mpc.store.holder import STEPS
from tests.crash.deaths import MOMENTS, WHICH_STEPS, Moment, killing_at
from tests.memory_folder import IN_MEMORY
from tests.named_steps import HSM
from tests.store.children import in_child, killed


@dataclass(frozen=True)
class Site:
    """The folder of a holder to be: configuration and PIN files, and no token."""

    folder: Path
    blank: Path

    @property
    def config(self) -> Path:
        return self.folder / "holder.yaml"

    def reset(self) -> None:
        """Nothing was ever run here."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.blank, self.folder)

    def card(self) -> Card | None:
        file = self.folder / "store" / "card"
        return Card.from_bytes(file.read_bytes()) if file.exists() else None

    def initialise(self) -> None:
        """As an operator does, who goes on where he was interrupted."""
        with suppress(NameTaken):
            token.create(self.config, f"file:{self.folder / 'so-pin'}", prompt=False)
        holder_app.init(self.config, prompt=False)

    def check(self) -> None:
        """What `inventory` and the audit log say of a holder that is initialised."""
        found = inventory.take(self.config, prompt=False)
        assert sorted(key.purpose for key in found.keys) == ["canary", "identity", "identity"]
        assert found.missing == ()
        file, floor = audit_log.open_to_read(self.folder / "store" / "audit")
        with file:
            events = [line.record["event"] for line in audit.last_lines(file, 1000, floor)]
        assert set(events) == {"holder-init", "checkpoint"}
        assert not [path for path in self.folder.rglob("*") if ".tmp-" in path.name]


@pytest.fixture
def site(softhsm_module: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="init-", dir=IN_MEMORY) as name:
        module = Path(name) / "module.so"  # a copy: this process may have loaded the other
        shutil.copy(softhsm_module, module)
        monkeypatch.setenv("HSM_MPC_SOFTHSM_MODULE", str(module))
        site = Site(Path(name) / "h1", Path(name) / "blank")
        arena = Arena(16 * 1024)
        make_holder_folder(site.folder, "h1", SOFTHSM, arena)
        arena.close()
        site.folder.rename(site.blank)
        yield site


@WHICH_STEPS
@pytest.mark.parametrize("moment", MOMENTS)
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


def test_it_makes_every_call_of_the_hsm_but_four(site: Site) -> None:
    """Others are made by nonces, failing key generations, openCryptoki, and recovery."""
    site.reset()

    def recording() -> None:
        seen = set()
        steps.observe(lambda _, name: seen.add(name))
        site.initialise()
        others = {"key.destroy", "module.finalise", "token.change-so-pin", "token.random"}
        assert HSM - seen == others
        assert {*STEPS, *audit_log.STEPS} - seen == {SWEEP_STEP, "audit.cut"}

    in_child(recording)
