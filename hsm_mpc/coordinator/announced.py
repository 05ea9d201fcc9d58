"""The channels that holders announced, kept so that they can be shown to other holders."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.errors import BadEncoding, HsmMpcError
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import CHANNEL


class AnnouncedChannels:
    """One coordinator's book of channels; used by several threads."""

    def __init__(self, links: HolderLinks, clock: Callable[[], int]) -> None:
        self._links = links
        self._clock = clock
        self._lock = threading.Lock()
        self._messages: dict[int, bytes] = {}
        self.keys: Final = KeyBook(links.roster, {})
        """Under the configured roster; the channels are those of every roster (`KeyBook.under`)."""

    def learn(self, index: int, keys: KeyBook) -> bool:
        """Ask holder `index` anew: it may have started again. False: no valid answer.

        Args:
            keys: `keys`, or under the roster of a wallet.
        """
        try:
            (source,) = self._links.ask(index, HolderMethod.CHANNEL, [])
            message = parse_envelope(source)
            if message.kind is not CHANNEL or message.address.sender != index:
                raise BadEncoding("not the channel of this holder")
            with self._lock:
                keys.learn(index, message.payload, self._clock())
                keys.verify(message, self._clock())
                self._messages[index] = source
        except (HsmMpcError, ValueError):
            return False
        return True

    def message(self, index: int) -> bytes | None:
        """The CHANNEL message of holder `index`, as it was announced last."""
        return self._messages.get(index)
