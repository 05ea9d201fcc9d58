"""`taproot.dkg` and `ed25519.dkg`: all holders of a key generation in one process.

Sections 2.4 and 2.5 in full.
"""

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
from hsm_mpc.bench.schemes import MeasuredScheme
from hsm_mpc.bench.tables_dkg import key_generation
from hsm_mpc.certificates.body import NO_EPOCH_BEFORE, EpochBody, EpochKind
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.groups.proofs import PublicSuite
from hsm_mpc.protocols import dkg
from hsm_mpc.protocols.dkg_messages import Setup, agree
from hsm_mpc.protocols.rounds import advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, copy
from hsm_mpc.secure.entropy import Entropy

NAME: Final = "dkg"
"""Of its row, behind the name of the scheme."""
NOTE: Final = "per holder; without envelopes, HSM and disk"


@dataclass(frozen=True, slots=True)
class MadeKey:
    """What a key generation gives: the commitments A_k, and x_i of each holder."""

    commitments: tuple[bytes, ...]
    shares: Mapping[int, Secret]

    def body(self, terms: WalletTerms) -> EpochBody:
        """Of the first epoch; its transcript is nobody's."""
        return EpochBody(
            EpochKind.KEY_GENERATION, terms, 0, NO_EPOCH_BEFORE, self.commitments, os.urandom(32)
        )


class Holders:
    """n holders with static keys, and no messages yet."""

    def __init__(self, suite: Suite, t: int, n: int, arena: Arena) -> None:
        self._suite = suite
        self._group = suite.group
        self.t = t
        self.n = n
        self._arena = arena
        self._entropy = Entropy()
        self._statics = {index: self._slot() for index in range(1, n + 1)}
        for static in self._statics.values():
            self._draw(static)
        self._keys = [bytes(self._group.public_point(static)) for static in self._statics.values()]
        self._extension = os.urandom(ext_bytes(suite, n))

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
            shares[index] = self._slot()
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
        return agree(self._suite, self.t, self._keys, index, own, session, self._extension)

    def _draw(self, into: Secret) -> None:
        self._group.random_nonzero(into, self._entropy)

    def _slot(self) -> Secret:
        return self._arena.take(self._group.scalar_length)


def ext_bytes(suite: PublicSuite, n: int) -> int:
    """Length of the extension of a wallet with a name of eight letters (step 2.6.4)."""
    delivery_key_and_digest = suite.group.point_length + 32
    return 9 + 16 + 2 + 8 + 1 + 8 + 3 * 32 + delivery_key_and_digest * n + 32


def row(scheme: MeasuredScheme, t: int, n: int, arena: Arena, *, rounds: int) -> Row:
    """Measure, on a shielded thread."""
    holders = Holders(scheme.suite, t, n, arena)
    measured = above_floor(
        Measured(repeated(holders.generate), 1, parties=n),
        key_generation(scheme.curve, t, n, ext_bytes(scheme.suite, n), window(arena)),
        rounds=rounds,
        others=peers.key_generation(scheme.peer, t, n),
    )
    holders.close()
    made = row_above_floor(f"{scheme.name}.{NAME}", measured, NOTE + peers.ABSENT, t, n)
    return replace(made, peers=cpu_of(measured.others))
