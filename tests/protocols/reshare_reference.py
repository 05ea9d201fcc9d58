"""Section 6.8 once more, written from the specification alone: integers, hashlib, other libraries.

It makes our own vectors (`python -m tests.protocols.reshare_vectors`) and the messages of liars.
Secrets are integers here; the product never does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tests.protocols.refresh_reference import Curve, big


@dataclass(frozen=True, slots=True)
class Reshare:
    """What is known beforehand, and the secrets of all delivery keys besides."""

    curve: Curve
    session: bytes
    dealers: tuple[int, ...]
    deliveries: tuple[int, ...]
    """v_1..v_n of the old holders."""
    receivers: tuple[int, ...]
    """v'_1..v'_n' of the new ones."""

    @property
    def context(self) -> bytes:
        """Step 6.8.2."""
        keys = [self.curve.point(v) for v in (*self.deliveries, *self.receivers)]
        return self.curve.context(self.session, keys, b"HSM-MPC-RESHARE-CONTEXT")

    def part(self, dealer: int, share: int) -> int:
        """w = λ_dealer(Q; 0)·x, by λ = Π j·(j − dealer)^(−1) (steps 1.2.5 and 6.8.2)."""
        for other in self.dealers:
            if other != dealer:
                share *= other * pow(other - dealer, -1, self.curve.order)
        return share % self.curve.order

    def dealing(
        self,
        dealer: int,
        coefficients: Sequence[int],
        ephemeral: int,
        *,
        raw: Mapping[int, bytes] | None = None,
        proven: int | None = None,
        shown: bytes | None = None,
        session: bytes | None = None,
    ) -> bytes:
        """DEAL behind its α (step 6.8.2), with f(0) first among `coefficients`.

        `raw` plaintexts replace the shares of some; `proven` is shown and proven as e, and `shown`
        shown as E, which is then proven with whatever is known; `session` is another.
        """
        own = self if session is None else replace(self, session=session)
        curve, static = own.curve, own.deliveries[dealer - 1]
        commitments = b"".join(map(curve.point, coefficients))
        known = ephemeral if proven is None else proven
        key = shown or curve.point(known)
        signed = own.context + commitments + key
        proof = curve.signature(coefficients[0], signed)
        for secret in (known, static):
            proof += curve.signature(secret, signed + dealer.to_bytes(2, "big"))
        frames = b""
        for receiver, v in enumerate(own.receivers, 1):
            share = curve.scalar(value(coefficients, receiver))
            route = (key, curve.point(static), curve.point(v))
            plaintext = (raw or {}).get(receiver, share)
            sealed = curve.sealed((ephemeral * v, static * v), route, own.context, plaintext)
            frames += big(len(sealed)) + sealed
        return commitments + proof + key + frames


def value(coefficients: Sequence[int], index: int) -> int:
    """f(index)."""
    return sum(a * index**k for k, a in enumerate(coefficients))
