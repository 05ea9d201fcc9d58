"""Free room in a token, found by taking it and giving it back."""

from __future__ import annotations

from typing import Final

from hsm_mpc.hsm import objects, register_objects
from hsm_mpc.hsm.token import Token

OBJECTS_OF_A_WALLET: Final = 3
"""A wrapping key, and a register whose next state is written before the last one goes."""

_NAME: Final = "hsm-mpc/room/"
VALUE_BYTES: Final = 128
"""As long as a register gets."""


def try_room(token: Token) -> None:
    """Make as many objects as the next wallet needs, all at once, and destroy them again.

    What an interrupted look left is destroyed, too.

    Raises:
        BackendError: the token has no room for them, or does not answer.
    """
    names = [f"{_NAME}{number}".encode() for number in range(OBJECTS_OF_A_WALLET)]
    try:
        for name in names:
            register_objects.create(token, name, bytes(VALUE_BYTES))
    finally:
        _destroy(token, names)


def _destroy(token: Token, names: list[bytes]) -> None:
    for name in names:
        for found in register_objects.named(token, name):
            objects.destroy(token, found.handle, register_objects.OBJECT)
