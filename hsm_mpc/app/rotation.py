"""`holder rotate-identity`: another identity key in the same HSM (step 6.7.9)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.app.acting import Desks
from hsm_mpc.app.admin import asked
from hsm_mpc.app.shares import at_rest
from hsm_mpc.config import load_holder


@dataclass(frozen=True, slots=True)
class Rotated:
    """How far it has come.

    `state`: "offered": the others are asked with the next refresh; "turned": the new key signs, and
    the old one goes once all others have it; "done": it is gone.
    """

    name: str
    state: Literal["offered", "turned", "done"]
    old_key: str
    """In hex."""
    identity_key: str
    """The new one, in hex."""
    wallets: tuple[str, ...]
    """Whose rosters it changes."""


def is_under_way(config_path: Path, prompt: bool) -> bool:
    """Whether `rotate` goes on with one, and makes no key."""
    running = asked(load_holder(config_path), AdminMethod.ROTATION_UNDER_WAY, bool)
    if running is not None:
        return running
    return at_rest(config_path, prompt, lambda _, desks: desks.rotations.is_under_way())


def rotate(config_path: Path, prompt: bool) -> Rotated:
    """Make the new key, and what the other holders are told; a repeat says how far it has come.

    Raises:
        NotReady: a wallet is not active.
        Refused: `other-roster`: a wallet has another key of this holder.
    """
    running = asked(load_holder(config_path), AdminMethod.ROTATE_IDENTITY, Rotated)
    if running is not None:
        return running
    return at_rest(config_path, prompt, lambda _, desks: rotated(desks))


def rotated(desks: Desks) -> Rotated:
    """As `rotate`, at a holder that is at work."""
    state = desks.rotations.begin()
    return Rotated(
        name=desks.holder.roster.member(desks.holder.me).name,
        state="done" if state.ended else "turned" if state.turned else "offered",
        old_key=state.known_key.encoded.hex(),
        identity_key=state.identity_key.encoded.hex(),
        wallets=state.wallets,
    )
