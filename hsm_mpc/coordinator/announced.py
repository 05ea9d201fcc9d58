"""The channels that holders announced, kept so that they can be shown to other holders."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.errors import BadEncoding, HsmMpcError
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook


class AnnouncedChannels:
    """One coordinator's book of channels; used by several threads."""

    def __init__(self, links: HolderLinks, clock: Callable[[], int]) -> None:
        self._links = links
        self._clock = clock
        self._lock = threading.Lock()
        self._messages: dict[str, bytes] = {}
        self.keys: Final = KeyBook(links.roster, {})
        """Under the configured roster; the channels are those of every roster (`KeyBook.under`)."""

    def learn(self, index: int, keys: KeyBook) -> bool:
        """Ask holder `index` anew: it may have started again. False: no valid answer.

        Args:
            keys: `keys`, or under the roster of a wallet, in which the holder is counted.
        """
        name = keys.roster.member(index).name
        try:
            place = self._links.roster.index_of(name)
            (source,) = self._links.ask(place, HolderMethod.CHANNEL, [])
            with self._lock:
                if keys.learn_message(source, self._clock()) != index:
                    raise BadEncoding("not the channel of this holder")
                self._messages[name] = source
        except (HsmMpcError, ValueError):
            return False
        return True

    def message(self, name: str) -> bytes | None:
        """The CHANNEL message of the holder of this name, as it was announced last."""
        return self._messages.get(name)
