"""Key generations in memory for the tests: honest holders, and a dealer who may deal anything.

Secrets of test data are Python integers here; the product never does that.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hsm_mpc.groups.proofs import PublicSuite
from hsm_mpc.groups.secp256k1 import ORDER, SECP256K1
from hsm_mpc.groups.sharing import DrawScalars
from hsm_mpc.protocols import dkg
from hsm_mpc.protocols.dkg_messages import Dealing1, Setup, agree
from hsm_mpc.protocols.rounds import advance
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Arena, Secret, Take, publish
from tests.protocols.forgery import forged_dealing, powers_from
from tests.secure.bytes_of import filled, write

STATICS = (11, 12, 13)
SESSION = b"session of the tests".ljust(32, b".")
EXTENSION = b"extension of the tests"


def be(scalar: int) -> bytes:
    return (scalar % ORDER).to_bytes(32, "big")


def times_g(scalar: int) -> bytes:
    point = SECP256K1.base_multiple(scalar)
    assert point is not None
    return bytes(point)


def encoded(suite: PublicSuite, scalar: int) -> bytes:
    """`be` for either suite."""
    return suite.group.scalar_bytes(scalar % suite.group.order)


def decoded(suite: PublicSuite, scalar: bytes) -> int:
    return suite.group.parse_scalar(scalar)


def times_base(suite: PublicSuite, scalar: int) -> bytes:
    """`times_g` for either suite."""
    point = suite.group.base_multiple(scalar)
    assert point is not None
    return bytes(point)


def scripted(suite: PublicSuite, *scalars: int) -> DrawScalars:
    """Draws these scalars, one after another."""
    left = list(scalars)

    def draw(into: Secret) -> None:
        count = into.size // 32
        write(into, b"".join(encoded(suite, left.pop(0)) for _ in range(count)))

    return draw


def random_draws(suite: PublicSuite, seed: int) -> DrawScalars:
    numbers = random.Random(seed)

    def scalar() -> bytes:
        return encoded(suite, numbers.randrange(1, suite.group.order))

    def draw(into: Secret) -> None:
        write(into, b"".join(scalar() for _ in range(into.size // 32)))

    return draw


@dataclass(frozen=True, slots=True)
class Party:
    """A holder of a session: what it agreed to, and d_i."""

    setup: Setup
    static: Secret


def parties(
    suite: Suite,
    take: Take,
    threshold: int,
    secrets: Sequence[int],
    *,
    session: bytes = SESSION,
    extension: bytes = EXTENSION,
) -> list[Party]:
    """n holders with these static secrets."""
    keys = [times_base(suite, secret) for secret in secrets]
    return [
        Party(
            agree(suite, threshold, keys, me, key, session, extension),
            filled(take(32), encoded(suite, secret)),
        )
        for me, (key, secret) in enumerate(zip(keys, secrets, strict=True), 1)
    ]


@dataclass(slots=True)
class Dealt:
    """After round 1: what each keeps and what each sent."""

    parties: list[Party]
    keeps: dict[int, dkg.Keep1to2]
    messages: dict[int, bytes]

    @property
    def suite(self) -> Suite:
        return self.parties[0].setup.suite

    def exchange(self, index: int, messages: Mapping[int, bytes] | None = None) -> dkg.Keep2to3:
        """Round 2 at holder `index`."""
        return advance(
            dkg.exchange,
            self.keeps[index],
            self.parties[index - 1].static,
            self.messages if messages is None else messages,
        )


def deal(parties: list[Party], seed: int = 1) -> Dealt:
    """Round 1 at every holder."""
    keeps, messages = {}, {}
    for party in parties:
        index = party.setup.me
        draws = random_draws(party.setup.suite, seed + index)
        keeps[index], outbox = dkg.start(party.setup, party.static, draws)
        messages[index] = outbox.to_all
    return Dealt(parties, keeps, messages)


def play(parties: list[Party], seed: int = 1) -> tuple[dict[int, bytes], list[dkg.Keep2to3]]:
    """Rounds 1 and 2 of honest holders: their shares in the open, and their keeps."""
    dealt = deal(parties, seed)
    keeps = [dealt.exchange(index) for index in range(1, len(parties) + 1)]
    shares = {index: publish(keep.share) for index, keep in enumerate(keeps, 1)}
    return shares, keeps


def forged(
    party: Party,
    coefficients: Sequence[int],
    ephemeral: int,
    *,
    shares: Mapping[int, int] | None = None,
    raw_shares: Mapping[int, bytes] | None = None,
    shown: bytes | None = None,
) -> Dealing1:
    """A dealing of the test's choice.

    `shares` and `raw_shares` replace f(r) for some receivers; `shown` is shown as E.
    """
    return forged_dealing(
        Dealing1,
        party.setup,
        party.setup.me,
        party.static,
        powers_from(0, coefficients),
        ephemeral,
        shares=shares,
        raw_shares=raw_shares,
        shown=shown,
    )


@contextmanager
def leaving_nothing(arena: Arena) -> Iterator[None]:
    """Every slot that is taken in the body is wiped in the body, though a traceback holds it."""
    gc.collect()  # what earlier tests dropped is not counted
    before = arena.free_bytes
    yield
    assert arena.free_bytes == before, "a round left a secret behind"
