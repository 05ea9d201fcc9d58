"""The key that a signature is for: the threshold key under a list of tweaks (step 3.1.2).

Secret shares are never tweaked and nothing tweaked is stored (step 5.2.1): what the tweaks do to a
partial signature is one sign, and what they add to the signature is one public term.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hsm_mpc.errors import BadInput
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1


def is_odd(point: bytes) -> bool:
    """Parity of y, read from the compressed form (step 1.3.5)."""
    return point[0] == 3


@dataclass(frozen=True, slots=True)
class TweakedKey:
    """Q = gacc·P + tacc·G for the threshold key P; the signature verifies under `x_only`.

    The same for all signatures of one wallet and path: derive it once and keep it.
    """

    point: bytes
    gacc: int
    """1 or −1."""
    tacc: int

    @classmethod
    def of(cls, threshold_key: bytes, tweaks: Iterable[tuple[bytes, bool]] = ()) -> TweakedKey:
        """`threshold_key` under `tweaks` in their order, each 32 bytes and whether it is x-only.

        Raises:
            BadInput: a key that is no point, a tweak that is not 32 bytes below q, or one whose
                result is the identity.
        """
        key, gacc, tacc = SECP256K1.parse_point(threshold_key), 1, 0
        for tweak, x_only in tweaks:
            sign = -1 if x_only and is_odd(key) else 1
            term = SECP256K1.parse_scalar(tweak)
            tweaked = SECP256K1.multiply_with_base(key, sign, term)
            if tweaked is None:
                raise BadInput("a tweak turns the key into the identity")
            key, gacc, tacc = tweaked, sign * gacc, (term + sign * tacc) % ORDER
        return cls(key, gacc, tacc)

    @property
    def x_only(self) -> bytes:
        """xbytes(Q), 32 bytes: the public key that the chain sees."""
        return self.point[1:]

    @property
    def sign(self) -> int:
        """gQ: 1 if Q has an even y, else −1."""
        return -1 if is_odd(self.point) else 1
