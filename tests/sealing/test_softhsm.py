"""Sealed blobs whose wrapping keys are in a token."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from hsm_mpc.errors import Tampered
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.keys import MissingKey
from hsm_mpc.hsm.token import Token
from hsm_mpc.sealing.cms import decode, encode
from hsm_mpc.sealing.sealed import SealedShare, rewrap, unseal
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Arena, Secret
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key
from tests.sealing.blobs import (
    CONTEXT,
    PAIR_CONTEXT,
    SHARE,
    flipped,
    opened_by,
    sealed_by,
)
from tests.wrapping.software import write

MakeKey = Callable[[], Pkcs11Key]


def equal(one: Secret, other: Secret) -> bool:
    with one.open() as left, other.open() as right:
        return sodium.equal(left, right, one.size)


def test_a_share_comes_back(arena: Arena, make_softhsm_key: MakeKey) -> None:
    key = make_softhsm_key()
    assert opened_by(arena, key, sealed_by(arena, key)) == SHARE


def test_a_pair_state_comes_back(arena: Arena, make_softhsm_key: MakeKey) -> None:
    key = make_softhsm_key()
    encoded = sealed_by(arena, key, context=PAIR_CONTEXT, content=b"pair state")
    assert opened_by(arena, key, encoded, PAIR_CONTEXT) == b"pair state"


def test_another_key_of_the_token_opens_nothing(arena: Arena, make_softhsm_key: MakeKey) -> None:
    key, other = make_softhsm_key(), make_softhsm_key()
    blob = decode(sealed_by(arena, key))
    with pytest.raises(Tampered, match="not among its recipients"):
        opened_by(arena, other, encode(blob))
    (theirs,) = decode(sealed_by(arena, other)).recipients
    (mine,) = blob.recipients
    relabelled = encode(replace(blob, recipients=(replace(theirs, wrapped=mine.wrapped),)))
    with pytest.raises(Tampered, match="refused"):
        opened_by(arena, other, relabelled)


def test_rewrapped_for_a_new_key_the_old_key_can_be_destroyed(
    arena: Arena, token: Token, make_softhsm_key: MakeKey
) -> None:
    old, new = make_softhsm_key(), make_softhsm_key()
    encoded = sealed_by(arena, old)
    sealed = SealedShare.parse(encoded)
    rewrapped = run_shielded(lambda: rewrap(sealed, old, CONTEXT, sealed.digest, [new], arena))
    keys.destroy(token, old._key)
    assert opened_by(arena, new, rewrapped) == SHARE
    with pytest.raises(MissingKey):
        opened_by(arena, old, encoded)


def test_flipped_bits_are_refused_and_the_token_goes_on(
    arena: Arena, make_softhsm_key: MakeKey
) -> None:
    key = make_softhsm_key()
    encoded = sealed_by(arena, key)
    for bit in range(0, 8 * len(encoded), 29):
        with pytest.raises(Tampered):
            opened_by(arena, key, flipped(encoded, bit))
        with pytest.raises(Tampered):
            opened_by(arena, key, flipped(encoded, bit), digest=hashlib.sha256(encoded).digest())
    assert opened_by(arena, key, encoded) == SHARE


def test_eight_threads_open_at_once(arena: Arena, make_softhsm_key: MakeKey) -> None:
    made = [make_softhsm_key() for _ in range(4)]
    shares = [(key, SealedShare.parse(sealed_by(arena, key))) for key in made]
    damaged = replace(shares[0][1], associated=(bytes(32),))
    opened, failures = [0] * 8, list[BaseException]()
    end = time.monotonic() + 2

    def work(number: int) -> None:
        key, sealed = shares[number % len(shares)]
        try:
            with arena.scope() as take:
                expected, into = take(64), take(64)
                write(expected, SHARE)
                while time.monotonic() < end:
                    unseal(sealed, key, CONTEXT, sealed.digest, into)
                    assert equal(expected, into)
                    opened[number] += 1
                    if opened[number] % 64 == 0:
                        with pytest.raises(Tampered):
                            unseal(damaged, made[0], CONTEXT, damaged.digest, into)
        except BaseException as failure:
            failures.append(failure)

    threads = [
        threading.Thread(target=run_shielded, args=(lambda number=number: work(number),))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert min(opened) > 64
