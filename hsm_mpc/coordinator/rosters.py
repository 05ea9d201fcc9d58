"""Which identity keys the holders of a wallet have: the roster, and what has amended it since."""

from __future__ import annotations

from collections.abc import Sequence

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.errors import BadInput, InvalidSignature
from hsm_mpc.ids import WalletId
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.wire.channels import KeyBook


class Rosters:
    """Of all wallets of one coordinator; used by several threads."""

    def __init__(self, keys: KeyBook, registry: Registry) -> None:
        """`keys`: under the roster that this coordinator is configured with."""
        self._keys = keys
        self._registry = registry
        self._lineages: dict[WalletId, Lineage] = {}

    def lineage(self, terms: WalletTerms) -> Lineage:
        """Every roster of a wallet. Raises: BadInput, InvalidSignature: the registry is damaged."""
        amendments = self._registry.amendments(terms.wallet_id)
        known = self._lineages.get(terms.wallet_id)
        if known is None or known.amendments != amendments:
            known = Lineage.of(amendments, terms, self._keys)
            self._lineages[terms.wallet_id] = known
        return known

    def newest(self, terms: WalletTerms) -> KeyBook:
        """The keys under the roster in force."""
        return self.lineage(terms).newest

    def keys_of(self, body: EpochBody) -> KeyBook:
        """The keys under the roster that an epoch names: what made it verifies under them.

        Raises:
            BadInput: it is none of this wallet's.
        """
        return self.lineage(body.terms).book(body.terms.roster_hash)

    def replaced_since(self, body: EpochBody) -> frozenset[int]:
        """Who stands on another HSM than when this epoch was made."""
        before, now = self.keys_of(body).roster, self.newest(body.terms).roster
        indices = range(1, before.n + 1)
        return frozenset(i for i in indices if before.member(i) != now.member(i))

    def learn(self, terms: WalletTerms, amendments: Sequence[bytes]) -> None:
        """What somebody tells of a wallet's rosters, if it holds and goes on from what is known.

        Raises:
            BackendError: the disk fails.
        """
        known = self.lineage(terms)
        try:
            told = Lineage.of(amendments, terms, self._keys)
        except (BadInput, InvalidSignature):
            return
        if told.hashes[: len(known.books)] == known.hashes and told.hashes != known.hashes:
            self._registry.keep_amendments(terms.wallet_id, amendments)
