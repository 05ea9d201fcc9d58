"""From one roster of a wallet to the next one, by what a succession has carried: amendments, or a
resharing (steps 6.7.2 and 6.8.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.errors import BadInput, InvalidSignature, Tampered
from hsm_mpc.succession.addresses import Predecessor
from hsm_mpc.succession.amendment import amended
from hsm_mpc.succession.resharings import carried_by, is_resharing, resharing_in
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.channels import KeyBook

Group = tuple[bytes, ...]
"""Amendments of one roster, in their one order; or one resharing, and behind it what amended the
roster that it replaced and it has not carried, in that order, too.
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A roster that epochs of the wallet name."""

    terms: WalletTerms
    """Of those epochs."""
    book: KeyBook
    """The keys under it."""
    replaced: KeyBook | None = None
    """Of one that a resharing made: the last keys of those who held the epoch before."""


def carried_in(certificate: SuccessorCertificate) -> Group:
    """What a succession has carried, by its certificate."""
    if certificate.shared_anew is None:
        return certificate.amendments
    return (carried_by(certificate),)


def next_stage(group: Sequence[bytes], before: Stage) -> tuple[Group, Stage]:
    """What a succession has carried, and the stage that it leads to. Raises: as `Lineage.of`."""
    if any(map(is_resharing, group)):
        return _shared_anew(group, before)
    ordered, roster = amended(group, before.terms, before.book.roster)
    if not ordered:
        raise BadInput("amendments: a succession that carries none")
    terms = replace(before.terms, roster_hash=roster.hash)
    return ordered, Stage(terms, before.book.under(roster))


def _shared_anew(group: Sequence[bytes], before: Stage) -> tuple[Group, Stage]:
    """A resharing, and the stage that it leads to; what else has amended the roster that it
    replaces leads to no other one, but says who spoke for it.
    """
    source, *beside = group
    if any(map(is_resharing, beside)):
        raise BadInput("amendments: a resharing beside another one")
    certificate, new = resharing_in(source)
    try:
        replaced = Predecessor(before.terms, certificate.body.prev_hash)
        certificate.verify_messages(replaced, before.book)
    except Tampered as broken:
        raise BadInput(f"amendments: a resharing that does not hold: {broken}") from broken
    carried = certificate.amendments
    ordered, last = amended([*carried, *beside], before.terms, before.book.roster)
    stage = Stage(certificate.body.terms, before.book.under(new.roster), before.book.under(last))
    return (source, *(each for each in ordered if each not in carried)), stage


def carries(group: Group) -> Group:
    """What the succession itself has carried, or was."""
    return group[:1] if is_resharing(group[0]) else group


def amending(group: Group) -> Group:
    """What of these has amended the roster before: a resharing has carried some itself."""
    if not is_resharing(group[0]):
        return group
    return (*resharing_in(group[0])[0].amendments, *group[1:])


def makes(amendments: Group, stage: Stage, roster_hash: bytes) -> bool:
    """Whether these amendments make the roster of this hash of that of a stage."""
    with suppress(BadInput, InvalidSignature):
        return amended(amendments, stage.terms, stage.book.roster)[1].hash == roster_hash
    return False


def first_sizes(carried: Sequence[Sequence[bytes]], terms: WalletTerms) -> QuorumSizes:
    """Under the first roster: those of `terms`, unless a resharing says which it has replaced."""
    for group in carried:
        for each in group:
            if is_resharing(each):
                return resharing_in(each)[1].replaced_sizes
    return terms.sizes
