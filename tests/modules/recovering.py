"""A holder's token whose daemon is killed while it is in use: what the uses meet, and what comes.

    python -m tests.modules.recovering FOLDER KIND

FOLDER as `worker` wants it, KIND one with a daemon; it runs inside of that kind's wrapper. Prints
one JSON document: a fact's name to what was found.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.app.holder import OpenHolder, find_token, opened, shielded
from hsm_mpc.config import load_holder
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.hsm.register import Register, Registers
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.lab.processes import descendants
from hsm_mpc.tags import Tag
from tests.modules import shares
from tests.modules.daemons import DAEMONS, kill_daemon
from tests.modules.sessions import OpenSessions

PATIENCE: Final = 20.0
"""Seconds to come back on a busy machine."""
WALLET: Final = WalletId(b"one that recovers"[:16])
REGISTER: Final = Register(EpochHash(bytes(32)), promised=bytes(range(10)))


class Site:
    """A logged in holder, and everything that it uses its token for."""

    def __init__(self, holder: OpenHolder, folder: Path, kind: str, sessions: OpenSessions) -> None:
        self._holder = holder
        self._kind = kind
        self._sessions = sessions
        self._identity = holder.identity()
        self._share: OpenableShare = shares.found_in(folder, holder.token)
        Registers(holder.token).write(WALLET, REGISTER)

    def daemon_killed(self) -> dict[str, Any]:
        """With what it has for its clients."""
        return self._after(lambda: kill_daemon(os.getpid(), self._kind))

    def clients_process_killed(self) -> dict[str, Any]:
        """That of a daemon which has one for each client."""
        return self._after(lambda: self._killed(*self._processes_for_clients()))

    def only_daemon_killed(self) -> dict[str, Any]:
        """Who is its client already goes on."""
        return self._after(lambda: self._killed(self._daemon()))

    def initialised_after(self) -> dict[str, Any]:
        """The daemon is killed, and its client wants to be one anew."""

        def killed_and_logged_out() -> None:
            self._killed(self._daemon())
            with self._holder.token.session() as session:
                self._holder.token.calls.C_Logout(session.handle)

        return self._after(killed_and_logged_out)

    def left(self) -> dict[str, int | None]:
        """Sessions that are open in the end."""
        Registers(self._holder.token).destroy(WALLET)
        return self._sessions.left_by(self._holder.token)

    def _after(self, event: Callable[[], object]) -> dict[str, Any]:
        """What uses meet from the event on, until each went well twice."""
        started = self._daemon()
        event()
        met: list[dict[str, Any]] = []
        good, end = 0, time.monotonic() + PATIENCE
        while (good < 2 or self._daemon() is None) and time.monotonic() < end:
            try:
                good = good + 1 if shielded(self._used_well) else 0
            except HsmMpcError as failure:
                good = 0
                told = {"exit": failure.exit_code, "kind": failure.kind}
                met.append({**told, "retryable": failure.retryable})
            time.sleep(0.01)
        return {"met": met, "good": good, "another": self._daemon() not in (None, started)}

    def _used_well(self) -> bool:
        """Whether share, register and signature are what they were."""
        self._identity.sign(Tag.CARD, b"verified by it before it returns")
        found = Registers(self._holder.token).read(WALLET)
        return found == REGISTER and shares.opens(self._share, self._holder.arena)

    def _daemon(self) -> int | None:
        found = descendants(os.getpid()).items()
        return next((pid for pid, name in found if name == DAEMONS[self._kind]), None)

    def _processes_for_clients(self) -> list[int]:
        daemon = self._daemon()
        return [] if daemon is None else list(descendants(daemon))

    def _killed(self, *pids: int | None) -> None:
        for pid in pids:
            assert pid is not None
            os.kill(pid, signal.SIGKILL)


IN_ORDER: Final[dict[str, tuple[Callable[[Site], object], ...]]] = {
    "p11kit": (Site.clients_process_killed, Site.daemon_killed, Site.initialised_after, Site.left),
    "opencryptoki": (Site.only_daemon_killed, Site.initialised_after, Site.left),
}


def main() -> None:
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    sessions = OpenSessions(find_token(load_holder(folder / "holder.yaml")).module)
    with opened(folder / "holder.yaml", prompt=False) as holder:
        site = Site(holder, folder, kind, sessions)
        facts = {fact.__name__: fact(site) for fact in IN_ORDER[kind]}
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main()
