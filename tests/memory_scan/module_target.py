"""The process that is scanned on any kind of token: it logs in, opens a sealed share, fails to.

    LD_BIND_NOW=1 LD_PRELOAD=FOLDER/own_memory.so python -m tests.memory_scan.module_target FOLDER \
        KIND BACKEND BEHAVIOUR

BEHAVIOUR is `careful`, and at last it keeps a copy of everything, to prove that the scan finds it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final, cast

from hsm_mpc.app.holder import find_token
from hsm_mpc.config import load_holder
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.direct import AmbiguousAnswer, CiphertextRefused
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.hsm.token import Token
from hsm_mpc.sealing.sealed import SealedShare, unseal
from hsm_mpc.secure.arena import Arena, Secret, publish
from hsm_mpc.secure.mapping import Backend
from hsm_mpc.secure.process import harden, run_shielded
from hsm_mpc.wrapping.token_keys import found_key
from tests.memory_scan.checkpoints import (
    Step,
    around_the_content,
    checkpoint,
    stop_opened,
    stop_unwrapped,
)
from tests.memory_scan.module_scene import KEY_ID, ModuleFolder
from tests.memory_scan.scene import CONTEXT, KEY_LABEL, SHARE_BYTES
from tests.memory_scan.target import do_nothing, parsed, with_wrapped_key_flipped

OPENINGS: Final = 20


class Target:
    """A holder's process, reduced to what opens a share."""

    def __init__(self, folder: ModuleFolder, backend: Backend) -> None:
        self.arena = Arena(backend=backend)
        mapping = self.arena._mapping
        checkpoint(f"pages {mapping.address} {mapping.length}")
        self.token = self.log_in(folder)
        found = keys.find_wrapping_key(self.token, KEY_ID, KEY_LABEL)
        assert found is not None
        self.key = found_key(self.token, found)
        self.share = SealedShare.parse(folder.blob.read_bytes())

    def log_in(self, folder: ModuleFolder) -> Token:
        pin = PinSource.parse(f"file:{folder.pin}").read(self.arena)
        token = find_token(load_holder(folder.config))
        checkpoint("PIN read")
        token.login(pin.secret)
        pin.secret.release()
        checkpoint("logged in")
        return token

    def open(self, before: Step = stop_unwrapped, after: Step = stop_opened) -> None:
        with self.arena.scope() as take, around_the_content(before, after):
            unseal(self.share, self.key, CONTEXT, self.share.digest, take(SHARE_BYTES))

    def open_often(self) -> None:
        for _ in range(OPENINGS):
            self.open(do_nothing, do_nothing)
        checkpoint("many opened")

    def be_refused(self) -> None:
        broken = parsed(with_wrapped_key_flipped(self.share.blob))
        try:
            with self.arena.scope() as take:
                unseal(broken, self.key, CONTEXT, broken.digest, take(SHARE_BYTES))
        except (CiphertextRefused, AmbiguousAnswer):  # without a canary nobody can tell
            checkpoint("refused")

    def leak(self, folder: ModuleFolder) -> None:
        """Keep a copy of everything, as if Python had made it."""
        kept = [folder.pin.read_bytes()]

        def keep(secret: Secret) -> None:
            kept.append(publish(secret))

        self.open(keep, keep)
        checkpoint("copies kept")
        assert kept


def main() -> None:
    path, _, backend, _ = sys.argv[1:]
    checkpoint("started")
    harden()
    folder = ModuleFolder(Path(path))
    target = Target(folder, cast("Backend", backend))
    run_shielded(target.open)
    checkpoint("wiped")
    run_shielded(target.be_refused)
    run_shielded(target.open_often)
    run_shielded(lambda: target.leak(folder))


if __name__ == "__main__":
    main()
