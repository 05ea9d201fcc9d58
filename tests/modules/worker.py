"""One of several processes on one token: eight threads that use it as a signer's threads do.

    python -m tests.modules.worker FOLDER PROCESS PROGRESS

FOLDER is a holder's after `holder init`, with a share of `shares.seal_in`; PROCESS counts from 0,
and only that one writes registers (`Registers` says so); PROGRESS is the file in which each thread
of each process counts what it did. It works until its standard input ends, then prints one JSON
document. Exit 4: the token was not to be had at the start.
"""

from __future__ import annotations

import json
import mmap
import struct
import sys
import threading
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hsm_mpc.app.holder import find_token
from hsm_mpc.config import load_holder
from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import canary, keys
from hsm_mpc.hsm.cryptoki import address_of, ffi
from hsm_mpc.hsm.identity import Identity
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.hsm.register import Register, Registers
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.process import shield_this_thread
from hsm_mpc.tags import Tag
from tests.modules import shares
from tests.modules.sessions import OpenSessions

THREADS: Final = 8
WRITER: Final = 0
"""The process that writes registers."""
_WORD: Final = struct.Struct("=Q")
_RANDOM_BYTES: Final = 32


class Progress:
    """How often each thread of each process went round; shared by processes."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)

    @staticmethod
    def prepare(path: Path, processes: int) -> Progress:
        path.write_bytes(bytes(_WORD.size * THREADS * processes))
        return Progress(path)

    def of(self, process: int) -> tuple[int, ...]:
        """By thread."""
        return tuple(self._at(process, thread)[0] for thread in range(THREADS))

    def count(self, process: int, thread: int) -> None:
        self._at(process, thread)[0] += 1

    def _at(self, process: int, thread: int) -> memoryview:
        start = _WORD.size * (THREADS * process + thread)
        return memoryview(self._memory)[start : start + _WORD.size].cast("Q")


@dataclass
class Done:
    """What one thread did, and what it found wrong."""

    opened: int = 0
    signed: int = 0
    written: int = 0
    wrong: list[str] = field(default_factory=list)


class Worker:
    """A process that is logged in, as a signer is."""

    def __init__(self, folder: Path, process: int, progress: Progress) -> None:
        config = load_holder(folder / "holder.yaml")
        self.arena: Final = Arena(256 * 1024)
        self.token: Final = find_token(config)
        self.sessions: Final = OpenSessions(self.token.module)
        pin = PinSource.parse(config.hsm.pin_source).read(self.arena)
        self.token.login(pin.secret)
        pin.secret.release()
        canary.arm(self.token)
        pair = keys.find_identity_key(self.token)
        assert pair is not None
        self.identity: Final = Identity(self.token, pair)
        self.registers: Final = Registers(self.token)
        self.share: Final = shares.found_in(folder, self.token)
        self._process = process
        self._progress = progress
        self._ending = threading.Event()

    def work(self) -> list[Done]:
        """Until standard input ends; then the registers are destroyed."""
        done = [Done() for _ in range(THREADS)]
        threads = [threading.Thread(target=self._run, args=each) for each in enumerate(done)]
        for thread in threads:
            thread.start()
        threading.Thread(target=self._wait_for_the_end, daemon=True).start()
        for thread in threads:
            thread.join()
        return done

    def _wait_for_the_end(self) -> None:
        shield_this_thread()
        sys.stdin.read()
        self._ending.set()

    def _run(self, thread: int, done: Done) -> None:
        shield_this_thread()
        try:
            wallet = WalletId(b"register of %4d" % thread)
            while not self._ending.is_set():
                self._use(done)
                if self._process == WRITER:
                    self._write(wallet, done)
                self._progress.count(self._process, thread)
            if self._process == WRITER:
                self.registers.destroy(wallet)
        except Exception:
            done.wrong.append(traceback.format_exc())
            self._ending.set()

    def _use(self, done: Done) -> None:
        if not shares.opens(self.share, self.arena):
            done.wrong.append("a share is not what was sealed")
        done.opened += 1
        self.identity.sign(Tag.CARD, b"verified by it before it returns")
        done.signed += 1
        drawn = [ffi.new("CK_BYTE[]", _RANDOM_BYTES) for _ in range(2)]
        for each in drawn:
            self.token.fill_random(address_of(each), _RANDOM_BYTES)
        if bytes(drawn[0]) == bytes(drawn[1]):
            done.wrong.append("the same was drawn twice")

    def _write(self, wallet: WalletId, done: Done) -> None:
        done.written += 1
        register = Register(EpochHash(bytes(32)), promised=done.written.to_bytes(10, "big"))
        self.registers.write(wallet, register)
        found = Registers(self.token).read(wallet)
        if found != register:
            done.wrong.append(f"after writing {done.written} a register is {found}")


def main() -> None:
    folder, process, progress = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    try:
        worker = Worker(folder, process, Progress(progress))
    except BackendError as failure:
        sys.stderr.write(f"process {process}: {failure}\n")
        sys.exit(failure.exit_code)
    done = worker.work()
    document = {
        "opened": sum(each.opened for each in done),
        "signed": sum(each.signed for each in done),
        "written": sum(each.written for each in done),
        "registers_left": len(worker.registers.wallet_ids()) if process == WRITER else 0,
        "wrong": [wrong for each in done for wrong in each.wrong],
        "sessions": worker.sessions.left_by(worker.token),
    }
    sys.stdout.write(json.dumps(document))


if __name__ == "__main__":
    main()
