"""`taproot.dkg`: all holders of a key generation in one process, sections 2.4 and 2.5 in full."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from hsm_mpc.bench import peers
from hsm_mpc.bench.floor import above_floor
from hsm_mpc.bench.measure import Measured, repeated
from hsm_mpc.bench.operations import window
from hsm_mpc.bench.report import Row, cpu_of, row_above_floor
from hsm_mpc.bench.tables import key_generation
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.protocols import dkg
from hsm_mpc.protocols.dkg_messages import Setup, agree
from hsm_mpc.protocols.rounds import advance
from hsm_mpc.protocols.suite_secp256k1 import CocktailSecp256k1
from hsm_mpc.secure.arena import Arena, Secret, copy
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.secure.xaes import Xaes256Gcm

NAME: Final = "taproot.dkg"
NOTE: Final = "per holder; without envelopes, HSM and disk"

_SUITE: Final = CocktailSecp256k1(Xaes256Gcm())
_SCALAR_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class MadeKey:
    """What a key generation gives: the commitments A_k, and x_i of each holder."""

    commitments: tuple[bytes, ...]
    shares: Mapping[int, Secret]


class Holders:
    """n holders with static keys, and no messages yet."""

    def __init__(self, t: int, n: int, arena: Arena) -> None:
        self.t = t
        self.n = n
        self._arena = arena
        self._entropy = Entropy()
        self._statics = {index: arena.take(_SCALAR_BYTES) for index in range(1, n + 1)}
        for static in self._statics.values():
            self._draw(static)
        self._keys = [bytes(SECP256K1.public_point(static)) for static in self._statics.values()]
        self._extension = os.urandom(ext_bytes(n))

    def close(self) -> None:
        """Wipe the static keys."""
        for static in self._statics.values():
            static.release()

    def generate(self) -> dict[int, dkg.Keep2to3]:
        """All rounds at all holders, each message parsed by everybody; what round 3 begins with.

        The shares in it are wiped.
        """
        keeps = self._dealt()
        confirmed, signatures = {}, {}
        for index, keep in keeps.items():
            confirmed[index], outbox = advance(dkg.confirm, keep, self._statics[index])
            signatures[index] = outbox.to_all
        for after in confirmed.values():
            dkg.finish(after, signatures)
        return keeps

    def made_key(self) -> MadeKey:
        """A key whose shares are kept; they are the caller's to wipe."""
        keeps = self._dealt()
        shares = {}
        for index, keep in keeps.items():
            shares[index] = self._arena.take(_SCALAR_BYTES)
            copy(shares[index], keep.share)
            keep.share.release()
        return MadeKey(keeps[1].commitments, shares)

    def _dealt(self) -> dict[int, dkg.Keep2to3]:
        session = os.urandom(32)
        keeps, messages = {}, {}
        for index, static in self._statics.items():
            keeps[index], outbox = dkg.start(self._setup(index, session), static, self._draw)
            messages[index] = outbox.to_all
        return {
            index: advance(dkg.exchange, keep, self._statics[index], messages)
            for index, keep in keeps.items()
        }

    def _setup(self, index: int, session: bytes) -> Setup:
        own = self._keys[index - 1]
        return agree(_SUITE, self.t, self._keys, index, own, session, self._extension)

    def _draw(self, into: Secret) -> None:
        SECP256K1.random_nonzero(into, self._entropy)


def ext_bytes(n: int) -> int:
    """Length of the extension of a wallet with a name of eight letters (step 2.6.4)."""
    return 9 + 16 + 2 + 8 + 1 + 8 + 3 * 32 + (33 + 32) * n + 32


def row(t: int, n: int, arena: Arena, *, rounds: int) -> Row:
    """Measure, on a shielded thread."""
    holders = Holders(t, n, arena)
    measured = above_floor(
        Measured(repeated(holders.generate), 1, parties=n),
        key_generation(t, n, ext_bytes(n), window(arena)),
        rounds=rounds,
        others=peers.key_generation(t, n),
    )
    holders.close()
    made = row_above_floor(NAME, measured, NOTE + peers.ABSENT, t, n)
    return replace(made, peers=cpu_of(measured.others))
