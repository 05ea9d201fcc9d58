"""Which identity keys the holders of a wallet have: the roster, and what has amended it since."""

from __future__ import annotations

from dataclasses import replace

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.coordinator.successions import Succession
from hsm_mpc.errors import BadInput, InvalidSignature
from hsm_mpc.ids import WalletId
from hsm_mpc.roster import Roster
from hsm_mpc.succession.lineage import Lineage, carried_in, replaced_between
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.channels import KeyBook


class Rosters:
    """Of all wallets of one coordinator; used by several threads."""

    def __init__(self, keys: KeyBook, registry: Registry) -> None:
        """`keys`: under the roster that this coordinator is configured with."""
        self._keys = keys
        self._registry = registry
        self._lineages: dict[WalletId, tuple[bytes, Lineage]] = {}

    def lineage(self, terms: WalletTerms) -> Lineage:
        """Every roster of a wallet. Raises: BadInput, InvalidSignature: the registry is damaged."""
        source = self._registry.lineage(terms.wallet_id)
        known = self._lineages.get(terms.wallet_id)
        if known is None or known[0] != source:
            known = source, Lineage.from_bytes(source, terms, self._keys)
            self._lineages[terms.wallet_id] = known
        return known[1]

    def begin(self, terms: WalletTerms, roster: Roster) -> None:
        """A wallet of these holders is made, maybe not of all of the configured roster.

        Raises:
            BackendError: the disk fails.
        """
        encoded = Lineage.of((), (), terms, self._keys.under(roster)).to_bytes()
        if encoded:
            self._registry.keep_lineage(terms.wallet_id, encoded)

    def of_epoch(self, body: EpochBody) -> Roster:
        """Which an epoch names. Raises: BadInput: it is none of this wallet's."""
        return self.keys_of(body).roster

    def before(self, succession: Succession) -> Roster:
        """Which the epoch names that is replaced. Raises: BadInput: it is none of this wallet's."""
        certificate = succession.certified
        terms = replace(certificate.body.terms, sizes=certificate.replaced_sizes)
        return self.lineage(terms).before(certificate).book.roster

    def newest(self, terms: WalletTerms) -> KeyBook:
        """The keys under the roster in force."""
        return self.lineage(terms).newest

    def keys_of(self, body: EpochBody) -> KeyBook:
        """The keys under the roster that an epoch names.

        Raises:
            BadInput: it is none of this wallet's.
        """
        return self.lineage(body.terms).book(body.terms.roster_hash)

    def keys_since(self, body: EpochBody) -> KeyBook:
        """Those, and the ones that have taken their places since. Raises: BadInput."""
        return self.lineage(body.terms).since(body.terms.roster_hash)

    def voters(self, replaced: EpochBody, certificate: SuccessorCertificate) -> KeyBook:
        """The keys by which holders of `replaced` speak of a successor, followed or not.

        Raises:
            BadInput, InvalidSignature: what it carries does not make its roster.
        """
        return self.lineage(replaced.terms).voters(replaced.terms.roster_hash, certificate)

    def replaced_since(self, body: EpochBody) -> frozenset[int]:
        """Who has another HSM than when this epoch was made."""
        before, now = self.keys_of(body).roster, self.newest(body.terms).roster
        return frozenset(replaced_between(before, now))

    def follow(self, replaced: EpochBody, certificate: SuccessorCertificate) -> None:
        """A verified successor of `replaced` has carried what amended the roster. A resharing is
        followed once it has taken that one's place.

        Raises:
            BackendError: the disk fails.
        """
        with self._registry.changing_lineages:
            known = self.lineage(replaced.terms)
            self._keep(known, known.after(replaced.terms.roster_hash, carried_in(certificate)))

    def amend(self, terms: WalletTerms, amendment: bytes) -> None:
        """A holder was repaired onto another HSM.

        Raises:
            BadInput, InvalidSignature: it does not prove that.
            BackendError: the disk fails.
        """
        with self._registry.changing_lineages:
            known = self.lineage(terms)
            self._keep(known, known.with_pending(amendment))

    def learn(self, terms: WalletTerms, source: bytes) -> None:
        """What somebody tells has amended a wallet's roster. What of it a succession has carried,
        only its certificate says (`follow`).

        Raises:
            BackendError: the disk fails.
        """
        try:
            told = Lineage.from_bytes(source, terms, self._keys)
        except (BadInput, InvalidSignature):
            return
        with self._registry.changing_lineages:
            known = self.lineage(terms)
            self._keep(known, known.merged_with(told.amendments))

    def _keep(self, known: Lineage, lineage: Lineage) -> None:
        encoded = lineage.to_bytes()
        if encoded != known.to_bytes():
            self._registry.keep_lineage(known.terms.wallet_id, encoded)
