"""Section 6.4 once more, written from the specification alone: integers, hashlib, other libraries.

It makes our own vectors: `python -m tests.protocols.refresh_vectors`. Only points are the group's,
which has published vectors of its own. Secrets are integers here; the product never does that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt

from hsm_mpc.groups.base import Group


def tagged(tag: str, message: bytes) -> bytes:
    """Step 1.1.4."""
    prefix = hashlib.sha256(tag.encode("ascii")).digest()
    return hashlib.sha256(prefix * 2 + message).digest()


def little(length: int) -> bytes:
    return length.to_bytes(8, "little")


def big(length: int) -> bytes:
    return length.to_bytes(8, "big")


@dataclass(frozen=True, slots=True)
class Curve:
    """One column of section 2.1."""

    group: Group
    suite_id: bytes

    @property
    def on_secp256k1(self) -> bool:
        return self.group.point_length == 33

    def scalar(self, value: int) -> bytes:
        return (value % self.group.order).to_bytes(32, "big" if self.on_secp256k1 else "little")

    def point(self, scalar: int) -> bytes:
        encoded = self.group.base_multiple(scalar)
        assert encoded is not None
        return bytes(encoded)

    def to_scalar(self, purpose: str, message: bytes) -> int:
        """Section 1.5; `purpose` is "NONCE" or "H7"."""
        if self.on_secp256k1:
            return int.from_bytes(tagged(f"COCKTAIL-DKG/{purpose}", message), "big") % self.order
        prefix = f"COCKTAIL-DKG-Ed25519-SHA512-{purpose}".encode("ascii")
        return int.from_bytes(hashlib.sha512(prefix + message).digest(), "little") % self.order

    @property
    def order(self) -> int:
        return self.group.order

    def context(
        self, session: bytes, keys: Sequence[bytes], label: bytes = b"HSM-MPC-REFRESH-CONTEXT"
    ) -> bytes:
        """Steps 6.4.1 and 6.7.2."""
        written = label + big(len(session)) + session
        written += big(len(self.suite_id)) + self.suite_id
        written += len(keys).to_bytes(4, "little") + b"".join(keys)
        return (hashlib.sha256 if self.on_secp256k1 else hashlib.sha512)(written).digest()

    def signature(self, secret: int, message: bytes) -> bytes:
        """Step 2.2.3."""
        nonce = self.to_scalar("NONCE", self.scalar(secret) + message)
        commitment = self.point(nonce)
        challenge = self.to_scalar("H7", commitment + self.point(secret) + message)
        return commitment + self.scalar(nonce + challenge * secret)

    def sealed(
        self, halves: Sequence[int], keys: Sequence[bytes], context: bytes, plaintext: bytes
    ) -> bytes:
        """Section 2.3: `halves` are the logarithms of S^e and S^d, `keys` are E, P_s and P_r."""
        hashed = b"".join(map(self.point, halves)) + b"".join(keys) + little(len(context)) + context
        if not self.on_secp256k1:
            wide = hashlib.sha512(b"COCKTAIL-DKG-Ed25519-SHA512-H6" + hashed).digest()
            return crypto_aead_xchacha20poly1305_ietf_encrypt(
                plaintext, None, wide[32:56], wide[:32]
            )
        key = tagged("COCKTAIL-DKG/H6", hashed + little(3) + b"key")
        nonce = tagged("COCKTAIL-DKG/H6", hashed + little(5) + b"nonce")[:24]
        return AESGCM(_xaes_key(key, nonce[:12])).encrypt(nonce[12:], plaintext, None)

    def equal_logs(self, session: bytes, secret: int, bases: tuple[int, int], nonce: int) -> bytes:
        """Step 6.7.6: S_1 ‖ S_2 ‖ c ‖ z; `bases` are the logarithms of Q_1 and Q_2."""
        first, second = bases
        points = (secret, first, secret * first, second, secret * second)
        nonces = (nonce, nonce * first, nonce * second)
        message = session + b"".join(map(self.point, points + nonces))
        if self.on_secp256k1:
            c = int.from_bytes(tagged("hsm-mpc/v1/dleq", message), "big")
        else:
            c = int.from_bytes(hashlib.sha512(b"hsm-mpc/v1/dleq" + message).digest(), "little")
        shown = self.point(secret * first) + self.point(secret * second)
        return shown + self.scalar(c) + self.scalar(nonce + c % self.order * secret)


def _xaes_key(key: bytes, nonce: bytes) -> bytes:
    halves = []
    for counter in (1, 2):
        mac = CMAC(AES(key))
        mac.update(bytes((0, counter, 0x58, 0)) + nonce)
        halves.append(mac.finalize())
    return b"".join(halves)


@dataclass(frozen=True, slots=True)
class Dealer:
    """What dealer i draws."""

    index: int
    coefficients: tuple[int, ...]
    """b_1..b_{t−1}."""
    ephemeral: int

    def delta(self, receiver: int) -> int:
        """g(receiver) (step 6.4.2)."""
        return sum(b * receiver**k for k, b in enumerate(self.coefficients, 1))

    def dealing(
        self,
        curve: Curve,
        session: bytes,
        deliveries: Sequence[int],
        false: Mapping[int, int] | None = None,
    ) -> bytes:
        """DEAL behind its α (step 6.4.2), with v_1..v_n; `false` deltas replace the right ones."""
        keys = [curve.point(v) for v in deliveries]
        context, shown = curve.context(session, keys), curve.point(self.ephemeral)
        own, commitments = deliveries[self.index - 1], b"".join(map(curve.point, self.coefficients))
        signed = context + commitments + shown
        proof = curve.signature(self.coefficients[0], signed)
        for secret in (self.ephemeral, own):
            proof += curve.signature(secret, signed + self.index.to_bytes(2, "big"))
        frames = b""
        for receiver, v in enumerate(deliveries, 1):
            plaintext = curve.scalar((false or {}).get(receiver, self.delta(receiver)))
            route = (shown, curve.point(own), curve.point(v))
            sealed = curve.sealed((self.ephemeral * v, own * v), route, context, plaintext)
            frames += big(len(sealed)) + sealed
        return commitments + proof + shown + frames
