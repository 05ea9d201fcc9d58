"""Every path wipes, and nothing happens where a signal could spill registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hsm_mpc.errors import BackendError, HsmMpcError, Tampered
from hsm_mpc.sealing.cms import decode, encode
from hsm_mpc.sealing.sealed import SealedShare, rewrap, seal, unseal
from hsm_mpc.secure.arena import Arena, Secret, publish
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wrapping.recipients import Recipient
from tests.sealing.blobs import (
    CONTEXT,
    NOW,
    SHARE,
    opened_by,
    rewrapped_by,
    sealed_by,
)
from tests.wrapping.software import CountingKey, SoftwareKey, write


class LosingKey(SoftwareKey):
    """Its device goes away after it has written something."""

    def _wrap(self, data_key: Secret, bind: Any) -> Recipient:
        raise BackendError("the device went away")

    def _unwrap(self, recipient: Recipient, associated: bytes, into: Secret) -> None:
        write(into, b"half a data key was written here")
        raise BackendError("the device went away")


def seal_to_a_lost_device(arena: Arena) -> None:
    sealed_by(arena, SoftwareKey(), LosingKey("lost"))


def unseal_by_a_lost_device(arena: Arena) -> None:
    encoded = sealed_by(arena, SoftwareKey("name"))
    opened_by(arena, LosingKey("name"), encoded)


def unseal_forged_content(arena: Arena) -> None:
    key = SoftwareKey()
    opened_by(arena, key, encode(replace(decode(sealed_by(arena, key)), tag=bytes(16))))


def unseal_into_a_short_slot(arena: Arena) -> None:
    key = SoftwareKey()
    opened_by(arena, key, sealed_by(arena, key), size=32)


def rewrap_to_a_lost_device(arena: Arena) -> None:
    key = SoftwareKey()
    rewrapped_by(arena, sealed_by(arena, key), key, LosingKey("lost"))


@pytest.mark.parametrize(
    "attempt",
    [
        seal_to_a_lost_device,
        unseal_by_a_lost_device,
        unseal_forged_content,
        unseal_into_a_short_slot,
        rewrap_to_a_lost_device,
    ],
)
def test_an_abort_leaves_nothing_in_protected_memory(
    arena: Arena, attempt: Callable[[Arena], None]
) -> None:
    with pytest.raises(HsmMpcError):
        attempt(arena)  # the fixture looks at every byte of the arena afterwards


def test_a_refused_content_is_wiped_from_the_callers_slot(arena: Arena) -> None:
    key = SoftwareKey()
    encoded = encode(replace(decode(sealed_by(arena, key)), tag=bytes(16)))
    sealed = SealedShare.parse(encoded)

    def work() -> bytes:
        with arena.scope() as take:
            into = take(64)
            write(into, SHARE)
            with pytest.raises(Tampered):
                unseal(sealed, key, CONTEXT, sealed.digest, into)
            return publish(into)

    assert run_shielded(work) == bytes(64)


def test_outside_a_shielded_thread_nothing_is_sealed_unsealed_or_rewrapped(arena: Arena) -> None:
    key = CountingKey()
    sealed = SealedShare.parse(sealed_by(arena, key))
    with arena.scope() as take:
        slot = take(64)
        with pytest.raises(BackendError, match="shielded"):
            seal(slot, CONTEXT, [key], Entropy(), NOW)
        with pytest.raises(BackendError, match="shielded"):
            unseal(sealed, key, CONTEXT, sealed.digest, slot)
        with pytest.raises(BackendError, match="shielded"):
            rewrap(sealed, key, CONTEXT, sealed.digest, [SoftwareKey("new")], arena)
    assert key.unwrapped == 0
