"""A holder's signing desk of any scheme: asked, and what becomes of its leases."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.signing import SigningDesk
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.errors import BadInput, HsmMpcError, ProtocolAbort, Tampered
from hsm_mpc.protocols.leases import LIFETIME
from hsm_mpc.requests import Request
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.mapping import Backend
from hsm_mpc.secure.process import harden, run_shielded
from tests.agent.rounds import commit_in, partial_in
from tests.agent.simulate import World
from tests.memory_scan.checkpoints import checkpoint, stopping_after_each, tell
from tests.memory_scan.scene import SigningFolder
from tests.memory_scan.signing_world import resigned, world_again

THREADS: Final = 4
SIGNATURES: Final = 4
"""By each thread."""

FAILURES: Final = (ProtocolAbort, Tampered, BadInput)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request with a COMMIT of each holder."""

    request: Request
    own: bytes
    other: bytes


Around = Callable[[], AbstractContextManager[None]]
Spoil = Callable[[Asked], Asked]


class Signer:
    """The first holder at its desk, with a clock that only the test moves."""

    def __init__(self, folder: SigningFolder, made: Callable[[Arena], World], backend: Backend):
        self.arena = Arena(1024 * 1024, backend)
        mapping = self.arena._mapping
        checkpoint(f"pages {mapping.address} {mapping.length}")
        self.now = 0.0
        self.certificate = Certificate.from_bytes(folder.certificate.read_bytes())
        self.world = made(self.arena)
        self.other = self.world.parties[2]
        self.party = self.world.parties[1]
        self.desk = SigningDesk(self.party.acting, self.party.wallets, lambda: self.now)
        terms = self.certificate.body.terms
        self.wallet = self.party.wallets.signing(terms.wallet_id, self.certificate.body.hash)
        self.channels = self.world.channels()
        checkpoint("logged in")

    def asked(self, around: Around = nullcontext) -> Asked:
        """REQUEST → COMMIT."""
        request, sent = self.world.requested(self.certificate, os.urandom(40))
        (other,) = self.other.desk.request(sent)
        with around():
            (own,) = self.desk.request(sent)
        return Asked(request, own, other)

    def signed(self, asked: Asked, around: Around = nullcontext) -> None:
        """SIGN → PARTIAL."""
        sign = self.world.listed(self.certificate, asked.request, (asked.own, asked.other))
        with around():
            (answer,) = self.desk.sign(sign, self.channels)
        released, nonce = partial_in(answer), commit_in(asked.own).public_nonce
        tell(f"partial {nonce.hex()} {released.signature.hex()}")

    def sign(self, around: Around = nullcontext) -> None:
        """Both, and a checkpoint after each."""
        asked = self.asked(around)
        checkpoint("committed")
        self.signed(asked, around)
        checkpoint("released")

    def let_expire(self) -> None:
        """A lease that nobody comes back for."""
        self.asked()
        checkpoint("committed")
        self.now += LIFETIME
        self.desk.expire()
        checkpoint("expired")

    def sign_often(self) -> None:
        """As a busy signer does: from several threads, nobody looking."""

        signed: list[Asked] = []

        def work() -> None:
            for _ in range(SIGNATURES):
                asked = self.asked()
                self.signed(asked)
                signed.append(asked)

        threads = [threading.Thread(target=run_shielded, args=(work,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(signed) == THREADS * SIGNATURES
        checkpoint("many signed")

    def abort(
        self,
        name: str,
        spoil: Spoil = lambda asked: asked,
        around: Around = nullcontext,
    ) -> None:
        """Spoil a SIGN; a checkpoint while the exception lives, and one afterwards."""

        def work() -> None:
            asked = spoil(self.asked())
            try:
                self.signed(asked, around)
            except HsmMpcError as failure:
                kind = next(each for each in FAILURES if isinstance(failure, each))
                checkpoint(f"{name}: {kind.__name__}")
            else:
                checkpoint(f"{name}: signed")

        run_shielded(work)
        checkpoint(f"{name}: over")

    def with_own_replaced(self, asked: Asked) -> Asked:
        nonce = commit_in(asked.other).public_nonce
        return replace(asked, own=resigned(self.party, asked.own, nonce))

    def with_nonce_no_point(self, asked: Asked) -> Asked:
        length = len(commit_in(asked.other).public_nonce)
        no_points = b"\x02" + b"\xff" * (length - 1)
        return replace(asked, other=resigned(self.other, asked.other, no_points))


Follow = Callable[[ActingHolder], AbstractContextManager[None]]
Stop = tuple[Any, str, str]
"""A module, its function, and what has happened when it returns."""


def run(
    followed: Follow,
    steps: Sequence[Stop],
    leaking: Around,
    abort_in_every_way: Callable[[Signer], None],
) -> None:
    """The whole life of a process that is scanned while it signs; its arguments are the command's.

    FOLDER MODULE BACKEND BEHAVIOUR: `careful`, or `leaking`, which keeps a copy of each secret.
    """
    path, softhsm, backend, behaviour = sys.argv[1:]
    checkpoint("started")
    harden()
    folder = SigningFolder(Path(path))
    signer = run_shielded(
        lambda: Signer(folder, partial(world_again, folder, softhsm), cast("Backend", backend))
    )
    with followed(signer.party.acting):
        if behaviour == "leaking":
            run_shielded(lambda: signer.sign(leaking))
        else:
            stopping = partial(stopping_after_each, steps)
            go_all_ways(signer, stopping, lambda: abort_in_every_way(signer))


def go_all_ways(signer: Signer, stopping_everywhere: Around, abort: Callable[[], None]) -> None:
    """Sign with a checkpoint at each call, let a lease expire, sign often, and abort."""
    run_shielded(lambda: signer.sign(stopping_everywhere))
    checkpoint("thread over")
    run_shielded(signer.sign)
    run_shielded(signer.let_expire)
    signer.sign_often()
    abort()
    gc.collect()
    checkpoint("all over")
    signer.arena.close()
    checkpoint("arena closed")
