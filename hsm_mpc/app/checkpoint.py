"""`audit checkpoint`: the HSM signs where the audit log ends, so that its past cannot change."""

from __future__ import annotations

from pathlib import Path

from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.app.admin import asked
from hsm_mpc.app.audit_log import Checkpoint
from hsm_mpc.app.holder import OpenHolder, now, opened
from hsm_mpc.config import load_holder
from hsm_mpc.tags import Tag


def sign(config_path: Path, prompt: bool) -> Checkpoint:
    """Sign where the log ends now; the running signer does it, without one the store is opened."""
    running = asked(load_holder(config_path), AdminMethod.CHECKPOINT, Checkpoint)
    if running is not None:
        return running
    with opened(config_path, prompt=prompt) as holder:
        return sign_end(holder)


def sign_end(holder: OpenHolder) -> Checkpoint:
    """As `sign`, of an opened holder (step 3.4.15)."""

    def sign_now(tag: Tag, message: bytes) -> bytes:
        """By the key of the moment: once the next one has signed, this one does not count."""
        return holder.identity().sign(tag, message)

    line = holder.store.audit.checkpoint(now(), sign_now)
    return Checkpoint(line.tail.seq, str(line.record["time"]))
