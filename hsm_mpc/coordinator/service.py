"""What a coordinator answers to clients: each method, from the parts of a call to those of its
answer. It knows no secret, and nobody has to believe it.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Final

from hsm_mpc.certificates.order import Order
from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.blame import told
from hsm_mpc.coordinator.creation import Creator
from hsm_mpc.coordinator.destruction import Destroyer
from hsm_mpc.coordinator.evidence import EvidenceFolder
from hsm_mpc.coordinator.keygen import CoSign, Relay
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.ordering import Orderer, WishedOrder
from hsm_mpc.coordinator.recovery import Recovery
from hsm_mpc.coordinator.refresh import Refresher
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.repair import Repairer
from hsm_mpc.coordinator.reshare import Resharer
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.signature_requests import SignatureRequests
from hsm_mpc.coordinator.wallets import Wallets
from hsm_mpc.encoding import Reader, u8
from hsm_mpc.errors import BadEncoding, BadInput, HsmMpcError
from hsm_mpc.ids import EpochHash
from hsm_mpc.wire.calls import Call, CoordinatorMethod, HolderMethod, answer_of, failure_of
from hsm_mpc.wire.envelope import unbundled
from hsm_mpc.wire.wallet_calls import Wish, indices_from_bytes, indices_to_bytes

_STATUS_SECONDS: Final = 3.0

_PAGE_BYTES: Final = 1 << 20
"""A page ends with the succession that fills it."""


class CoordinatorService:
    """One coordinator: `answer` is what its server calls, from several threads."""

    def __init__(
        self,
        links: HolderLinks,
        registry: Registry,
        number: int,
        sign: CoSign,
        clock: Callable[[], int],
        recovery: Recovery,
        evidence: EvidenceFolder,
        channels: AnnouncedChannels,
        refresher: Refresher,
        destroyer: Destroyer,
        repairer: Repairer,
        resharer: Resharer,
        orderer: Orderer,
    ) -> None:
        relay, rosters = Relay(links, number, sign, evidence), Rosters(channels.keys, registry)
        self._links = links
        self._registry = registry
        self._wallets = Wallets(registry, rosters, refresher, recovery, relay)
        self._creator = Creator(registry, rosters, relay, clock)
        self._signature_requests = SignatureRequests(
            links, channels, number, sign, clock, evidence, rosters, refresher, self._wallets
        )
        self._refresher = refresher
        self._destroyer = destroyer
        self._repairer = repairer
        self._resharer = resharer
        self._orderer = orderer
        self._destroying = threading.Lock()
        self._methods = {
            CoordinatorMethod.CREATE: self._create,
            CoordinatorMethod.LIST: self._list,
            CoordinatorMethod.SHOW: self._show,
            CoordinatorMethod.SIGN: self._sign_request,
            CoordinatorMethod.STATUS: self._status,
            CoordinatorMethod.REFRESH: self._refresh,
            CoordinatorMethod.SUCCESSIONS: self._successions,
            CoordinatorMethod.DESTROY: self._destroy,
            CoordinatorMethod.REPAIR: self._repair,
            CoordinatorMethod.RESHARE: self._reshare,
            CoordinatorMethod.PLAN_REPAIR: self._plan_repair,
            CoordinatorMethod.PLAN_ORDER: self._plan_order,
            CoordinatorMethod.ORDER: self._order,
        }

    def answer(self, source: bytes) -> bytes:
        """The answer to a call; never raises."""
        try:
            call = Call.from_bytes(source)
            if call.method not in self._methods:
                raise BadEncoding(f"method {call.method} is unknown")
            return answer_of(self._methods[CoordinatorMethod(call.method)](call.parts))
        except HsmMpcError as error:
            return failure_of(told(error, self._links.roster))
        except Exception as unexpected:
            traceback.print_exception(unexpected, file=sys.stderr)
            return failure_of(HsmMpcError(f"coordinator: {type(unexpected).__name__}"))

    def _create(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[wish, policy file] → the wallet."""
        wish, policy_file = _exactly(parts, 2)
        wallet = self._creator.create(Wish.from_bytes(wish), policy_file)
        return self._wallets.shown(self._wallets.confirmed(wallet))

    def _list(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[] → the names of all wallets."""
        _exactly(parts, 0)
        return tuple(wallet.name.encode("ascii") for wallet in self._registry.all())

    def _show(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name] → the wallet."""
        (encoded,) = _exactly(parts, 1)
        return self._wallets.shown(self._confirmed(encoded))

    def _refresh(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, who is not to be waited for or nothing] → the wallet in its new epoch."""
        encoded, absent = _exactly(parts, 2)
        confirmed = self._confirmed(encoded)
        roster = self._wallets.roster(confirmed)
        away = [self._links.name(place) for place in indices_from_bytes(absent)]
        self._refresher.refresh(confirmed, [roster.index_of(name) for name in away])
        return self._wallets.shown(confirmed)

    def _successions(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, epoch] → the successions behind that epoch, a page of them; none: that was all."""
        encoded, after = _exactly(parts, 2)
        reader = Reader(after, "epoch")
        epoch = reader.u32be()
        reader.end()
        page: list[bytes] = []
        for succession in self._refresher.epochs(self._wallets.named(encoded)).successions[epoch:]:
            page += succession.shown().to_parts()
            if sum(map(len, page)) >= _PAGE_BYTES:
                break
        return tuple(page)

    def _repair(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, whose share is lost, signatures or nothing] → the wallet, refreshed after the
        repair.
        """
        encoded, whose, signatures = _exactly(parts, 3)
        lost, confirmed = self._lost(whose), self._confirmed(encoded)
        self._repairer.repair(confirmed, lost, unbundled(signatures))
        return self._wallets.shown(confirmed)

    def _plan_repair(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, whose share is lost] → PLAN, body, roster, policy file."""
        encoded, whose = _exactly(parts, 2)
        lost, confirmed = self._lost(whose), self._confirmed(encoded)
        return self._repairer.plan(confirmed, lost).to_parts()

    def _lost(self, whose: bytes) -> str:
        """The name of one holder."""
        indices = indices_from_bytes(whose)
        if len(indices) != 1 or indices[0] not in self._links.indices:
            raise BadInput("a repair is of the share of one holder of the roster")
        return self._links.name(indices[0])

    def _reshare(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, threshold, holders] → the wallet, its key shared anew."""
        encoded, threshold, holders = _exactly(parts, 3)
        reader = Reader(threshold, "threshold")
        wanted = reader.u16be()
        reader.end()
        confirmed = self._confirmed(encoded)
        names = [self._links.name(place) for place in indices_from_bytes(holders)]
        self._resharer.reshare(confirmed, wanted, names)
        return self._wallets.shown(confirmed)

    def _plan_order(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, h', suspects, reason, u8(margin accepted)] → PLAN, body, roster, policy file."""
        encoded, successor, suspects, reason, accepted = _exactly(parts, 5)
        wished = WishedOrder(
            EpochHash(successor),
            indices_from_bytes(suspects),
            reason.decode("utf-8", "replace"),
            accepted == u8(1),
        )
        return self._orderer.plan(self._wallets.named(encoded), wished).to_parts()

    def _order(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, terms of ORDER, signatures or nothing] → the wallet, its epoch before retired."""
        encoded, terms, signatures = _exactly(parts, 3)
        wallet, order = self._wallets.named(encoded), Order.from_terms(terms)
        self._orderer.order(wallet, order, unbundled(signatures))
        return self._wallets.shown(wallet)

    def _destroy(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, reason] → the wallet, with what every holder says that has destroyed it. It need
        not be active.
        """
        encoded, reason = _exactly(parts, 2)
        wallet = self._wallets.named(encoded)
        with self._destroying:  # whoever asks at the same time is told of the same plan
            epochs = self._refresher.advance(wallet)  # who was away comes to the newest epoch
            adopted = epochs.adopted()
            newest = epochs.first if adopted is None else adopted.body
            self._destroyer.destroy(wallet, newest, reason.decode("utf-8", "replace"))
        return self._wallets.shown(wallet)

    def _sign_request(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[REQ, signers or nothing] → [signature, signers, h_e]."""
        request, wanted = _exactly(parts, 2)
        return self._signature_requests.signed(request, wanted)

    def _status(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[] → the indices of the holders that answer."""
        _exactly(parts, 0)
        asked = self._links.ask_each(HolderMethod.CHANNEL, [], _STATUS_SECONDS)
        there = [index for index, answer in asked.items() if not isinstance(answer, HsmMpcError)]
        return (indices_to_bytes(there),)

    def _confirmed(self, encoded: bytes) -> Registered:
        """The wallet of this name, which all its holders have confirmed."""
        return self._wallets.confirmed(self._wallets.named(encoded))


def _exactly(parts: tuple[bytes, ...], count: int) -> tuple[bytes, ...]:
    if len(parts) != count:
        raise BadEncoding(f"a call with {len(parts)} parts instead of {count}")
    return parts
