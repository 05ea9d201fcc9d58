"""What is looked for in a signer whose HSM fails: all of a signature, and the PIN that it reads."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.memory_scan import signing_secrets
from tests.memory_scan.needles import PIN_LAYOUTS, Needle, needles
from tests.memory_scan.scene import SigningFolder
from tests.memory_scan.signing_secrets import SigningSecrets


@dataclass(frozen=True, slots=True)
class WithPin:
    """The secrets of a taproot signer, and its PIN."""

    signing: SigningSecrets
    pin: bytes

    def needles(self) -> Iterator[Needle]:
        yield from self.signing.needles()
        yield from needles("PIN", self.pin, PIN_LAYOUTS)

    def learn(self, fact: str) -> Iterator[Needle]:
        return self.signing.learn(fact)


def make(folder: Path, module: str) -> WithPin:
    """As `signing_secrets.make`, with a PIN of its own for the first holder's token."""
    pin, file = base64.b64encode(secrets.token_bytes(24)), SigningFolder(folder).pin
    file.touch(0o600)
    file.write_bytes(pin)
    return WithPin(signing_secrets.make(folder, module), pin)
