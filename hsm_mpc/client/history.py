"""How a wallet's epochs followed each other: verified link by link, with nothing but public data.

`verified` looks at the newest epoch, and believes the J holders of whom one at least is honest for
those before it. Here every body, message and signature since the key generation is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.client.verified import lineage_since
from hsm_mpc.errors import HsmMpcError, NotReady, Tampered
from hsm_mpc.roster import Roster
from hsm_mpc.succession.changes import lost_in, rotated_in
from hsm_mpc.succession.destroyed import destroyed_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.ordering import replaced_in
from hsm_mpc.succession.retirement import Retirement, adoption_in, is_vote
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
    members: tuple[str, ...]
    """Who gets a share of it, in the order of its roster; all lists are of names."""
    dealers: tuple[str, ...]
    """Whose dealings made it, each acknowledged by its HSM."""
    holders: tuple[str, ...]
    """Who has confirmed that it has a share of it."""
    retired: bool = False
    """So many have adopted the next one that it may be destroyed, or it was ordered."""
    order: Order | None = None
    """By which administrators have overruled a confirmation that was missing (step 6.5.9)."""
    destroyed: Mapping[str, int] = field(default_factory=dict)
    """Whose HSM has destroyed the key of its share, and when: seconds since 1970 UTC."""
    replaced: tuple[str, ...] = ()
    """Who has another HSM since, with another identity key (step 6.7.2)."""
    lost: tuple[str, ...] = ()
    """Whose HSM was lost while this epoch lived: it may have a key of it still."""
    rotated: tuple[str, ...] = ()
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
        lineage = lineage_since(certificate, chain.lineage, keys)
        first = lineage.stages[0].book
        certificate.verify(first.roster)
        if not chain.dones:
            raise NotReady("not every holder has confirmed this wallet yet")
        check_all_done(first, certificate, chain.dones, now)
    everybody = tuple(member.name for member in first.roster.members)
    links = [Link(certificate.body, Attempt.NONE, everybody, everybody, everybody)]
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
    keys = lineage.voters(replaced.terms.roster_hash, certificate)
    adopters, destroyed = set[int](), dict[int, int]()
    order: Order | None = None
    for source in filter(is_vote, shown.dones):
        if adoption_in(source, replaced, keys).epoch_hash != body.hash:
            raise Tampered("a holder has adopted another epoch than the one that is shown")
        adopters.add(parse_envelope(source).address.sender)
    if shown.retirement:
        missing = replaced_in(lineage, replaced.hash)
        retirement = Retirement.from_bytes(shown.retirement)
        retired = retirement.check(replaced, keys, certificate, missing)
        order = retired.order
        adopters |= set(retired.adopters)
    for source in shown.destroyed:
        said = destroyed_in(source, replaced, keys)
        if not shown.retirement or said.successor != body.hash:
            raise Tampered("a holder has destroyed its key for the sake of another epoch")
        destroyed[parse_envelope(source).address.sender] = said.at
    roster, new, carried = proposed.keys.roster, certificate.shared_anew, certificate.amendments
    lost = _named(roster, lost_in(carried))
    if new is not None:  # who was repaired after it was made, too
        lost = _named(roster, lineage.lost_since(replaced.terms.roster_hash))
    ended = replace(
        before,
        retired=bool(shown.retirement),
        order=order,
        destroyed={roster.member(index).name: at for index, at in sorted(destroyed.items())},
        lost=lost,
    )
    dealers = _named(roster, proposed.dealers)
    if new is None:
        members, holders = before.members, _named(roster, sorted(adopters))
    else:  # who votes for it is another thing than who has it
        members = tuple(member.name for member in new.roster.members)
        holders = members if shown.retirement else ()
    made = Link(body, proposed.content.attempt, members, dealers, holders)
    return ended, replace(made, replaced=lost, rotated=_named(roster, rotated_in(carried)))


def _named(roster: Roster, indices: Iterable[int]) -> tuple[str, ...]:
    return tuple(roster.member(index).name for index in indices)


@contextmanager
def _verifying(epoch: int) -> Iterator[None]:
    """What is wrong is said of this epoch."""
    try:
        yield
    except NotReady:
        raise
    except HsmMpcError as broken:
        raise Tampered(f"epoch {epoch} of the chain does not verify: {broken}") from broken
