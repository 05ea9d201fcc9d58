"""After a nonce, and after a partial signature: no secret is in the process (steps 4.5, 4.6)."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from hsm_mpc.groups.ed25519 import ED25519, hash_to_scalar
from hsm_mpc.protocols.frost_ed25519.lists import Task
from hsm_mpc.protocols.frost_ed25519.nonces import PublicNonce
from hsm_mpc.protocols.frost_ed25519.session import Session
from hsm_mpc.protocols.frost_ed25519.signers import EpochKey
from hsm_mpc.secure.arena import Arena, Secret, move_bytes, publish_at
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.tags import Tag, tagged_hash
from tests.protocols.frost import EPOCH, MESSAGE, REQUEST, WALLET, anybody, envelope
from tests.protocols.frost_ed25519 import binding_factor, le, received, times_b
from tests.secure.residues import ORDER, Watched, forms

# Where things lie in the shared memory.
SHARE: Final = 0
RANDOM: Final = 64  # hsm[64] ‖ os[32] ‖ os[32], in the order in which they are drawn
COMMITMENTS: Final = 256
OTHER: Final = 384  # the COMMIT message of holder 3
NONCE: Final = 640
PARTIAL: Final = 768
COMMIT_BYTES: Final = 1 + 2 + 16 + 64


def signer(address: int, stop: Callable[[], None]) -> None:
    """Holder 1 of 2-of-3 makes a nonce, stops, answers a list, stops."""
    arena, left = Arena(16384), [address + RANDOM]

    def fill(pointer: int, length: int) -> None:
        move_bytes(pointer, left[0], length)
        left[0] += length

    @contextmanager
    def opened() -> Iterator[Secret]:
        with arena.scope() as take:
            share = take(32)
            with share.open() as pointer:
                move_bytes(pointer, address + SHARE, 32)
            yield share

    entropy = Entropy(hsm_fill=fill)
    entropy.os_fill = fill
    commitments = publish_at(address + COMMITMENTS, 64)
    epoch = EpochKey.of(EPOCH, 3, [commitments[:32], commitments[32:]])
    task = Task(WALLET, REQUEST, 0, 1, epoch, MESSAGE, anybody)
    with opened() as share:
        lease = task.commit(b"l" * 16, entropy, share, envelope(1))
    move_bytes(address + NONCE, bytes(lease.public_nonce), 64)
    stop()
    listed = [received(lease.commit), received(publish_at(address + OTHER, COMMIT_BYTES))]
    move_bytes(address + PARTIAL, task.answer(lease, listed, opened()), 32)
    stop()


def test_no_part_of_a_secret_is_left_in_the_process() -> None:
    """Steps 1.8.1, 4.5 and 4.6: in whatever it can write but protected pages.

    The partial signature, which is public, is found there.
    """
    with Watched(signer) as child:
        numbers = random.Random(os.urandom(8))
        constant, slope = numbers.randrange(1, ORDER), numbers.randrange(1, ORDER)
        x, drawn = (constant + slope) % ORDER, numbers.randbytes(128)
        third = times_b(98) + times_b(99)
        commitments = times_b(constant) + times_b(slope)
        child.shared[SHARE : SHARE + 32] = le(x)
        child.shared[RANDOM : RANDOM + 128] = drawn
        child.shared[COMMITMENTS : COMMITMENTS + 64] = commitments
        child.shared[OTHER : OTHER + COMMIT_BYTES] = b"\3" + bytes(2) + b"m" * 16 + third

        seeds = [
            tagged_hash(Tag.SEED, drawn[64 + at : 96 + at] + drawn[at : 32 + at] + bytes(4))
            for at in (0, 32)
        ]
        hashed = [b"FROST-ED25519-SHA512-v1nonce" + seed + le(x) for seed in seeds]
        d, e = map(hash_to_scalar, hashed)
        wide = b"".join(hashlib.sha512(message).digest() for message in hashed)
        secret = b"".join(seeds) + drawn + wide
        needles = [secret[at : at + 8] for at in range(0, len(secret), 8)]
        needles += [form for value in (x, d, e) for form in forms(value)]

        child.run()
        nonce = PublicNonce.parse(child.shared[NONCE : NONCE + 64])
        assert nonce == times_b(d) + times_b(e)
        assert child.found(needles) == 0
        child.run()
        epoch = EpochKey.of(EPOCH, 3, ED25519.parse_points(commitments))
        signers = epoch.signers((1, 3))
        session = Session.of(signers, [nonce, PublicNonce.parse(third)], MESSAGE)
        bound, weighed = binding_factor(session, 1) * e, session.share_factor(1) * x
        partial = child.shared[PARTIAL : PARTIAL + 32]
        assert partial == le(d + bound + weighed)
        needles += [form for value in (bound, d + bound, weighed) for form in forms(value)]
        assert child.found(needles) == 0
        assert child.found([partial]) == 1, "nothing is found at all"
