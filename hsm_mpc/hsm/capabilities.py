"""What a token can do of what a holder needs, where there is a choice. Found by `selftest`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hsm_mpc.hsm.cryptoki import ObjectClass
from hsm_mpc.identity import Algorithm


class Wrapping(StrEnum):
    """How a token wraps data keys, in the order of preference (step 1.11.1)."""

    AES_GCM = "aes-gcm"
    RSA_OAEP_SHA256 = "rsa-oaep-sha256"
    RSA_OAEP_SHA1 = "rsa-oaep-sha1"

    def is_weaker_than(self, other: Wrapping) -> bool:
        """Whether the other one is preferred."""
        order = list(Wrapping)
        return order.index(self) > order.index(other)

    @property
    def key_class(self) -> ObjectClass:
        """Of the one object in the token that such a wrapping key is."""
        return ObjectClass.SECRET_KEY if self is Wrapping.AES_GCM else ObjectClass.PRIVATE_KEY


KEY_CLASSES: Final = (ObjectClass.SECRET_KEY, ObjectClass.PRIVATE_KEY)
"""What wrapping keys and canaries are: an AES key, or the private half of an RSA pair."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What new keys of this token are. Those that it has stay what they are."""

    wrapping: Wrapping
    identity: Algorithm
