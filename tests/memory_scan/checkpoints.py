"""Where a scanned process stops: it writes a line and waits for a byte."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, Final

from hsm_mpc.sealing import sealed as sealing
from hsm_mpc.sealing.sealed import SealedShare
from hsm_mpc.secure.arena import Secret

Step = Callable[[Secret], None]

_told: Final[list[str]] = []


def tell(fact: str) -> None:
    """Say something public, from which the scanner finds out what to look for from now on."""
    _told.append(fact)


def checkpoint(name: str) -> None:
    """Say where we are and what was told since the last time; wait until the scanner has looked."""
    os.write(1, "\t".join((name, *_told)).encode() + b"\n")
    _told.clear()
    if not os.read(0, 1):
        os._exit(1)  # nobody looks any more


def checkpoint_with_registers(piece: bytes) -> None:
    """A checkpoint at which general and vector registers hold 8 bytes of a secret."""
    byte = ctypes.create_string_buffer(1)
    numbers = [ctypes.c_int64.from_buffer_copy(piece)] * 3
    reals = [ctypes.c_double.from_buffer_copy(piece)] * 4
    os.write(1, b"registers filled\n")
    ctypes.CDLL(None).read(0, byte, ctypes.c_size_t(1), *numbers, *reals)


@contextmanager
def replaced(owner: object, name: str, stand_in: object) -> Iterator[Any]:
    """`owner.name` is something else meanwhile; what it was."""
    honest = getattr(owner, name)
    setattr(owner, name, stand_in)
    try:
        yield honest
    finally:
        setattr(owner, name, honest)


@contextmanager
def around_the_content(before: Step, after: Step) -> Iterator[None]:
    """Call `before` once `unseal` has the data key, and `after` once it has the share too."""

    def watched(sealed: SealedShare, data_key: Secret, into: Secret) -> None:
        before(data_key)
        open_content(sealed, data_key, into)
        after(into)

    with replaced(sealing, "_open_content", watched) as open_content:
        yield


@contextmanager
def stopping_after(module: ModuleType, function: str, name: str) -> Iterator[None]:
    """A checkpoint at the very moment when `function` returns: what it leaves is still there."""

    def stopping(*arguments: object) -> object:
        result = honest(*arguments)
        checkpoint(name)
        return result

    with replaced(module, function, stopping) as honest:
        yield


@contextmanager
def stopping_after_each(steps: Iterable[tuple[Any, str, str]]) -> Iterator[None]:
    """A checkpoint after each call that reads a secret or writes one: these, and of an opening.

    A step is a module, its function, and what has happened when it returns.
    """
    with ExitStack() as stack:
        for module, function, name in steps:
            stack.enter_context(stopping_after(module, function, name))
        stack.enter_context(around_the_content(stop_unwrapped, stop_opened))
        yield


def stop_unwrapped(_: Secret) -> None:
    checkpoint("data key unwrapped")


def stop_opened(_: Secret) -> None:
    checkpoint("share opened")
