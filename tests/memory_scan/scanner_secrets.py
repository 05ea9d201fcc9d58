"""What the scanner of an opening chooses, tells the maker, and looks for."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field, replace
from typing import Final

from tests.memory_scan.needles import KEY_LAYOUTS, LAYOUTS, PIN_LAYOUTS, Needle, needles

_SEED_TAG: Final = hashlib.sha256(b"hsm-mpc/v1/seed").digest()


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the maker is told and the scanner looks for."""

    share: bytes = field(default_factory=lambda: secrets.token_bytes(64))
    system: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    hsm: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    pin: bytes = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(24)))

    def with_pin_of(self, most: int) -> Secrets:
        """The same with a PIN that is no longer than a token takes."""
        return replace(self, pin=self.pin[:most])

    @property
    def data_key(self) -> bytes:
        """What step 1.8.6a makes of both sources."""
        return hashlib.sha256(_SEED_TAG * 2 + self.system + self.hsm + bytes(4)).digest()

    def needles(self) -> list[Needle]:
        return [
            *needles("x", self.share[:32], LAYOUTS),
            *needles("v", self.share[32:], LAYOUTS),
            *needles("data key", self.data_key, KEY_LAYOUTS),
            *needles("PIN", self.pin, PIN_LAYOUTS),
        ]

    def learn(self, fact: str) -> list[Needle]:
        """A share is opened without telling anything."""
        raise AssertionError(fact)
