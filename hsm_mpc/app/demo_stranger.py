"""What OpenSC's pkcs11-tool sees in a holder's token: a stranger's eye in the demo."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.config import load_holder
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.sealing.sealed import SealedShare

_TOOL: Final = "HSM_MPC_PKCS11_TOOL"
"""Environment variable that names the program."""
_PIN_TO_ENVIRONMENT: Final = 'PIN="$(cat "$0")" && export PIN && exec "$@" --login --pin env:PIN'
"""For `sh`: the PIN of a lab's token goes from its file to the program, and not through us."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Ids of secret keys in a token, in hex."""

    listed: tuple[str, ...]
    wanted: str
    """By a blob."""

    @property
    def is_listed(self) -> bool:
        """Whether the key is there that opens the blob."""
        return self.wanted in self.listed


def stranger() -> str | None:
    """Path of pkcs11-tool; None: this machine has none."""
    return os.environ.get(_TOOL) or shutil.which("pkcs11-tool")


def seen(tool: str, holder_config: Path, blob: bytes) -> Seen:
    """The secret keys in the token of a lab's holder, which is SoftHSM's, and that of its blob.

    Raises:
        HsmMpcError: the program fails.
    """
    (recipient,) = SealedShare.parse(blob).blob.recipients
    listed = _listed_ids(tool, holder_config)
    return Seen(listed, KeyUri.parse(recipient.name).key_id.hex())


def _listed_ids(tool: str, holder_config: Path) -> tuple[str, ...]:
    hsm, folder = load_holder(holder_config).hsm, holder_config.parent
    asked = [tool, "--module", hsm.module, "--token-label", hsm.token]
    asked += ["--list-objects", "--type", "secrkey"]
    done = subprocess.run(
        ["sh", "-c", _PIN_TO_ENVIRONMENT, folder / "pin", *asked],
        env={**os.environ, **hsm.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HsmMpcError(f"{tool}: {done.stderr.strip() or done.returncode}")
    return tuple(re.findall(r"^ *ID: *([0-9a-f]+)$", done.stdout, re.MULTILINE))
