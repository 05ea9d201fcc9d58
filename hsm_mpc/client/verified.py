"""A wallet as a client believes it: certificates and confirmations under the roster it pinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.errors import BadInput, HsmMpcError, NotReady, Refused, Tampered
from hsm_mpc.ids import Scheme
from hsm_mpc.protocols.wallet_key import WalletKey
from hsm_mpc.protocols.wallet_keys import wallet_key_of
from hsm_mpc.roster import Roster
from hsm_mpc.succession.addresses import Predecessor
from hsm_mpc.succession.changes import lost_in
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.newest import verify_newest
from hsm_mpc.succession.ordering import replaced_in
from hsm_mpc.succession.retirement import Retirement, adoption_in, is_vote
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.destroyed import wallet_destroyed_in
from hsm_mpc.wire.dones import check_all_done
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.wallet_calls import Shown, ShownSuccession


@dataclass(frozen=True, slots=True)
class VerifiedSuccession:
    """A refreshed epoch that a quorum has adopted, and what has become of the one before."""

    certificate: SuccessorCertificate
    since: int
    """Counter of the attempt that made it: seconds since 1970 UTC by the coordinator's clock. No
    honest holder has joined one that was more than ten minutes ahead of its own (step 6.5.11).
    """
    retired: bool
    """Whether so many have adopted it that the epoch before may go, or it was ordered."""
    waiting_for: tuple[int, ...]
    """Whose DONE is missing, or once it is retired whose DESTROYED."""
    replaced: tuple[int, ...]
    """Whose HSM was lost while the epoch before lived: it may have a key of that one still."""
    before: Roster
    """Whose holders those two lists count: that of the epoch before."""
    threshold_before: int
    """How many of them signed."""
    order: Order | None = None
    """By which administrators have overruled a confirmation that was missing (step 6.5.9)."""


@dataclass(frozen=True, slots=True)
class VerifiedEnd:
    """Which holders have destroyed all their keys of a wallet, if any."""

    name: str
    destroyed: tuple[int, ...]
    waiting_for: tuple[int, ...]
    """All others."""
    threshold: int
    roster: Roster
    """Whose holders those two lists count."""

    @property
    def is_final(self) -> bool:
        """Whether so few are left that nobody signs for it again (step 6.10.3)."""
        return len(self.waiting_for) < self.threshold


@dataclass(frozen=True)
class VerifiedWallet:
    """A wallet whose certificates and DONEs were verified under the pinned roster."""

    certificate: Certificate
    """Of the key generation."""
    newest: VerifiedSuccession | None
    """The epoch that signs, if it is not the first."""
    end: VerifiedEnd
    roster: Roster
    """Whose holders sign."""

    @property
    def body(self) -> EpochBody:
        """Of the epoch that signs."""
        return self.certificate.body if self.newest is None else self.newest.certificate.body

    @property
    def roster_that_ends(self) -> Roster:
        """Of the epoch that waits to be retired, or will be next: an order counts its holders."""
        if self.newest is None or self.newest.retired:
            return self.roster
        return self.newest.before

    def newest_certificate(self) -> bytes:
        """What certifies that epoch, as it was shown."""
        return (self.certificate if self.newest is None else self.newest.certificate).to_bytes()

    @property
    def name(self) -> str:
        """The certified name."""
        return self.certificate.body.terms.name

    @property
    def threshold(self) -> int:
        """How many holders sign."""
        return self.body.terms.sizes.t

    @property
    def scheme(self) -> Scheme:
        """How it signs."""
        return self.certificate.body.terms.scheme

    @cached_property
    def key(self) -> WalletKey:
        """What signatures verify under, by path."""
        return wallet_key_of(self.certificate.body, self.certificate.body.hash)

    def require_path(self, path: Path) -> None:
        """Raises `BadInput`: keys of this scheme have no children, so there is no path."""
        try:
            self.key.require_path(path)
        except Refused as no_child:
            raise BadInput(f"--path: {no_child}") from no_child


def verified(shown: Shown, keys: KeyBook, now: int) -> VerifiedWallet:
    """What a coordinator shows, if it holds (steps 2.6.7, 2.6.8, 6.5.4, 6.5.7).

    Args:
        keys: of the pinned roster.
        now: seconds since 1970 UTC.

    Raises:
        NotReady: not every holder has confirmed the wallet yet.
        Tampered: anything does not hold.
    """
    try:
        certificate = Certificate.from_bytes(shown.certificate)
        lineage = lineage_since(certificate, shown.lineage, keys)
        first = lineage.stages[0].book
        certificate.verify(first.roster)
        if not shown.dones:
            raise NotReady("not every holder has confirmed this wallet yet")
        check_all_done(first, certificate, shown.dones, now)
        newest = None
        if shown.succession is not None:
            newest = _verified_succession(shown.succession, certificate.body, lineage)
        body = certificate.body if newest is None else newest.certificate.body
        end = _verified_end(body.terms, shown.destroyed, lineage.newest)
        roster = lineage.in_force(body.terms.roster_hash).roster
    except NotReady:
        raise
    except HsmMpcError as forged:
        raise Tampered(f"the coordinator shows what does not verify: {forged}") from forged
    return VerifiedWallet(certificate, newest, end, roster)


def lineage_since(certificate: Certificate, source: bytes, keys: KeyBook) -> Lineage:
    """Every roster of the wallet that began with this certificate.

    Raises:
        BadInput, InvalidSignature: it does not hold.
        Tampered: it is that of a wallet that began with another quorum.
    """
    lineage = Lineage.from_bytes(source, certificate.body.terms, keys)
    if lineage.stages[0].terms.sizes != certificate.body.terms.sizes:
        raise Tampered("the wallet began with other terms")
    return lineage


def verified_end(shown: Shown, keys: KeyBook) -> VerifiedEnd:
    """Who has destroyed a wallet, which need not be active.

    Raises:
        Tampered: anything does not hold.
    """
    try:
        certificate = Certificate.from_bytes(shown.certificate)
        lineage = lineage_since(certificate, shown.lineage, keys)
        certificate.verify(lineage.stages[0].book.roster)
        return _verified_end(lineage.terms, shown.destroyed, lineage.newest)
    except HsmMpcError as forged:
        raise Tampered(f"the coordinator shows what does not verify: {forged}") from forged


def _verified_end(terms: WalletTerms, messages: Sequence[bytes], keys: KeyBook) -> VerifiedEnd:
    """Raises: HsmMpcError: a message is no DESTROYED of a holder."""
    for message in messages:
        wallet_destroyed_in(message, terms.wallet_id, keys)
    there = {parse_envelope(message).address.sender for message in messages}
    left = tuple(index for index in range(1, terms.sizes.n + 1) if index not in there)
    return VerifiedEnd(terms.name, tuple(sorted(there)), left, terms.sizes.t, keys.roster)


def _verified_succession(
    shown: ShownSuccession, first: EpochBody, lineage: Lineage
) -> VerifiedSuccession:
    """Raises: HsmMpcError: it does not hold."""
    certificate = SuccessorCertificate.from_bytes(shown.certificate)
    proposed = verify_newest(certificate, first, lineage)
    body, stage = certificate.body, lineage.before(certificate)
    keys = lineage.voters(stage.terms.roster_hash, certificate)
    before = Predecessor(stage.terms, body.prev_hash)
    there = {
        parse_envelope(source).address.sender
        for source in shown.dones
        if is_vote(source) and adoption_in(source, before, keys).epoch_hash == body.hash
    }
    order = None
    if shown.retirement:
        retirement = Retirement.from_bytes(shown.retirement)
        repaired = replaced_in(lineage, before.hash)
        order = retirement.check(before, keys, certificate, repaired).order
        there = {
            parse_envelope(source).address.sender
            for source in shown.destroyed
            if destroyed_in(source, before, keys).successor == body.hash
        }
    elif certificate.shared_anew is not None or len(there) < body.terms.sizes.t:
        raise Tampered("no quorum has adopted the epoch that is shown")
    missing = tuple(index for index in range(1, before.terms.sizes.n + 1) if index not in there)
    lost = lost_in(certificate.amendments)
    if certificate.shared_anew is not None:  # who was repaired after it was made, too
        lost = lineage.lost_since(stage.terms.roster_hash)
    return VerifiedSuccession(
        certificate,
        proposed.content.attempt.counter,
        bool(shown.retirement),
        missing,
        lost,
        proposed.keys.roster,
        before.terms.sizes.t,
        order,
    )
