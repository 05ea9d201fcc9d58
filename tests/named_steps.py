"""The named steps of the product (hsm_mpc/steps.py), as tests watch them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hsm_mpc import steps

HSM_QUESTIONS: Final = frozenset(
    {
        "administration.open",
        "key.decrypt",
        "key.encrypt",
        "key.sign",
        "key.wrap",
        "module.finalise",
        "module.initialise",
        "module.info",
        "module.slots",
        "object.find",
        "object.read",
        "session.open",
        "token.info",
        "token.login-so",
        "token.random",
        "token.state",
    }
)
"""Calls of the HSM that leave the token as it was."""

HSM_CHANGES: Final = frozenset(
    {
        "key.destroy",
        "key.generate",
        "register.create",
        "register.destroy",
        "token.change-so-pin",
        "token.initialise",
        "token.login",
        "token.set-pin",
    }
)
"""Calls that do not; a login counts, for the token counts wrong ones."""

HSM: Final = HSM_QUESTIONS | HSM_CHANGES

_WITHOUT_EFFECT: Final = frozenset(
    {"make", "write", "sync", "tidy", "unlink-sync", "hide-sync", "empty"}
)


def is_without_effect(name: str) -> bool:
    """Whether the next start of a holder finds the same after this step as before it: an empty
    folder, a file that it sweeps away; or what counts only where the machine itself fails, for a
    death keeps what was written.
    """
    return name.rpartition(".")[2] in _WITHOUT_EFFECT


def nothing_happens(_when: str, _name: str) -> None:
    """The observer of steps that nobody interferes with."""


@contextmanager
def observed(observer: steps.Observer) -> Iterator[None]:
    """`observer` is called around every step of the body."""
    steps.observe(observer)
    try:
        yield
    finally:
        steps.observe(None)


@contextmanager
def changes_seen() -> Iterator[list[str]]:
    """`before NAME` and `after NAME` of every step of the body that changes disk or token."""
    seen: list[str] = []

    def note(when: str, name: str) -> None:
        if name not in HSM_QUESTIONS:
            seen.append(f"{when} {name}")

    with observed(note):
        yield seen
