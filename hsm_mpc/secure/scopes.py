"""What the arena gives to `with`: slots and working memory that are wiped at the end of a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hsm_mpc.errors import BackendError
from hsm_mpc.secure.secret import Secret, Slot, release_all

if TYPE_CHECKING:
    from hsm_mpc.secure.arena import Arena

Take = Callable[[int], Secret]


class Scope:
    """`Arena.scope`: slots that are wiped and given back at the end, also when the body raises."""

    __slots__ = ("_arena", "_over", "_taken")

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._taken: list[Secret] = []
        self._over = False

    def __enter__(self) -> Take:
        return self._take

    def __exit__(self, *_: object) -> None:
        self._over = True
        release_all(self._taken)

    def _take(self, size: int) -> Secret:
        if self._over:
            raise BackendError("a scope of secrets was used after its end", retryable=False)
        secret = self._arena.take(size)
        self._taken.append(secret)
        return secret


class Room:
    """`Arena.room`: working memory for the body, accessible by its address."""

    __slots__ = ("_arena", "_size", "_slot")

    def __init__(self, arena: Arena, size: int) -> None:
        self._arena = arena
        self._size = size
        self._slot: Slot | None = None

    def __enter__(self) -> int:
        if self._slot is not None:
            raise BackendError("working memory was entered twice", retryable=False)
        self._slot = self._arena._enter_new(self._size)
        return self._slot.pointer

    def __exit__(self, *_: object) -> None:
        slot = self._slot
        if slot is not None and not slot.released:
            self._arena._leave_and_release(slot)
