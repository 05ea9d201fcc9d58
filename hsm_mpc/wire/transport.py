"""How a caller reaches a holder's front or a coordinator, whatever carries the bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Answer = Callable[[bytes], bytes]
"""What a server does with a call's bytes: give the answer's. It never raises."""


class Transport(Protocol):
    """One link to one peer. Used by several threads at once."""

    def call(self, method: int, parts: Sequence[bytes], timeout: float) -> tuple[bytes, ...]:
        """The results of `method` at the peer.

        Raises:
            BackendError: the peer cannot be reached, or not within `timeout` seconds.
            HsmMpcError: what the peer says went wrong.
        """

    def close(self) -> None:
        """Give the link up."""
