"""Several processes on one token; one of them is killed and started anew while the others work.

    python -m tests.modules.at_once FOLDER SECONDS KILLS

FOLDER as `worker` wants it. Prints one JSON document: what each process that was not killed says at
its end, and how often one was killed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from hsm_mpc.errors import BackendError
from tests.modules.worker import Progress

PROCESSES: Final = 3
MORTAL: Final = PROCESSES - 1
"""None that writes registers."""
WITNESS: Final = 1
"""One that is seen to go on after each kill."""
PATIENCE: Final = 120.0
"""Seconds for 24 threads to go round on a busy machine."""


class Party:
    """The processes on the token of one holder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "progress"
        self._progress = Progress.prepare(self._file, PROCESSES)
        self._processes = [self._started(number) for number in range(PROCESSES)]
        for number in range(PROCESSES):
            self.wait_for(number)

    def kill(self, number: int) -> None:
        """As when the power fails, at whatever it is doing; and start it anew."""
        process = self._processes[number]
        process.kill()
        process.communicate()
        self._processes[number] = self._started(number)
        self.wait_for(number)

    def wait_for(self, number: int) -> None:
        """Until each thread of a process went round once more, or one found something wrong."""
        before, end = self._progress.of(number), time.monotonic() + PATIENCE
        while not self._went_on(number, before):
            assert time.monotonic() < end, f"process {number} does not go on"
            time.sleep(0.02)

    def ended(self) -> list[Any]:
        """What they say at their end."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
            process.stdin = None
        answers = [process.communicate()[0] for process in self._processes]
        codes = [process.returncode for process in self._processes]
        assert codes == [0] * PROCESSES, codes
        return [json.loads(answer) for answer in answers]

    def _started(self, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "tests.modules.worker", str(self._folder)]
        return subprocess.Popen(
            [*command, str(number), str(self._file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def _went_on(self, number: int, before: tuple[int, ...]) -> bool:
        code = self._processes[number].poll()
        if code == BackendError.exit_code:  # its supervisor starts it anew
            self._processes[number].communicate()
            self._processes[number] = self._started(number)
        each = zip(self._progress.of(number), before, strict=True)
        return code == 0 or all(now > then for now, then in each)


def main() -> None:
    folder, seconds, kills = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    party = Party(folder)
    end = time.monotonic() + seconds
    killed = 0
    while killed < kills or time.monotonic() < end:
        if killed < kills:
            party.kill(MORTAL)
            killed += 1
        party.wait_for(WITNESS)
    sys.stdout.write(json.dumps({"processes": party.ended(), "killed": killed}))


if __name__ == "__main__":
    main()
