"""Wallets on Ed25519 in memory for the tests of signing: dealt by the test, signed by the product.

Secrets of test data are Python integers here; the product never does that.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from nacl.bindings import crypto_core_ed25519_add

from hsm_mpc.groups.ed25519 import ED25519, ORDER
from hsm_mpc.protocols.frost_ed25519.aggregate import Signing
from hsm_mpc.protocols.frost_ed25519.lists import Task
from hsm_mpc.protocols.frost_ed25519.nonces import PUBLIC_NONCE_BYTES
from hsm_mpc.protocols.frost_ed25519.session import Session
from hsm_mpc.protocols.frost_ed25519.signers import EpochKey
from hsm_mpc.protocols.leases import Lease
from hsm_mpc.protocols.signing_messages import Commitment, CommitPayload
from hsm_mpc.secure.arena import Arena, Secret
from hsm_mpc.secure.entropy import Entropy
from tests.protocols.frost import EPOCH, MESSAGE, REQUEST, WALLET, anybody, envelope
from tests.secure.bytes_of import filled

IDENTITY = b"\1" + bytes(31)
ORDER_TWO = bytes([0xEC]) + b"\xff" * 30 + b"\x7f"


def le(scalar: int) -> bytes:
    return (scalar % ORDER).to_bytes(32, "little")


def times_b(scalar: int) -> bytes:
    point = ED25519.base_multiple(scalar)
    assert point is not None
    return bytes(point)


def binding_factor(session: Session, index: int) -> int:
    """ρ of holder `index`."""
    return session.binding_factors[session.signers.position(index)]


def mixed(point: bytes) -> bytes:
    """The point and the point of order 2, added: of mixed order."""
    return crypto_core_ed25519_add(bytes(point), ORDER_TWO)


@dataclass(frozen=True)
class Wallet:
    """t-of-n; `coefficients` is the dealt polynomial, its constant term the whole secret."""

    arena: Arena
    n: int
    coefficients: tuple[int, ...]
    epoch: EpochKey = field(init=False)

    def __post_init__(self) -> None:
        commitments = [times_b(coefficient) for coefficient in self.coefficients]
        object.__setattr__(self, "epoch", EpochKey.of(EPOCH, self.n, commitments))

    @classmethod
    def dealt(cls, arena: Arena, t: int, n: int, seed: object = 0) -> Wallet:
        numbers = random.Random(f"{seed}")
        return cls(arena, n, tuple(numbers.randrange(1, ORDER) for _ in range(t)))

    @property
    def key(self) -> bytes:
        return self.epoch.threshold_key

    def share(self, index: int) -> int:
        total = 0
        for coefficient in reversed(self.coefficients):
            total = (total * index + coefficient) % ORDER
        return total

    @contextmanager
    def opened(self, index: int) -> Iterator[Secret]:
        """The share as unsealing would give it."""
        with self.arena.scope() as take:
            yield filled(take(32), le(self.share(index)))

    def task(self, index: int, message: bytes = MESSAGE) -> Task:
        return Task(WALLET, REQUEST, 0, index, self.epoch, message, anybody)

    def lease(self, index: int, message: bytes = MESSAGE, task: Task | None = None) -> Lease:
        """Round 1 of one holder; its slot is wiped by `answer`, or with the arena."""
        lease_id = random.randbytes(16)
        with self.opened(index) as share:
            wanted = task or self.task(index, message)
            return wanted.commit(lease_id, Entropy(), share, envelope(index))

    def answer(self, lease: Lease, listed: Sequence[Commitment], task: Task) -> bytes:
        """Round 2 of one holder."""
        return task.answer(lease, listed, self.opened(task.index))

    def sign(self, indices: Iterable[int], message: bytes = MESSAGE) -> bytes:
        """Both rounds of all of `indices`, and the aggregator."""
        leases = {index: self.lease(index, message) for index in indices}
        listed = [received(lease.commit) for lease in leases.values()]
        partials = {
            index: self.answer(lease, listed, self.task(index, message))
            for index, lease in leases.items()
        }
        return Signing(self.epoch, message).open(listed).signature(partials)


def received(message: bytes) -> Commitment:
    """A COMMIT message as others get it: plain bytes."""
    payload = CommitPayload.from_bytes(message[1:], PUBLIC_NONCE_BYTES)
    return Commitment(message[0], payload.k, payload.lease_id, payload.public_nonce, message)


def changed(commitment: Commitment, **fields: object) -> Commitment:
    """A COMMIT with other contents, its message signed anew."""
    other = replace(commitment, **fields)  # type: ignore[arg-type]
    payload = CommitPayload(other.k, other.lease_id, bytes(other.public_nonce)).to_bytes()
    return replace(other, message=envelope(other.index)(payload))
