"""What a coordinator does for clients. It knows no secret, and nobody has to believe it."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache, partial
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import wallet_id_of
from hsm_mpc.coordinator.announced import AnnouncedChannels
from hsm_mpc.coordinator.consents import PLAN_SECONDS, WaitingPlans
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
from hsm_mpc.coordinator.signing import Signed, SigningRun
from hsm_mpc.coordinator.successions import first_body
from hsm_mpc.encoding import Reader, u8
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    BadInput,
    Declined,
    HsmMpcError,
    InvalidSignature,
    NameTaken,
    NotReady,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
)
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.policy.facts import facts_of
from hsm_mpc.protocols.wallet_key import WalletKey
from hsm_mpc.protocols.wallet_keys import wallet_key_of
from hsm_mpc.requests import Request
from hsm_mpc.roster import FIRST_PREDECESSOR, Roster
from hsm_mpc.wire.calls import Call, CoordinatorMethod, HolderMethod, answer_of, failure_of
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.destroyed import wallet_destroyed_in
from hsm_mpc.wire.envelope import unbundled
from hsm_mpc.wire.wallet_calls import Shown, Wish, indices_from_bytes, indices_to_bytes

SIGNING_SECONDS: Final = 30.0
"""How long a signature may wait for holders that are too slow."""

_STATUS_SECONDS: Final = 3.0

_BEGUN_BEFORE: Final = "session-over"
"""What a holder says of a plan that was carried out once, and came to nothing."""

_PAGE_BYTES: Final = 1 << 20
"""A page ends with the succession that fills it."""

_WALLETS_KEPT: Final = 256


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
        self._links = links
        self._registry = registry
        self._number = number
        self._sign = sign
        self._clock = clock
        self._relay = Relay(links, number, sign, evidence)
        self._channels = channels
        self._rosters = Rosters(channels.keys, registry)
        self._refresher = refresher
        self._destroyer = destroyer
        self._repairer = repairer
        self._resharer = resharer
        self._orderer = orderer
        self._plans = WaitingPlans(registry, clock)
        self._recovery = recovery
        self._evidence = evidence
        self._lock = threading.Lock()
        self._being_made: set[str] = set()
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
            return failure_of(error)
        except Exception as unexpected:
            traceback.print_exception(unexpected, file=sys.stderr)
            return failure_of(HsmMpcError(f"coordinator: {type(unexpected).__name__}"))

    # Wallets

    def _create(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[wish, policy file] → the wallet."""
        wish_bytes, policy_file = _exactly(parts, 2)
        wish = Wish.from_bytes(wish_bytes)
        with self._reserved(wish.name):
            proposal = self._agreed(wish, policy_file)
            certificate = self._relay_to(proposal.roster).certificate(proposal, policy_file)
            self._rosters.begin(certificate.body.terms, proposal.roster)
            encoded = certificate.to_bytes()
            wallet = Registered(wish.name, certificate.body.terms.wallet_id, encoded, ())
            self._registry.add(wallet)
            self._plans.drop(proposal)
        return self._confirmed(wallet)

    def _show(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name] → the wallet."""
        (encoded,) = _exactly(parts, 1)
        return self._confirmed(self._named(encoded))

    def _refresh(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, who is not to be waited for or nothing] → the wallet in its new epoch."""
        encoded, absent = _exactly(parts, 2)
        wallet = self._named(encoded)
        self._confirmed(wallet)
        confirmed = self._named(encoded)
        with self._seated(confirmed) as roster:
            away = [self._links.name(place) for place in indices_from_bytes(absent)]
            seats = [roster.index_of(name) for name in away]
            self._refresher.refresh(confirmed, seats)
            return self._shown(confirmed)

    def _successions(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, epoch] → the successions behind that epoch, a page of them; none: that was all."""
        encoded, after = _exactly(parts, 2)
        reader = Reader(after, "epoch")
        epoch = reader.u32be()
        reader.end()
        page: list[bytes] = []
        for succession in self._refresher.epochs(self._named(encoded)).successions[epoch:]:
            page += succession.shown().to_parts()
            if sum(map(len, page)) >= _PAGE_BYTES:
                break
        return tuple(page)

    def _repair(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, whose share is lost, signatures or nothing] → the wallet, refreshed after the
        repair.
        """
        encoded, whose, signatures = _exactly(parts, 3)
        lost, wallet = self._lost(whose), self._named(encoded)
        self._confirmed(wallet)
        confirmed = self._named(encoded)
        with self._seated(confirmed):
            self._repairer.repair(confirmed, lost, unbundled(signatures))
            return self._shown(confirmed)

    def _plan_repair(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, whose share is lost] → PLAN, body, roster, policy file."""
        encoded, whose = _exactly(parts, 2)
        lost, wallet = self._lost(whose), self._named(encoded)
        self._confirmed(wallet)
        return self._repairer.plan(self._named(encoded), lost).to_parts()

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
        wallet = self._named(encoded)
        self._confirmed(wallet)
        confirmed = self._named(encoded)
        with self._seated(confirmed):
            names = [self._links.name(place) for place in indices_from_bytes(holders)]
            self._resharer.reshare(confirmed, wanted, names)
            return self._shown(confirmed)

    def _plan_order(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, h', suspects, reason, u8(margin accepted)] → PLAN, body, roster, policy file."""
        encoded, successor, suspects, reason, accepted = _exactly(parts, 5)
        wished = WishedOrder(
            EpochHash(successor),
            indices_from_bytes(suspects),
            reason.decode("utf-8", "replace"),
            accepted == u8(1),
        )
        return self._orderer.plan(self._named(encoded), wished).to_parts()

    def _order(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, terms of ORDER, signatures or nothing] → the wallet, its epoch before retired."""
        encoded, terms, signatures = _exactly(parts, 3)
        wallet, order = self._named(encoded), Order.from_terms(terms)
        self._orderer.order(wallet, order, unbundled(signatures))
        return self._shown(wallet)

    def _destroy(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[name, reason] → the wallet, with what every holder says that has destroyed it. It need
        not be active.
        """
        encoded, reason = _exactly(parts, 2)
        wallet = self._named(encoded)
        with self._destroying:  # whoever asks at the same time is told of the same plan
            epochs = self._refresher.advance(wallet)  # who was away comes to the newest epoch
            adopted = epochs.adopted()
            newest = epochs.first if adopted is None else adopted.body
            self._destroyer.destroy(wallet, newest, reason.decode("utf-8", "replace"))
        return self._shown(wallet)

    @contextmanager
    def _seated(self, wallet: Registered) -> Iterator[Roster]:
        """The roster of those who hold a wallet now. Clients count holders as in the
        pinned one: whom the others blame is told by his place there.
        """
        roster = self._rosters.of_epoch(self._refresher.held(wallet))
        try:
            yield roster
        except ProtocolAbort as abort:
            known = [seat for seat in abort.culprits if 1 <= seat <= roster.n]
            places = self._links.places(known, roster)  # who lies may name nobody
            raise ProtocolAbort(str(abort), places) from abort

    def _relay_to(self, roster: Roster) -> Relay:
        """To the holders of one wallet."""
        return replace(self._relay, links=self._links.seated(roster))

    def _relay_of(self, wallet: Registered) -> Relay:
        return self._relay_to(self._rosters.of_epoch(first_body(wallet.certificate)))

    def _named(self, encoded: bytes) -> Registered:
        name = encoded.decode("ascii", "replace")
        wallet = self._found(lambda: self._registry.named(name))
        if wallet is None:
            raise BadInput(f"no wallet called {name!r}")
        return wallet

    def _list(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[] → the names of all wallets."""
        _exactly(parts, 0)
        return tuple(wallet.name.encode("ascii") for wallet in self._registry.all())

    def _confirmed(self, wallet: Registered) -> tuple[bytes, ...]:
        """Certificate and all DONEs; what is missing is asked for again (step 2.6.8).

        Raises:
            NotReady: a holder has not confirmed, and does not answer now.
        """
        if not wallet.dones:
            try:
                dones = self._relay_of(wallet).confirm(Certificate.from_bytes(wallet.certificate))
            except QuorumUnreachable as silent:
                raise NotReady(
                    f"wallet {wallet.name} is certified, not active: {silent}", silent.waiting_for
                ) from silent
            self._registry.confirm(wallet.wallet_id, dones)
            wallet = replace(wallet, dones=dones)
        return self._shown(wallet)

    def _shown(self, wallet: Registered) -> tuple[bytes, ...]:
        """A wallet for a client, in the newest epoch that a quorum has adopted."""
        epochs, lineage = self._refresher.told(wallet)
        ended = self._ended(wallet)
        return Shown(wallet.certificate, wallet.dones, ended, epochs.shown(), lineage).to_parts()

    def _ended(self, wallet: Registered) -> tuple[bytes, ...]:
        """DESTROYED of those that have not got a share again since, on another HSM."""
        keys = self._rosters.newest(first_body(wallet.certificate).terms)
        said = self._registry.destroyed(wallet.wallet_id).values()
        return tuple(each for each in said if _is_said(each, wallet.wallet_id, keys))

    def _found(self, look: Callable[[], Registered | None]) -> Registered | None:
        """What `look` finds in the registry, after a second look at what holders have."""
        wallet = look()
        if wallet is None:
            self._recovery.from_all()
            wallet = look()
        return wallet

    def _agreed(self, wish: Wish, policy_file: bytes) -> Proposal:
        """What every holder would take part in now: the plan that people are consenting to as long
        as the same is wished for.

        Raises: as `Relay.require_consents`.
        """
        wished = partial(self._proposal, wish, policy_file)
        planned = self._plans.like(wish.name, wished)
        if planned is not None:
            try:
                self._relay_to(planned.roster).require_consents(planned, policy_file)
            except Refused as refused:
                self._plans.drop(planned)
                if refused.rule != _BEGUN_BEFORE:
                    raise
            else:
                return planned
        proposal = wished(os.urandom(32), self._clock() + PLAN_SECONDS)
        try:
            self._relay_to(proposal.roster).require_consents(proposal, policy_file)
        except (NotReady, BackendError):
            self._plans.keep(wish.name, proposal)
            raise
        return proposal

    def _proposal(self, wish: Wish, policy_file: bytes, nonce: bytes, deadline: int) -> Proposal:
        wallet_id, pinned = wallet_id_of(wish.name, nonce), self._links.roster
        roster = pinned
        if wish.holders:
            roster = pinned.among([self._links.name(place) for place in wish.holders])
        return Proposal(
            nonce=nonce,
            name=wish.name,
            scheme=wish.scheme,
            sizes=QuorumSizes.default(roster.n, wish.threshold),
            roster=roster,
            policy_hash=hashlib.sha256(policy_file).digest(),
            clients=ClientList(wallet_id, 1, FIRST_PREDECESSOR, wish.clients),
            deadline=deadline,
        )

    @contextmanager
    def _reserved(self, name: str) -> Iterator[None]:
        with self._lock:
            if name in self._being_made or self._registry.named(name) is not None:
                raise NameTaken(f"a wallet called {name!r} is there already, or being made")
            self._being_made.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._being_made.discard(name)

    # Signatures

    def _sign_request(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[REQ, signers or nothing] → [signature, signers, h_e]."""
        encoded, wanted = _exactly(parts, 2)
        request = Request.from_bytes(encoded)
        if len(request.content.paths) != 1:
            raise BadEncoding("a request for one signature names one path")
        wallet_id = request.content.wallet_id
        wallet = self._found(lambda: self._registry.with_id(wallet_id))
        if wallet is None or not wallet.dones:
            raise NotReady("no active wallet of that id is registered here")
        candidates = frozenset(indices_from_bytes(wanted) or self._links.indices)
        if not candidates.issubset(self._links.indices):
            raise BadInput("signers that are not in the roster")
        names = frozenset(map(self._links.name, candidates))
        body = self._refresher.signing(wallet, names)
        while True:
            try:
                with self._seated(wallet):
                    signed = self._signed_in(body, wallet, request, encoded, names)
            except (Declined, QuorumUnreachable):
                tried, body = body, self._refresher.signing(wallet, names)
                if body == tried:
                    raise
            else:
                signers = self._links.places(signed.signers, self._rosters.of_epoch(body))
                return (signed.signature, indices_to_bytes(signers), body.hash)

    def _signed_in(
        self,
        body: EpochBody,
        wallet: Registered,
        request: Request,
        encoded: bytes,
        names: frozenset[str],
    ) -> Signed:
        """A signature in one epoch; another one may take its place meanwhile (step 6.5.8)."""
        key = _key_of(body, first_body(wallet.certificate).hash)
        links = self._refresher.links_of(body)
        candidates = frozenset(k for k in links.indices if links.name(k) in names)
        run = SigningRun(
            links=links,
            channels=self._channels,
            number=self._number,
            sign=self._sign,
            clock=self._clock,
            wallet_id=body.terms.wallet_id,
            epoch_hash=body.hash,
            session_id=request.session_id(body.hash),
            nonce_bytes=key.nonce_bytes,
            request=encoded,
            remind=self._reminder(wallet, body),
            report=self._evidence.among(links.roster).keep,
            keys=self._rosters.newest(body.terms),
        )
        message = facts_of(request, body.terms.scheme).message
        path = request.content.paths[0]
        key.require_path(path)
        signing = key.aggregation(path, message)
        return run.run(signing, body.terms.sizes.t, candidates, SIGNING_SECONDS)

    def _reminder(self, wallet: Registered, body: EpochBody) -> Callable[[int], None]:
        relay, roster = self._relay_of(wallet), self._rosters.of_epoch(body)

        def remind(index: int) -> None:
            index = relay.links.roster.index_of(roster.member(index).name)
            certificate = Certificate.from_bytes(wallet.certificate)
            relay.remind(index, certificate, wallet.dones)

        return remind

    def _status(self, parts: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """[] → the indices of the holders that answer."""
        _exactly(parts, 0)
        asked = self._links.ask_each(HolderMethod.CHANNEL, [], _STATUS_SECONDS)
        there = [index for index, answer in asked.items() if not isinstance(answer, HsmMpcError)]
        return (indices_to_bytes(there),)


def _is_said(destroyed: bytes, wallet_id: WalletId, keys: KeyBook) -> bool:
    try:
        wallet_destroyed_in(destroyed, wallet_id, keys)
    except InvalidSignature:
        return False
    return True


@lru_cache(_WALLETS_KEPT)
def _key_of(body: EpochBody, first: EpochHash) -> WalletKey:
    """What an aggregator computes from an epoch, once."""
    return wallet_key_of(body, first)


def _exactly(parts: tuple[bytes, ...], count: int) -> tuple[bytes, ...]:
    if len(parts) != count:
        raise BadEncoding(f"a call with {len(parts)} parts instead of {count}")
    return parts
