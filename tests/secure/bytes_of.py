"""What tests do to slots and no product code does: write chosen bytes, read any address."""

from __future__ import annotations

import ctypes

from hsm_mpc.secure.arena import Secret, move_bytes


def write(secret: Secret, content: bytes) -> None:
    """Fill a slot with `content`, which has exactly its size."""
    assert len(content) == secret.size
    with secret.open() as pointer:
        move_bytes(pointer, content, len(content))


def filled(secret: Secret, content: bytes) -> Secret:
    """`secret` after `write`."""
    write(secret, content)
    return secret


def at(address: int, length: int) -> bytes:
    """`length` bytes at `address`; a fault where nothing may be read."""
    return ctypes.string_at(address, length)


def address_of(secret: Secret) -> int:
    """The address of a slot, also outside of its window."""
    with secret.open() as pointer:
        return pointer
