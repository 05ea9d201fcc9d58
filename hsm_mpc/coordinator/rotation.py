"""Rotation of an identity key at the relay: it carries what proves itself (step 6.7.9)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.coordinator.consents import require_consented
from hsm_mpc.coordinator.keygen import CoSign
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.encoding import u8
from hsm_mpc.errors import BadInput, HsmMpcError, NotReady, reason_of
from hsm_mpc.ids import WalletId
from hsm_mpc.succession.amendment import Rotated
from hsm_mpc.succession.dones import done_in
from hsm_mpc.wire.about_wallets import address_about
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.envelope import seal_envelope
from hsm_mpc.wire.rounds import ROTATE, Key

_TURNED: Final = u8(1)

Newest = Callable[[WalletId], EpochBody | None]
"""The newest certified epoch of a wallet; None: it is not registered here."""


class Rotations:
    """Tells all holders of a new identity key of one of them; used by several threads."""

    def __init__(
        self,
        links: HolderLinks,
        registry: Registry,
        rosters: Rosters,
        number: int,
        sign: CoSign,
        newest: Newest,
        report: Callable[[str], None],
    ) -> None:
        self._links = links
        self._registry = registry
        self._rosters = rosters
        self._number = number
        self._sign = sign
        self._newest = newest
        self._report = report
        self._lock = threading.Lock()

    def carry(self, present: Sequence[int]) -> None:
        """Those of holders that are `present`, as far as each goes now; what keeps one from going
        on is said, and nobody waits for it.

        Raises:
            BackendError: the disk fails.
        """
        with self._lock:
            asked = self._links.ask_each(HolderMethod.ROTATION, [], among=present)
            for place, answer in asked.items():
                try:
                    if isinstance(answer, NotReady):
                        raise answer
                    if not isinstance(answer, HsmMpcError) and answer:
                        rotates = [Rotate.from_bytes(source) for source in answer[1:]]
                        self._carried(place, answer[0] == _TURNED, rotates)
                except (HsmMpcError, ValueError) as stopped:
                    name = self._links.name(place)
                    self._report(f"rotation of the identity key of {name}: {reason_of(stopped)}")

    def _carried(self, place: int, is_turned: bool, rotates: Sequence[Rotate]) -> None:
        """Everybody would take the new key → the holder turns to it → everybody has it.

        Raises:
            NotReady: some operators have not consented yet, or some have not taken it.
            BadInput: it tells of another holder's key.
            Refused, Tampered, BackendError: what the holder says whose key it is.
        """
        told = [(rotate, self._links_of(rotate, place)) for rotate in rotates]
        if not is_turned:
            for rotate, links in told:
                self._require_willing(rotate, links)
        self._links.ask(place, HolderMethod.TURN, [])
        taken = [message for rotate, links in told for message in self._taken(rotate, links)]
        self._links.ask(place, HolderMethod.TURNED, taken)

    def _links_of(self, rotate: Rotate, place: int) -> HolderLinks:
        """To the holders of that wallet. Raises: BadInput."""
        body, links = self._newest(rotate.wallet_id), self._links
        if body is not None:
            links = links.seated(self._rosters.of_epoch(body))
        if links.name(rotate.index) != self._links.name(place):
            raise BadInput("it tells of another holder's key")
        return links

    def _require_willing(self, rotate: Rotate, links: HolderLinks) -> None:
        """Raises: NotReady: some would not take it now; it says why."""
        others = [index for index in links.indices if index != rotate.index]
        asked = links.ask_each(HolderMethod.CONSIDER, [self._said(rotate)], among=others)
        willing = dict[int, bytes]()
        unwilling = dict[str, HsmMpcError]()
        for index, answer in asked.items():
            if isinstance(answer, HsmMpcError):
                unwilling[links.name(index)] = answer
            else:
                willing[index] = b"".join(answer)
        if unwilling:
            said = "; ".join(f"{name}: {failure}" for name, failure in unwilling.items())
            raise NotReady(f"wallet {rotate.wallet_id.hex()}: {said}", list(unwilling))
        require_consented(links, Plan.of(rotate), willing)

    def _taken(self, rotate: Rotate, links: HolderLinks) -> Iterator[bytes]:
        """AMENDED of each that answers; the registry has it, too."""
        amendment = Rotated(rotate).to_bytes()
        body = self._newest(rotate.wallet_id)
        if body is not None:
            self._rosters.amend(body.terms, amendment)
            with suppress(HsmMpcError):  # its share does not open: what it says next will do
                self._learn_done(rotate, body, links)
        asked = [rotate.wallet_id, amendment]
        others = [index for index in links.indices if index != rotate.index]
        for answer in links.ask_each(HolderMethod.AMEND, asked, among=others).values():
            if not isinstance(answer, HsmMpcError):
                yield from answer

    def _learn_done(self, rotate: Rotate, body: EpochBody, links: HolderLinks) -> None:
        """What the holder has said again by its new key: whoever deals reaches it by that."""
        wallet_id, h, index = rotate.wallet_id, body.hash, rotate.index
        _, _, done, _ = links.ask(index, HolderMethod.DOCUMENTS, [wallet_id, h])
        if done_in(done, index, body, self._rosters.newest(body.terms)).epoch_hash == h:
            self._registry.keep_repaired(wallet_id, h, index, done)

    def _said(self, rotate: Rotate) -> bytes:
        address = address_about(rotate.wallet_id, rotate.epoch_hash, self._number)
        payload = rotate.to_bytes()
        return seal_envelope(ROTATE, address, payload, Key.COORDINATOR, self._sign).to_bytes()
