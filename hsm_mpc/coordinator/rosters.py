"""Which identity keys the holders of a wallet have: the roster, and what has amended it since."""

from __future__ import annotations

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.coordinator.successions import Succession, first_body
from hsm_mpc.errors import BadInput, InvalidSignature
from hsm_mpc.ids import WalletId
from hsm_mpc.roster import Roster
from hsm_mpc.succession.changes import rotated_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.stages import carried_in
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
        """Every roster of a wallet. Raises: BadInput, InvalidSignature: the registry is damaged.

        Args:
            terms: of any epoch, where the wallet is registered.
        """
        source = self._registry.lineage(terms.wallet_id)
        known = self._lineages.get(terms.wallet_id)
        if known is None or known[0] != source:
            wallet = self._registry.with_id(terms.wallet_id)
            first = terms if wallet is None else first_body(wallet.certificate).terms
            known = source, Lineage.from_bytes(source, first, self._keys)
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
        return self.lineage(certificate.body.terms).before(certificate).book.roster

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
        return frozenset(self.lineage(body.terms).lost_since(body.terms.roster_hash))

    def rotated(self, terms: WalletTerms) -> tuple[int, ...]:
        """Who has another identity key in the same HSM, and no succession has carried it yet."""
        return rotated_in(self.lineage(terms).pending)

    def follow(self, replaced: EpochBody, certificate: SuccessorCertificate) -> None:
        """A verified successor of `replaced` has carried what amended the roster. A resharing is
        followed once it has taken that one's place.

        Raises:
            BackendError: the disk fails.
        """
        with self._registry.changing_lineages:
            known = self.lineage(replaced.terms)
            self._keep(known, known.after(replaced.terms.roster_hash, carried_in(certificate)))

    def keep(self, replaced: EpochBody, succession: Succession) -> None:
        """One that takes the place of `replaced`, and what it has carried, in one writing: nobody
        is shown an epoch without its roster.

        Raises:
            BackendError: the disk fails.
        """
        with self._registry.changing_lineages:
            known, carried = self.lineage(replaced.terms), carried_in(succession.certified)
            following = known.after(replaced.terms.roster_hash, carried)
            self._registry.keep(succession, following.to_bytes())

    def amend(self, terms: WalletTerms, amendment: bytes) -> None:
        """A holder has another identity key.

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
