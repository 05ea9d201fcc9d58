"""What tests do and no product code does: write chosen bytes, read any address, ask the kernel."""

from __future__ import annotations

import ctypes

from hsm_mpc.secure.arena import Arena, Secret, move_bytes


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


def bytes_at(arena: Arena, address: int, length: int) -> bytes:
    """`length` bytes at `address`, read in a window of the whole arena."""
    with arena.open():
        return at(address, length)


def address_of(secret: Secret) -> int:
    """The address of a slot, also outside of its window."""
    with secret.open() as pointer:
        return pointer


def is_mapped(address: int) -> bool:
    """Whether the kernel lists a mapping there."""
    with open("/proc/self/maps", encoding="ascii") as maps:
        ranges = [line.split()[0].split("-") for line in maps]
    return any(int(start, 16) <= address < int(end, 16) for start, end in ranges)


def accessible(arena: Arena) -> bool:
    """Whether the kernel lists the data pages as readable."""
    address = arena._address
    with open("/proc/self/maps", encoding="ascii") as maps:
        (rights,) = [line.split()[1] for line in maps if line.startswith(f"{address:x}-")]
    return rights != "---p" and rights != "---s"
