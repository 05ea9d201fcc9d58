"""The wallets that holders have and the registry does not: a coordinator that lost all finds all.

Nothing that a holder tells is believed: a certificate proves itself under the roster.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.registry import Registered, Registry
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.coordinator.successions import Epochs, Succession, first_body
from hsm_mpc.errors import BadEncoding, HsmMpcError, NameTaken
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.dones import done_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.ordering import replaced_in
from hsm_mpc.succession.retirement import (
    Retirement,
    adoption_in,
    check_arrivals,
    is_vote,
)
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.destroyed import wallet_destroyed_in
from hsm_mpc.wire.dones import check_all_done
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.holdings import Holding
from hsm_mpc.wire.rounds import REPAIR_DONE

_SECONDS: Final = 10.0
"""How long one holder may take for one page."""
_MOST: Final = 100_000
"""Wallets that one holder may tell of."""
_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0


class Recovery:
    """Asks holders for their wallets; used by several threads."""

    def __init__(self, links: HolderLinks, registry: Registry, clock: Callable[[], int]) -> None:
        self._links = links
        self._registry = registry
        self._clock = clock
        self._keys = KeyBook(links.roster, {})
        self._rosters = Rosters(self._keys, registry)
        self._ending = threading.Event()

    def begin(self) -> None:
        """In the background: every holder until it has answered once."""
        threading.Thread(target=self._run, name="recovery", daemon=True).start()

    def end(self) -> None:
        """Ask no more."""
        self._ending.set()

    def from_all(self) -> frozenset[int]:
        """Ask all holders at once; the indices of those that answered."""
        return self._from(set(self._links.indices))

    def _run(self) -> None:
        silent, pause = set(self._links.indices), _PAUSE
        while silent and not self._ending.is_set():
            silent -= self._from(silent)
            self._ending.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _from(self, indices: set[int]) -> frozenset[int]:
        asked = {
            index: self._links.submit(index, partial(self._holdings, index))
            for index in sorted(indices)
        }
        answered = set()
        for index, future in asked.items():
            try:
                before = older = first = None
                for holding in future.result():
                    if before is not None and before.wallet_id != holding.wallet_id:
                        before = older = None
                    if holding.epoch == 0:
                        self._take_lineage(first)  # what it tells of later rosters is known by now
                        first = holding
                    if before is not None and before.epoch < holding.epoch:
                        older = before
                    self._take(holding, older)
                    self._take_repaired(holding, index)
                    before = holding
                self._take_lineage(first)
                answered.add(index)
            except (HsmMpcError, ValueError) as failure:
                del failure  # it does not answer, or not with wallets: the others do
        return frozenset(answered)

    def _holdings(self, index: int) -> list[Holding]:
        """All pages of what holder `index` has."""
        holdings: list[Holding] = []
        while True:
            after = [holdings[-1].place] if holdings else []
            page = self._links.ask(index, HolderMethod.WALLETS, after, _SECONDS)
            if not page:
                return holdings
            for source in page:
                holding = Holding.from_bytes(source)
                if len(holdings) >= _MOST or (after and holding.place <= after[0]):
                    raise BadEncoding(f"holder {self._links.name(index)} tells of wallets for ever")
                holdings.append(holding)
                after = [holding.place]

    def _take(self, holding: Holding, before: Holding | None) -> None:
        """Take in one epoch; `before`: what the same holder tells of the epoch before it."""
        if not holding.certificate:
            return
        if holding.epoch == 0:
            self._take_first(holding)
            self._take_lineage(holding)
            self._take_end(holding)
        elif before is not None:
            self._take_successor(holding, before)

    def _take_first(self, holding: Holding) -> None:
        known = self._registry.with_id(holding.wallet_id)
        if known is not None and known.dones:
            return
        try:
            certificate = Certificate.from_bytes(holding.certificate)
            terms = certificate.body.terms
            first = Lineage.from_bytes(holding.lineage, terms, self._keys).stages[0].book
            certificate.verify(first.roster)
            dones = self._dones(certificate, holding, first)
            if known is None:
                self._rosters.begin(terms, first.roster)
                encoded = certificate.to_bytes()
                self._registry.add(Registered(terms.name, terms.wallet_id, encoded, dones))
            elif dones:
                self._registry.confirm(terms.wallet_id, dones)
        except NameTaken as taken:
            sys.stderr.write(f"{taken}\n")

    def _take_lineage(self, holding: Holding | None) -> None:
        """What has amended the wallet's roster (step 6.7.2)."""
        if holding is None:
            return
        wallet = self._registry.with_id(holding.wallet_id)
        if holding.lineage and wallet is not None:
            self._rosters.learn(first_body(wallet.certificate).terms, holding.lineage)

    def _take_repaired(self, holding: Holding, place: int) -> None:
        """What this holder said once its own share of this epoch was repaired, the last time that
        it was (step 6.7.5): nobody else knows which time was the last. Or what it has said again by
        another key (step 6.7.9).
        """
        wallet = self._registry.with_id(holding.wallet_id)
        if wallet is None or not holding.done:
            return
        h, epochs = holding.epoch_hash, self._registry.successions(wallet.wallet_id)
        bodies = [first_body(wallet.certificate), *(each.body for each in epochs)]
        body = next((each for each in bodies if each.hash == h), None)
        if body is None:
            return
        keys = self._rosters.keys_since(body)
        index = keys.roster.index_of(self._links.name(place))
        if not _is_of_repair(holding.done) and index not in self._rosters.rotated(body.terms):
            return
        done = done_in(holding.done, index, body, keys)
        known = self._registry.repaired(wallet.wallet_id).get((h, index))
        if done.epoch_hash == h and known != holding.done:
            self._registry.keep_repaired(wallet.wallet_id, h, index, holding.done)

    def _take_end(self, holding: Holding) -> None:
        """Who has destroyed the wallet (section 6.10)."""
        wallet = self._registry.with_id(holding.wallet_id)
        if holding.ended and wallet is not None:
            keys = self._rosters.newest(first_body(wallet.certificate).terms)
            wallet_destroyed_in(holding.ended, holding.wallet_id, keys)
            sender = parse_envelope(holding.ended).address.sender
            if sender not in self._registry.destroyed(holding.wallet_id):
                self._registry.keep_destroyed(holding.wallet_id, sender, holding.ended)

    def _take_successor(self, holding: Holding, before: Holding) -> None:
        """What a holder knows of a succession is added to what is registered of it."""
        wallet = self._registry.with_id(holding.wallet_id)
        successions = self._registry.successions(holding.wallet_id)
        if wallet is None or holding.epoch > len(successions) + 1:
            return
        epochs = Epochs(first_body(wallet.certificate), wallet.dones, successions)
        replaced = epochs.body(holding.epoch - 1)
        known = successions[holding.epoch - 1] if holding.epoch <= len(successions) else None
        retirement = self._retirement(holding, before, replaced)
        rival = known is not None and known.certificate != holding.certificate
        if rival and (not retirement or holding.epoch < len(successions)):
            return
        if known is None or rival:
            certificate = SuccessorCertificate.from_bytes(holding.certificate)
            certificate.verify(replaced, self._rosters.keys_of(replaced))
            known = Succession.of(holding.wallet_id, certificate)
        if known.certified.shared_anew is None or retirement:  # else it may never be decided
            self._rosters.follow(replaced, known.certified)
        told, h = known, known.body.hash
        keys = self._rosters.voters(replaced, known.certified)
        voted = holding.done and is_vote(holding.done)
        if voted and adoption_in(holding.done, replaced, keys).epoch_hash == h:
            told = told.with_done(holding.done)
        if retirement and not told.retirement:
            told = replace(told, retirement=retirement)
            for arrival in Retirement.from_bytes(retirement).arrivals:
                told = told.with_done(arrival)
        elif holding.dones and told.not_arrived:
            check_arrivals(holding.dones, replaced, keys, told.certified)
            for arrival in holding.dones:
                told = told.with_done(arrival)
        if before.destroyed and destroyed_in(before.destroyed, replaced, keys).successor == h:
            told = told.with_destroyed(before.destroyed)
        if told != known or rival or holding.epoch > len(successions):
            self._registry.keep(told)

    def _retirement(self, holding: Holding, before: Holding, replaced: EpochBody) -> bytes:
        """What proves that the epoch before went for the sake of this one; empty: nothing."""
        if not before.retirement:
            return b""
        retirement = Retirement.from_bytes(before.retirement)
        if retirement.successor_in(replaced) != holding.epoch_hash:
            return b""
        certificate = SuccessorCertificate.from_bytes(holding.certificate)
        keys = self._rosters.voters(replaced, certificate)
        lost = replaced_in(self._rosters.lineage(replaced.terms), replaced.hash)
        retirement.check(replaced, keys, certificate, lost)
        return before.retirement

    def _dones(
        self, certificate: Certificate, holding: Holding, keys: KeyBook
    ) -> tuple[bytes, ...]:
        if holding.dones:
            check_all_done(keys, certificate, holding.dones, self._clock())
        return holding.dones


def _is_of_repair(done: bytes) -> bool:
    return bool(done) and parse_envelope(done).kind is REPAIR_DONE
