"""How the epochs of a wallet followed each other, as a coordinator tells it page by page."""

from __future__ import annotations

from typing import Final

from hsm_mpc.client.link import CoordinatorLink
from hsm_mpc.encoding import u32be
from hsm_mpc.errors import BadEncoding
from hsm_mpc.wire.calls import CoordinatorMethod
from hsm_mpc.wire.wallet_calls import ShownSuccession, successions_from_parts

_MOST_EPOCHS: Final = 20_000
"""One each hour for two years."""
LARGEST_CHAIN: Final = 1 << 29
"""Bytes: so many epochs of ten holders have fewer."""


def successions_told(link: CoordinatorLink, name: bytes) -> tuple[ShownSuccession, ...]:
    """Those of the wallet called `name`, to be verified.

    Raises:
        BadEncoding: the coordinator tells of epochs for ever.
        Others: as `CoordinatorLink.called`.
    """
    successions: list[ShownSuccession] = []
    room = LARGEST_CHAIN
    while True:
        after = [name, u32be(len(successions))]
        parts = link.called(CoordinatorMethod.SUCCESSIONS, after)
        room -= sum(map(len, parts))
        if len(successions) > _MOST_EPOCHS:
            raise BadEncoding(f"the coordinator tells of more than {_MOST_EPOCHS} epochs")
        if room < 0:
            raise BadEncoding(f"the coordinator tells more than {LARGEST_CHAIN} bytes")
        if not parts:
            return tuple(successions)
        successions += successions_from_parts(parts)
