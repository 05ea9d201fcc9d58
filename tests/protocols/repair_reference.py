"""Section 6.7 once more, written from docs/protocols alone: integers, hashlib, other libraries.

It makes our own vectors (`python -m tests.protocols.repair_vectors`) and the messages of liars.
Secrets are integers here; the product never does that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.protocols.refresh_reference import Curve, big, tagged


@dataclass(frozen=True, slots=True)
class Repair:
    """What is known beforehand, and all delivery keys' secrets besides."""

    curve: Curve
    session: bytes
    lost: int
    helpers: tuple[int, ...]
    deliveries: Mapping[int, int]
    """v_1..v_n, v_r the new one."""

    @property
    def context(self) -> bytes:
        """Step 6.7.2."""
        keys = [self.curve.point(v) for v in self.deliveries.values()]
        return self.curve.context(self.session, keys, b"HSM-MPC-REPAIR-CONTEXT")

    def factor(self, helper: int) -> int:
        """λ_helper(H; r) (step 1.2.5)."""
        factor = 1
        for other in self.helpers:
            if other != helper:
                factor *= (self.lost - other) * pow(helper - other, -1, self.curve.order)
        return factor % self.curve.order

    def split(
        self,
        helper: int,
        deltas: Sequence[int],
        ephemeral: int,
        *,
        raw: Mapping[int, bytes] | None = None,
        shown: bytes | None = None,
        session: bytes | None = None,
    ) -> bytes:
        """R1 (step 6.7.3), with δ for each of H.

        `raw` plaintexts replace the deltas of some; `shown` is shown as E; `session` is another.
        """
        own = self if session is None else self.of_session(session)
        commitments = b"".join(map(own.curve.point, deltas))
        key = shown or own.curve.point(ephemeral)
        signed = own.context + commitments + key
        proof = own.curve.signature(ephemeral, signed)
        proof += own.curve.signature(own.deliveries[helper], signed + helper.to_bytes(2, "big"))
        frames = b"".join(
            own.sealed(helper, receiver, ephemeral, key, (raw or {}).get(receiver, plain))
            for receiver, plain in zip(own.helpers, map(own.curve.scalar, deltas), strict=True)
        )
        return commitments + proof + key + frames

    def digest(self, splits: Mapping[int, bytes]) -> bytes:
        """Of the R1 messages of all helpers (step 6.7.5)."""
        messages = b"".join(splits[helper] for helper in self.helpers)
        return tagged("hsm-mpc/v1/repair-deltas", self.session + messages)

    def summed(
        self,
        helper: int,
        plaintext: bytes,
        ephemeral: int,
        digest: bytes,
        *,
        shown: bytes | None = None,
        session: bytes | None = None,
    ) -> bytes:
        """R2 (step 6.7.5), whatever is sealed in it; `shown` and `session` as in `split`."""
        own = self if session is None else self.of_session(session)
        key = shown or own.curve.point(ephemeral)
        signed = own.context + digest + helper.to_bytes(2, "big") + key
        proof = own.curve.signature(ephemeral, signed)
        proof += own.curve.signature(own.deliveries[helper], signed)
        return digest + proof + key + own.sealed(helper, own.lost, ephemeral, key, plaintext)

    def sealed(
        self, sender: int, receiver: int, ephemeral: int, shown: bytes, plaintext: bytes
    ) -> bytes:
        """The frame of a ciphertext (section 2.3)."""
        static, other = self.deliveries[sender], self.deliveries[receiver]
        keys = (shown, self.curve.point(static), self.curve.point(other))
        halves = (ephemeral * other, static * other)
        ciphertext = self.curve.sealed(halves, keys, self.context, plaintext)
        return big(len(ciphertext)) + ciphertext

    def of_session(self, session: bytes) -> Repair:
        return Repair(self.curve, session, self.lost, self.helpers, self.deliveries)

    def complaint(
        self, accuser: int, accused: int, ephemeral: int, nonce: int, revealing: int | None = None
    ) -> bytes:
        """COMPLAINT about the ciphertext under e of `accused` (steps 6.4.8 and 6.7.6)."""
        bases = (ephemeral, self.deliveries[accused])
        v = self.deliveries[accuser] if revealing is None else revealing
        return accused.to_bytes(2, "big") + self.curve.equal_logs(self.session, v, bases, nonce)


def session_of(text: str) -> bytes:
    return hashlib.sha256(text.encode("ascii")).digest()
