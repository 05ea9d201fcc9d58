"""How kinds of tokens depart from the standard where a new one is taken over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.hsm.token import TokenInfo


@dataclass(frozen=True, slots=True)
class Profile:
    """What is peculiar to one kind of token."""

    manufacturer: str
    """What its name in CK_TOKEN_INFO begins with."""
    factory_so_pin: bytes | None = None
    """The security officer's PIN of a new token, which everybody knows; None: he brings his own."""
    bears_its_label: bool = False
    """A new token has its label from the module's parameters: C_InitToken would only erase it."""
    changes_alone: bool = False
    """No other thread may be in the module while one makes or destroys objects."""


STANDARD: Final = Profile("")
SOFTHSM: Final = Profile("SoftHSM", changes_alone=True)
"""Version 2.6.1 fails to make an object that another thread just finds (SoftHSMv2 issue 573)."""
NSS: Final = Profile("Mozilla Foundation", factory_so_pin=b"", bears_its_label=True)
"""The officer's PIN of a new token is empty, and nobody is its officer once the user PIN is set."""
OPENCRYPTOKI: Final = Profile("IBM", factory_so_pin=b"87654321", changes_alone=True)
"""Version 3.8.1 crashes otherwise, and its list of objects is cut short on disk."""


def profile_of(token: TokenInfo) -> Profile:
    """By what the token says of its manufacturer."""
    for profile in (SOFTHSM, NSS, OPENCRYPTOKI):
        if token.manufacturer.startswith(profile.manufacturer):
            return profile
    return STANDARD
