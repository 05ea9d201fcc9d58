"""What is secret in one Ed25519 signature (step 4.5), from the share and from public facts.

The target's generators give a known pattern, another one for each nonce. What the target tells, as
facts: `nonce` (which pattern is drawn), `factors` (ρ and c·λ of a session), `partial` (a partial
signature).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hsm_mpc.groups.ed25519 import ED25519, ORDER
from hsm_mpc.ids import Scheme
from hsm_mpc.tags import Tag, tagged_hash
from tests.memory_scan.needles import KEY_LAYOUTS, LAYOUTS, Needle, needles
from tests.memory_scan.signing_secrets import told_by_maker

SECRETS: Final = (
    *("x", "v", "data key", "random of d", "random of e", "hash of d", "hash of e"),
    *("d", "e", "ρ·e", "d + ρ·e", "c·λ·x"),
)
_HASH_PREFIX: Final = b"FROST-ED25519-SHA512-v1nonce"
_HALF_BYTES: Final = 32

Named = dict[str, bytes]


def pattern(source: str, number: int, length: int) -> bytes:
    """What a generator, `system` or `hsm`, gives for the nonce of this number; at most 64 bytes."""
    return hashlib.sha512(f"{source} {number}".encode()).digest()[:length]


def secrets_of_nonce(share: bytes, number: int) -> Named:
    """Steps 1.8.6a and 4.3.1."""
    system, hsm = (pattern(source, number, 2 * _HALF_BYTES) for source in ("system", "hsm"))
    named: Named = {}
    for at, name in enumerate(("d", "e")):
        half = hsm[at * _HALF_BYTES : (at + 1) * _HALF_BYTES]
        drawn = tagged_hash(Tag.SEED, system[:_HALF_BYTES] + half + bytes(4))
        wide = hashlib.sha512(_HASH_PREFIX + drawn + share).digest()
        named |= {f"random of {name}": drawn, f"hash of {name}": wide}
        named[name] = _encoded(int.from_bytes(wide, "little"))
    return named


def secrets_of_products(share: bytes, nonce: Named, rho: int, factor: int) -> Named:
    """Step 4.3.5: what enters z = d + ρ·e + c·λ·x."""
    d, e, x = (int.from_bytes(secret, "little") for secret in (nonce["d"], nonce["e"], share))
    return {
        "ρ·e": _encoded(rho * e),
        "d + ρ·e": _encoded(d + rho * e),
        "c·λ·x": _encoded(factor * x),
    }


def _encoded(scalar: int) -> bytes:
    return (scalar % ORDER).to_bytes(32, "little")


@dataclass(frozen=True, slots=True)
class Ed25519Secrets:
    """What the scanner knows of one target's secrets; more with every fact."""

    share: bytes
    """x, little-endian."""
    delivery: bytes
    """v."""
    data_key: bytes
    _nonces: dict[str, Named] = field(default_factory=dict)
    """By their public halves, in hex."""
    _sums: dict[str, int] = field(default_factory=dict)

    def needles(self) -> Iterator[Needle]:
        """What there is to find from the beginning."""
        yield from needles("data key", self.data_key, KEY_LAYOUTS)
        yield from _needles({"x": self.share, "v": self.delivery})

    def learn(self, fact: str) -> Iterator[Needle]:
        """What there is to find as soon as the target tells this."""
        kind, *values = fact.split()
        if kind == "nonce":
            nonce = secrets_of_nonce(self.share, int(values[0]))
            self._nonces[_public(nonce)] = nonce
            yield from _needles(nonce)
        elif kind == "factors":
            rho, factor = (int(value) for value in values[1:])
            products = secrets_of_products(self.share, self._nonces[values[0]], rho, factor)
            parts = (products["d + ρ·e"], products["c·λ·x"])
            self._sums[values[0]] = sum(int.from_bytes(part, "little") for part in parts) % ORDER
            yield from _needles(products)
        else:
            assert kind == "partial"
            released = int.from_bytes(bytes.fromhex(values[1]), "little")
            assert released == self._sums[values[0]]  # what was looked for is what was computed


def _needles(named: Named) -> Iterator[Needle]:
    """As the library keeps a scalar, and as others would: low byte first, and last."""
    for name, secret in named.items():
        yield from needles(name, secret, LAYOUTS)
        yield from needles(name, secret[::-1], LAYOUTS)


def _public(nonce: Named) -> str:
    halves = (ED25519.base_multiple(int.from_bytes(nonce[name], "little")) for name in ("d", "e"))
    return b"".join(bytes(half or b"") for half in halves).hex()


def make(folder: Path, module: str) -> Ed25519Secrets:
    """Let the maker generate a wallet's key, tell the first holder's secrets, and be gone."""
    return Ed25519Secrets(*told_by_maker(folder, module, Scheme.ED25519))
