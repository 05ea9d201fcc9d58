"""`Secret`: a slot of protected memory, and the only three ways in which bytes come and go.

Slot layout: canary[16] ‖ payload ‖ canary[16], rounded up to 16 bytes; the payload starts 16-byte
aligned and the second canary follows its last byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from hsm_mpc.errors import BadInput
from hsm_mpc.secure import sodium

if TYPE_CHECKING:
    from hsm_mpc.secure.arena import Arena

CANARY_BYTES: Final = 16
_ALIGNMENT: Final = 16


class Slot:
    """Where a secret lies. `with slot as pointer`: the arena is accessible inside.

    It knows nothing of its `Secret`, so that dropping the `Secret` is seen at once.
    """

    __slots__ = ("_arena", "intact", "length", "offset", "pointer", "released", "size", "windows")

    def __init__(self, arena: Arena, offset: int, size: int, length: int) -> None:
        self._arena = arena
        self.offset = offset
        self.size = size
        self.length = length  # with canaries, rounded up
        self.pointer = arena._address + offset + CANARY_BYTES
        self.windows = 0
        self.released = False
        self.intact: bool | None = None
        """Whether nobody wrote beyond it; found out when it is wiped."""

    def __enter__(self) -> int:
        self._arena._enter((self,))
        return self.pointer

    def __exit__(self, *_: object) -> None:
        self._arena._leave((self,))


class Secret:
    """`size` bytes of protected memory that nobody can print, compare, copy or pickle."""

    __slots__ = ("__weakref__", "_slot", "arena", "size")

    def __init__(self, arena: Arena, slot: Slot) -> None:
        self.arena: Final = arena
        self.size: Final = slot.size
        self._slot = slot

    def open(self) -> Slot:
        """`with secret.open() as pointer`: the address of the payload, valid only inside.

        Raises:
            BackendError: on entering, when it was released, or in a forked child.
        """
        return self._slot

    def wipe(self) -> None:
        """Overwrite the payload with zeros; the slot stays usable."""
        with self.open() as pointer:
            sodium.move_public(pointer, bytes(self.size))

    def release(self) -> None:
        """Wipe the payload and give the slot back; a second call does nothing.

        No new window opens from now on. Where one is open (in any thread), wiping waits until it
        closes: whoever computes with a secret never sees it turn to zeros, or into another one.

        Raises:
            Tampered: somebody wrote beyond the slot's end or before its start.
        """
        if not self._slot.released:
            self.arena._release((self._slot,))

    def __del__(self) -> None:
        if hasattr(self, "_slot"):
            self.arena._abandon(self._slot)

    def __repr__(self) -> str:
        return f"<Secret of {self.size} bytes>"

    def _forbidden(self, *_: Any) -> NoReturn:
        raise TypeError("a secret can be neither compared, copied, converted nor pickled")

    # Where Python has an answer of its own; to all the rest (hash, <, bytes, iter) it has none.
    __eq__ = __bool__ = __reduce__ = _forbidden


class Window:
    """What `opened` gives."""

    __slots__ = ("_arena", "_slots")

    def __init__(self, arena: Arena, slots: list[Slot]) -> None:
        self._arena = arena
        self._slots = slots

    def __enter__(self) -> list[int]:
        self._arena._enter(self._slots)
        return [slot.pointer for slot in self._slots]

    def __exit__(self, *_: object) -> None:
        self._arena._leave(self._slots)


def opened(*secrets: Secret) -> Window:
    """`with opened(one, other) as (first, second)`: one window for secrets of one arena.

    It costs about as much as the window of a single one.

    Raises:
        BadInput: they lie in different arenas.
    """
    arena = secrets[0].arena
    slots = []
    for secret in secrets:
        if secret.arena is not arena:
            raise BadInput("one window opens secrets of one arena")
        slots.append(secret._slot)
    return Window(arena, slots)


def release_all(secrets: Sequence[Secret]) -> None:
    """Release all of them, whatever the release of one raises."""
    if secrets:
        arena = secrets[0].arena
        try:
            arena._release([secret._slot for secret in secrets if secret.arena is arena])
        finally:
            release_all([secret for secret in secrets if secret.arena is not arena])


def copy(target: Secret, source: Secret) -> None:
    """Copy `source` over the first bytes of `target` (step 1.8.5)."""
    if source.size > target.size:
        raise BadInput(f"{source.size} bytes of a secret for a slot of {target.size}")
    with opened(target, source) as (to, origin):
        move_bytes(to, origin, source.size)


def move_bytes(target: int, source: int | bytes, length: int) -> None:
    """memmove by pointer; `source` as bytes only for public values. Both windows are open.

    Raises:
        BadInput: fewer bytes than `length`; what lies behind them would be copied too.
    """
    if isinstance(source, bytes) and len(source) < length:
        raise BadInput(f"{len(source)} bytes where {length} are to be copied")
    sodium.move(target, source, length)


def move_public(target: int, content: bytes) -> None:
    """All of `content`, which is nobody's secret, to the address `target` in an open window."""
    sodium.move_public(target, content)


def publish(secret: Secret) -> bytes:
    """The payload as ordinary bytes: the only way out of protected memory.

    Only for what a protocol step has made public ("release" in docs/protocols); the caller names
    that step.
    """
    with secret.open() as pointer:
        return publish_at(pointer, secret.size)


def publish_at(address: int, length: int) -> bytes:
    """`publish` of a part, or of working memory, by its address in an open window."""
    return sodium.bytes_at(address, length)


def slot_length(size: int) -> int:
    if size <= 0:
        raise BadInput(f"a secret of {size} bytes")
    return -(-(size + 2 * CANARY_BYTES) // _ALIGNMENT) * _ALIGNMENT
