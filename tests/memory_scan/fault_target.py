"""The process that is scanned while its HSM fails in the middle of a signature, and comes back.

    LD_BIND_NOW=1 python -m tests.memory_scan.fault_target FOLDER MODULE BACKEND BEHAVIOUR

As signing_target.py; the module stands behind the one that does what a test orders. BEHAVIOUR is
`all`, or `few`: which of the faults it meets.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, cast

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.hsm.token import Token
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.mapping import Backend
from hsm_mpc.secure.process import harden, run_shielded
from tests.agent.simulate import World
from tests.faults import codes
from tests.faults.shim import ANY, UNTIL_INITIALISED, Moment, Shim
from tests.memory_scan.checkpoints import checkpoint
from tests.memory_scan.scene import Folder, SigningFolder
from tests.memory_scan.signer import Asked, Signer
from tests.memory_scan.signing_target import followed
from tests.memory_scan.signing_world import LogIn, with_known_pattern, world_on


class Fault(NamedTuple):
    """What the module does once, to this holder."""

    function: str
    code: int
    moment: Moment = "instead"
    times: int = 1


FAULTS: Final = {
    "no session": Fault("C_OpenSession", codes.DEVICE_ERROR),
    "key unknown": Fault("C_DecryptInit", codes.KEY_HANDLE_INVALID),
    "not begun": Fault("C_DecryptInit", codes.DEVICE_ERROR),
    "not decrypted": Fault("C_Decrypt", codes.DEVICE_ERROR),
    "decrypted, answer lost": Fault("C_Decrypt", codes.DEVICE_REMOVED, "afterwards"),
    "decrypted, doubtful": Fault("C_Decrypt", codes.GENERAL_ERROR, "afterwards"),
    "drawn, answer lost": Fault("C_GenerateRandom", codes.HOST_MEMORY, "afterwards"),
    "gone": Fault(ANY, codes.DEVICE_REMOVED, times=UNTIL_INITIALISED),
}
FEW: Final = ("decrypted, answer lost", "drawn, answer lost", "gone")
TRIES: Final = 3


class FaultySigner:
    """A signer whose HSM fails as ordered while it answers."""

    def __init__(self, signer: Signer, shim: Shim) -> None:
        self.signer = signer
        self.shim = shim

    def meet(self, name: str) -> None:
        """A fault in each round, with a checkpoint while its error lives; then a signature."""
        fault = FAULTS[name]
        self.meet_in("request", name, fault, lambda around: self.signer.asked(around))
        asked = self.asked_at_last()
        checkpoint(f"{name}: committed")
        self.meet_in("sign", name, fault, lambda around: self.signer.signed(asked, around))
        self.signer.signed(self.asked_at_last())
        checkpoint(f"{name}: signed")

    def meet_in(
        self,
        round_: str,
        name: str,
        fault: Fault,
        ask: Callable[[Callable[[], AbstractContextManager[None]]], object],
    ) -> None:
        try:
            ask(lambda: self.failing(fault))
        except BackendError as failure:
            assert failure.retryable
            checkpoint(f"{name} in {round_}: {type(failure).__name__}")
        else:
            checkpoint(f"{name} in {round_}: went on")

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[None]:
        """Only what this holder asks meanwhile meets the fault."""
        self.signer.party.acting.token.pool.close_all()  # so that one is opened
        self.shim.answer(fault.code, fault.function, moment=fault.moment, times=fault.times)
        try:
            yield
        finally:
            if fault.times != UNTIL_INITIALISED:
                self.shim.obey_no_more()

    def asked_at_last(self) -> Asked:
        """REQUEST and COMMITs, asked for again by who was told to."""
        for _ in range(TRIES):
            try:
                return self.signer.asked()
            except BackendError as failure:
                assert failure.retryable
        raise AssertionError("it does not find back")


def by_file(pin: Path, arena: Arena) -> LogIn:
    """As a signer logs in, also when it recovers."""

    def log_in(token: Token) -> None:
        read = PinSource.parse(f"file:{pin}").read(arena).secret
        checkpoint("PIN read")
        token.login(read)
        read.release()

    return log_in


def main() -> None:
    path, softhsm, backend, behaviour = sys.argv[1:]
    folder = SigningFolder(Path(path))
    shim = Shim(folder.path, softhsm)
    checkpoint("started")
    harden()

    def made(arena: Arena) -> World:
        environment = {**Folder(folder.path, softhsm).environment, **shim.environment}
        module = Module.load(str(shim.module), environment)
        return world_on(module, folder, arena, by_file(folder.pin, arena))

    signer = run_shielded(lambda: Signer(folder, made, cast("Backend", backend)))
    with_known_pattern(signer.party.acting.entropy)
    faulty = FaultySigner(signer, shim)
    with followed(signer.party.acting):
        for name in FAULTS if behaviour == "all" else FEW:
            run_shielded(partial(faulty.meet, name))
    signer.desk.forget()
    gc.collect()
    checkpoint("all over")


if __name__ == "__main__":
    main()
