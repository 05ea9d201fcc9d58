"""How a wallet's epochs followed each other: verified link by link, with nothing but public data.

`verified` looks at the newest epoch, and believes the J holders of whom one at least is honest for
those before it. Here every body, message and signature since the key generation is checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.errors import HsmMpcError, NotReady, Tampered
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.lineage import Lineage, lost_in, rotated_in
from hsm_mpc.succession.retirement import Retirement, adoption_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.dones import check_all_done
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession


@dataclass(frozen=True, slots=True)
class Link:
    """One epoch of a wallet, and its end as far as it has come."""

    body: EpochBody
    attempt: Attempt
    """In which it was made; of epoch 0 `Attempt.NONE`."""
    dealers: tuple[int, ...]
    """Whose dealings made it, each acknowledged by its HSM."""
    holders: tuple[int, ...]
    """Who has confirmed that it has a share of it."""
    retired: bool = False
    """So many have adopted the next one that it may be destroyed."""
    destroyed: Mapping[int, int] = field(default_factory=dict)
    """Whose HSM has destroyed the key of its share, and when: seconds since 1970 UTC."""
    replaced: tuple[int, ...] = ()
    """Who has another HSM since, with another identity key (step 6.7.2)."""
    lost: tuple[int, ...] = ()
    """Whose HSM was lost while this epoch lived: it may have a key of it still."""
    rotated: tuple[int, ...] = ()
    """Who has another identity key since, in the same HSM (step 6.7.9)."""


@dataclass(frozen=True, slots=True)
class History:
    """Every epoch of a wallet, the oldest first. The last signs, or still the one before it."""

    links: tuple[Link, ...]

    @property
    def terms(self) -> WalletTerms:
        """Of the first: they never change, but for the roster's hash."""
        return self.links[0].body.terms


def verified_history(chain: Chain, keys: KeyBook, now: int) -> History:
    """The chain, if all of it holds (steps 2.6.7, 2.6.8, 6.5.4, 6.5.7).

    Args:
        keys: of the pinned roster.
        now: seconds since 1970 UTC.

    Raises:
        NotReady: not every holder has confirmed the wallet yet.
        Tampered: anything does not hold; it says in which epoch.
    """
    with _verifying(0):
        certificate = Certificate.from_bytes(chain.certificate)
        certificate.verify(keys.roster)
        if not chain.dones:
            raise NotReady("not every holder has confirmed this wallet yet")
        check_all_done(keys, certificate, chain.dones, now)
        lineage = Lineage.from_bytes(chain.lineage, certificate.body.terms, keys)
    everybody = tuple(range(1, keys.roster.n + 1))
    links = [Link(certificate.body, Attempt.NONE, everybody, everybody)]
    for succession in chain.successions:
        with _verifying(len(links)):
            if len(links) > 1 and not links[-2].retired:
                raise Tampered("the epoch before it has not ended the one before that")
            links[-1:] = _linked(links[-1], succession, lineage)
    return History(tuple(links))


def _linked(before: Link, shown: ShownSuccession, lineage: Lineage) -> tuple[Link, Link]:
    """The epoch before, with its end, and the one that replaces it. Raises: HsmMpcError."""
    certificate = SuccessorCertificate.from_bytes(shown.certificate)
    replaced, body = before.body, certificate.body
    proposed = certificate.verify(replaced, lineage.book(replaced.terms.roster_hash))
    keys = lineage.since(body.terms.roster_hash)
    adopters, destroyed = set[int](), dict[int, int]()
    for source in shown.dones:
        if adoption_in(source, replaced, keys).epoch_hash != body.hash:
            raise Tampered("a holder has adopted another epoch than the one that is shown")
        adopters.add(parse_envelope(source).address.sender)
    if shown.retirement:
        retired = Retirement.from_bytes(shown.retirement).check(replaced, keys)
        if retired.successor != body.hash:
            raise Tampered("the epoch before was retired for another one")
        adopters |= set(retired.adopters)
    for source in shown.destroyed:
        said = destroyed_in(source, replaced, keys)
        if not shown.retirement or said.successor != body.hash:
            raise Tampered("a holder has destroyed its key for the sake of another epoch")
        destroyed[parse_envelope(source).address.sender] = said.at
    carried = proposed.content.amendments
    lost = lost_in(carried)
    ended = replace(before, retired=bool(shown.retirement), destroyed=destroyed, lost=lost)
    made = Link(body, proposed.content.attempt, proposed.members, tuple(sorted(adopters)))
    return ended, replace(made, replaced=lost, rotated=rotated_in(carried))


@contextmanager
def _verifying(epoch: int) -> Iterator[None]:
    """What is wrong is said of this epoch."""
    try:
        yield
    except NotReady:
        raise
    except HsmMpcError as broken:
        raise Tampered(f"epoch {epoch} of the chain does not verify: {broken}") from broken
