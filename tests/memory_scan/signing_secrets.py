"""What is secret in one signature (step 3.4.13), computed from the share and from public facts.

The target's generators give a known pattern, which is no secret of anybody: with it the scanner
follows each nonce from the moment it is drawn. What the target tells, as facts: `nonce` (the public
part of what is hashed), `factors` (b, f and c of a session), `partial` (a partial signature).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import coincurve

from hsm_mpc.ids import Scheme
from hsm_mpc.tags import Tag, tagged_hash
from tests.memory_scan.needles import KEY_LAYOUTS, LAYOUTS, Needle, needles

FROM_SYSTEM: Final = bytes(range(32))
FROM_HSM: Final = bytes(range(32, 64))
ORDER: Final = 2**256 - 432420386565659656852420866394968145599
SECRETS: Final = (
    *("d", "v", "data key", "rand'", "aux", "d ⊕ aux", "k_1", "k_2"),
    *("b·k_2", "k_1 + b·k_2", "−(k_1 + b·k_2)", "c·d"),
)

Named = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Factors:
    """What enters a partial signature s = f·(k_1 + b·k_2) + c·d beside the secrets."""

    b: int
    f: int
    c: int


def secrets_of_randomness(share: bytes) -> Named:
    """Step 3.3.2, the same for each nonce, because the pattern is."""
    drawn = tagged_hash(Tag.SEED, FROM_SYSTEM + FROM_HSM + bytes(4))
    aux = tagged_hash(Tag.BIP445_AUX, drawn)
    hedged = bytes(one ^ other for one, other in zip(share, aux, strict=True))
    return {"rand'": drawn, "aux": aux, "d ⊕ aux": hedged}


def secrets_of_nonce(share: bytes, public: bytes) -> Named:
    """Step 3.3.3."""
    hedged = secrets_of_randomness(share)["d ⊕ aux"]
    first, second = (
        tagged_hash(Tag.BIP445_NONCE, hedged + public + half) for half in (b"\0", b"\1")
    )
    return {"k_1": first, "k_2": second}


def secrets_of_products(share: bytes, nonce: Named, factors: Factors) -> Named:
    """Step 3.4.11."""
    second = factors.b * int.from_bytes(nonce["k_2"], "big") % ORDER
    total = (int.from_bytes(nonce["k_1"], "big") + second) % ORDER
    products = {
        "b·k_2": second,
        "k_1 + b·k_2": total,
        "−(k_1 + b·k_2)": ORDER - total,
        "c·d": factors.c * int.from_bytes(share, "big") % ORDER,
    }
    return {name: value.to_bytes(32, "big") for name, value in products.items()}


@dataclass(slots=True)
class _Signature:
    nonce: Named
    factors: Factors | None = None


@dataclass(frozen=True, slots=True)
class SigningSecrets:
    """What the scanner knows of one target's secrets; more with every fact."""

    share: bytes
    """d."""
    delivery: bytes
    """v."""
    data_key: bytes
    _signatures: dict[str, _Signature] = field(default_factory=dict)

    def needles(self) -> Iterator[Needle]:
        """What there is to find from the beginning."""
        yield from needles("data key", self.data_key, KEY_LAYOUTS)
        yield from _needles({"d": self.share, "v": self.delivery})
        yield from _needles(secrets_of_randomness(self.share))

    def learn(self, fact: str) -> Iterator[Needle]:
        """What there is to find as soon as the target tells this."""
        kind, *values = fact.split()
        if kind == "nonce":
            nonce = secrets_of_nonce(self.share, bytes.fromhex(values[0]))
            self._signatures[_public_nonce(nonce)] = _Signature(nonce)
            yield from _needles(nonce)
        elif kind == "factors":
            signature = self._signatures[values[0]]
            b, f, c = (int(value) for value in values[1:])
            signature.factors = Factors(b, f, c)
            yield from _needles(secrets_of_products(self.share, signature.nonce, signature.factors))
        else:
            assert kind == "partial"
            assert self._is_right(values[0], int(values[1], 16))

    def _is_right(self, public_nonce: str, partial: int) -> bool:
        """Whether what was looked for is what the target computed with."""
        signature = self._signatures[public_nonce]
        assert signature.factors is not None
        made = secrets_of_products(self.share, signature.nonce, signature.factors)
        sum_ = made["k_1 + b·k_2" if signature.factors.f == 1 else "−(k_1 + b·k_2)"]
        total = int.from_bytes(sum_, "big") + int.from_bytes(made["c·d"], "big")
        return total % ORDER == partial


def _needles(named: Named) -> Iterator[Needle]:
    for name, secret in named.items():
        yield from needles(name, secret, LAYOUTS)


def _public_nonce(nonce: Named) -> str:
    halves = (coincurve.PrivateKey(nonce[name]).public_key.format() for name in ("k_1", "k_2"))
    return b"".join(halves).hex()


def make(folder: Path, module: str) -> SigningSecrets:
    """Let the maker generate a wallet's key, tell the first holder's secrets, and be gone."""
    return SigningSecrets(*told_by_maker(folder, module, Scheme.TAPROOT))


def told_by_maker(folder: Path, module: str, scheme: Scheme) -> tuple[bytes, bytes, bytes]:
    """Share, delivery key and data key."""
    made = subprocess.run(
        [
            *(sys.executable, "-m", "tests.memory_scan.signing_maker"),
            *(str(folder), module, str(scheme.value)),
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    told = bytes.fromhex(made.stdout.decode())
    return told[:32], told[32:64], told[64:]
