"""A lab of real processes, driven as a user does: by the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsm_mpc.app import lab as lab_app
from hsm_mpc.cli.output import _plain
from hsm_mpc.lab.processes import environment
from hsm_mpc.lab.softhsm import SOFTHSM


@dataclass
class Answer:
    """What a verb said with `--json`, and its exit code."""

    code: int
    document: Any

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.document["error"]
        return error


@dataclass
class Lab:
    """One lab's folder."""

    folder: Path
    module: str

    @property
    def client_config(self) -> Path:
        """For what a test asks in its own process."""
        return self.folder / "client.yaml"

    def ran(self, *arguments: str) -> Answer:
        """A verb."""
        told = subprocess.run(
            [sys.executable, "-m", "hsm_mpc.cli.main", "--json", *arguments],
            env=environment({**os.environ, "HSM_MPC_SOFTHSM_MODULE": self.module}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
        return Answer(told.returncode, json.loads(told.stdout))

    def lab(self, verb: str, *names: str) -> Any:
        """`lab VERB`, in this process: that takes half the time. What it says with `--json`."""
        if verb == "up":
            return _plain(lab_app.up(self.folder, None, lambda _: None))
        verbs: dict[str, Callable[..., object]] = {
            "status": lab_app.status,
            "down": lab_app.down,
            "destroy": lab_app.destroy,
            "stop-holder": lab_app.stop_holder,
            "start-holder": lab_app.start_holder,
            "replace-holder": lab_app.replace_holder,
        }
        return _plain(verbs[verb](self.folder, *names))

    def client(self, *arguments: str) -> Answer:
        """A verb of the lab's client."""
        return self.ran("--config", str(self.client_config), *arguments)

    def well(self, *arguments: str) -> Any:
        """A verb of the lab's client, which must go well."""
        answer = self.client(*arguments)
        assert answer.code == 0, answer.document
        return answer.document

    def holders(self) -> dict[str, Any]:
        """What `lab status` says of each."""
        return {holder["name"]: holder for holder in self.lab("status")["holders"]}


@contextmanager
def temporary_lab(module: str, kinds: Sequence[str] = ()) -> Iterator[Lab]:
    """A lab of real processes that is up, on SoftHSM2, or with a holder on each of these kinds."""
    os.environ[SOFTHSM.variable] = module
    folder = Path(tempfile.mkdtemp(prefix="hsm-mpc-test-"))
    lab = Lab(folder / "lab", module)
    try:
        lab_app.up(lab.folder, len(kinds) or None, lambda _: None, kinds or None)
        yield lab
    finally:
        if lab.folder.exists():
            lab.lab("destroy")
        shutil.rmtree(folder)


def kill(*pids: int) -> None:
    """As when the power fails."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
