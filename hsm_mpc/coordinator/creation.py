"""A wallet made as a client wishes, once every operator consents: its name, its plan, its key."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.certificates.proposal import Proposal
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import wallet_id_of
from hsm_mpc.coordinator.consents import PLAN_SECONDS, WaitingPlans
from hsm_mpc.coordinator.keygen import Relay
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.errors import BackendError, NameTaken, NotReady, Refused
from hsm_mpc.roster import FIRST_PREDECESSOR
from hsm_mpc.wire.wallet_calls import Wish

_BEGUN_BEFORE: Final = "session-over"
"""What a holder says of a plan that was carried out once, and came to nothing."""


class Creator:
    """Has wallets made; used by several threads. `relay` is to all holders."""

    def __init__(
        self, registry: Registry, rosters: Rosters, relay: Relay, clock: Callable[[], int]
    ) -> None:
        self._registry = registry
        self._rosters = rosters
        self._relay = relay
        self._clock = clock
        self._plans = WaitingPlans(registry, clock)
        self._lock = threading.Lock()
        self._being_made: set[str] = set()

    def create(self, wish: Wish, policy_file: bytes) -> Registered:
        """The wallet, certified and registered; not all have confirmed it yet.

        Raises:
            NameTaken: there is one of that name, or it is being made.
            NotReady: the operators of some holders have not consented yet; it names these holders.
            BadInput: no such wallet is possible.
            Others: as `Relay.certificate`.
        """
        with self._reserved(wish.name):
            proposal = self._agreed(wish, policy_file)
            relay = self._relay.seated(proposal.roster)
            certificate = relay.certificate(proposal, policy_file)
            self._rosters.begin(certificate.body.terms, proposal.roster)
            encoded = certificate.to_bytes()
            wallet = Registered(wish.name, certificate.body.terms.wallet_id, encoded, ())
            self._registry.add(wallet)
            self._plans.drop(proposal)
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
                self._relay.seated(planned.roster).require_consents(planned, policy_file)
            except Refused as refused:
                self._plans.drop(planned)
                if refused.rule != _BEGUN_BEFORE:
                    raise
            else:
                return planned
        proposal = wished(os.urandom(32), self._clock() + PLAN_SECONDS)
        try:
            self._relay.seated(proposal.roster).require_consents(proposal, policy_file)
        except (NotReady, BackendError):
            self._plans.keep(wish.name, proposal)
            raise
        return proposal

    def _proposal(self, wish: Wish, policy_file: bytes, nonce: bytes, deadline: int) -> Proposal:
        wallet_id, links = wallet_id_of(wish.name, nonce), self._relay.links
        roster = links.roster
        if wish.holders:
            roster = roster.among([links.name(place) for place in wish.holders])
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
