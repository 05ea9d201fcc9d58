"""`token init`: an empty token gets its label and its PINs, through the module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hsm_mpc.app.holder import load_module, shielded
from hsm_mpc.config import load_holder
from hsm_mpc.errors import BadInput
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.secure.arena import Arena


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A token that is ready for `holder init`."""

    label: str
    serial: str


def create(config_path: Path, so_pin_source: str, prompt: bool) -> CreatedToken:
    """Initialise the configured token, which must be empty.

    Raises:
        NameTaken: a token of this label is there, with its PIN set.
        BackendError: no empty token, or the module does not answer.
        BadInput: a PIN would have to be asked for, and nobody may be asked.
    """
    config = load_holder(config_path)
    so_source, user_source = PinSource.parse(so_pin_source), PinSource.parse(config.hsm.pin_source)
    if not prompt and "prompt" in (so_source.kind, user_source.kind):
        raise BadInput("a PIN would be asked for on the terminal, and --no-input forbids it")

    arena = Arena(config.memory.kib * 1024, config.memory.backend)
    module = load_module(config)
    so_pin = so_source.read(arena, f"security officer's PIN for token {config.hsm.token}: ").secret
    user_pin = user_source.read(arena, f"user PIN for token {config.hsm.token}: ").secret
    try:
        created = shielded(lambda: module.create_token(config.hsm.token, so_pin, user_pin))
    finally:
        arena.close()
    return CreatedToken(created.label, created.serial_text)
