"""The published vectors of COCKTAIL-DKG, and what can be derived from them (section 8.1).

Ephemeral secrets and coefficients of the vectors come from a stream that is not specified. But all
ciphertexts can be opened with the static keys, which gives the shares and so the polynomials.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hsm_mpc.encoding import u32le
from hsm_mpc.protocols.dkg_messages import Dealing1, Setup, agree
from hsm_mpc.protocols.pads import Pads, Route, session_pads, static_halves
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena
from tests.protocols.keygen import encoded
from tests.secure.bytes_of import at, filled


@dataclass(frozen=True, slots=True)
class Vector:
    """One key generation of the file, as it stands there (JSON) and parsed."""

    suite: Suite
    seed: bytes
    json: Mapping[str, Any]

    @property
    def holders(self) -> int:
        return int(self.json["n"])

    @property
    def threshold(self) -> int:
        return int(self.json["t"])

    @property
    def statics(self) -> list[int]:
        """d_1..d_n."""
        return [self.scalar(key) for key in self.json["config"]["static_secret_keys"]]

    @property
    def static_keys(self) -> list[bytes]:
        """P_1..P_n."""
        return [bytes.fromhex(key) for key in self.json["config"]["static_public_keys"]]

    @property
    def payloads(self) -> list[bytes]:
        """What each dealer sends beside its shares; empty in our use."""
        return [bytes.fromhex(each) for each in self.json.get("payloads", [""] * self.holders)]

    @property
    def extension(self) -> bytes:
        return bytes.fromhex(self.json["extension"])

    def derived_static(self, index: int) -> int:
        """H(seed ‖ suite_id ‖ u32le(t) ‖ u32le(n) ‖ label) mod q."""
        label = f"static_secret_key_{index}".encode("ascii")
        sizes = u32le(self.threshold) + u32le(self.holders)
        digest = self.suite.hash(self.seed + self.suite.suite_id + sizes + label)
        return int.from_bytes(digest, self.byte_order) % self.suite.group.order

    @property
    def byte_order(self) -> Literal["big", "little"]:
        """Of a scalar."""
        return "little" if self.suite.group.scalar_bytes(1)[0] else "big"

    def scalar(self, encoded: str) -> int:
        """Of 32 bytes in hex."""
        return self.suite.group.parse_scalar(bytes.fromhex(encoded))

    def setup(self, me: int) -> Setup:
        session = bytes.fromhex(self.json["session_tag"])
        own = self.static_keys[me - 1]
        return agree(self.suite, self.threshold, self.static_keys, me, own, session, self.extension)

    def dealing(self, index: int) -> Dealing1:
        """msg1 of a holder."""
        part = self.json["round1"][index - 1]
        assert part["participant_id"] == index
        return Dealing1(
            tuple(bytes.fromhex(point) for point in part["vss_commitment"]),
            bytes.fromhex(part["pop"]),
            bytes.fromhex(part["ephemeral_public_key"]),
            tuple(bytes.fromhex(each) for each in part["encrypted_shares"]),
        )

    def signature(self, index: int) -> bytes:
        """sig of a holder."""
        part = self.json["round3"]["signatures"][index - 1]
        assert part["signer_id"] == index
        return bytes.fromhex(part["signature"])

    def route(self, sender: int, receiver: int) -> Route:
        return Route(
            self.dealing(sender).ephemeral,
            self.static_keys[sender - 1],
            self.static_keys[receiver - 1],
        )

    def plaintext(self, arena: Arena, sender: int, receiver: int) -> bytes:
        """share ‖ payload, opened by the receiver."""
        ciphertext = self.dealing(sender).sealed[receiver - 1]
        with arena.scope() as take, take(len(ciphertext) - 16).open() as out:
            with self._pads(arena, sender, receiver) as (pads, own, half):
                assert pads.open(own, half, self.route(sender, receiver), ciphertext, out)
            return at(out, len(ciphertext) - 16)

    def sealed_again(self, arena: Arena, sender: int, receiver: int, plaintext: bytes) -> bytes:
        """The ciphertext, made with the receiver's secret: pads are symmetric.

        S^e = d_r·E_s, so the sealing side is given E_s where it expects P_r.
        """
        with (
            arena.scope() as take,
            filled(take(len(plaintext)), plaintext).open() as text,
            self._pads(arena, sender, receiver) as (pads, own, half),
        ):
            route = self.route(sender, receiver)
            nonce = pads._derive(own, route.ephemeral, half, route)
            return self.suite.seal(pads._key, nonce, text, len(plaintext), pads._scratch)

    @contextmanager
    def _pads(self, arena: Arena, sender: int, receiver: int) -> Iterator[tuple[Pads, int, int]]:
        context = bytes.fromhex(self.json["context"])
        with arena.scope() as take:
            static = filled(take(32), encoded(self.suite, self.statics[receiver - 1]))
            with (
                static.open() as own,
                take(self.suite.group.point_length).open() as half,
                session_pads(self.suite, context, arena) as pads,
            ):
                static_halves(self.suite, own, [self.static_keys[sender - 1]], half)
                yield pads, own, half


def load(folder: Path, suite: Suite) -> list[Vector]:
    """The vectors of one suite."""
    curve = "ed25519-sha512" if b"Ed25519" in suite.suite_id else "secp256k1-sha256"
    path = folder / "cocktail-dkg" / f"cocktail-dkg-{curve}.json"
    content = json.loads(path.read_text("utf-8"))
    assert content["ciphersuite"] == suite.suite_id.decode("ascii")
    return [Vector(suite, bytes.fromhex(content["seed"]), each) for each in content["vectors"]]


def interpolated(shares: Sequence[int], order: int) -> list[int]:
    """The coefficients of the polynomial of lowest degree with f(1), f(2), … = `shares`."""
    total = [0] * len(shares)
    for i, share in enumerate(shares, 1):
        basis, denominator = [1], 1
        for j in range(1, len(shares) + 1):
            if j != i:
                shifted, scaled = [0, *basis], [-j * each for each in basis] + [0]
                basis = [a + b for a, b in zip(shifted, scaled, strict=True)]
                denominator *= i - j
        factor = share * pow(denominator, -1, order)
        total = [(a + factor * b) % order for a, b in zip(total, basis, strict=True)]
    while total[-1] == 0:
        total.pop()
    return total
