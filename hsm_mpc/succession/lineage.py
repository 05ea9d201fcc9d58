"""The rosters of one wallet, from the pinned one to the one in force (step 6.7.2).

Each succession carries the amendments that the roster of its epoch has not seen, and the epoch that
it makes names what they make of it. A resharing carries another roster as a whole, proven by its
certificate, and other sizes with it (step 6.8.1). What has amended the newest roster is pending:
some holders may know of it, and others not yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.errors import BadInput, InvalidSignature
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.roster import Member, Roster, check_among
from hsm_mpc.succession.amendment import Amendment, Change, amended
from hsm_mpc.succession.changes import amendments_in, changes_in, lost_in, replaced_keys
from hsm_mpc.succession.resharings import first_in, first_of, is_resharing, resharing_in
from hsm_mpc.succession.stages import (
    Group,
    Stage,
    amending,
    carries,
    first_sizes,
    makes,
    next_stage,
)
from hsm_mpc.succession.successor import SuccessorCertificate
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle, unbundled


@dataclass(frozen=True, slots=True)
class Lineage:
    """Amendments and resharings that hold, and the keys that they make."""

    carried: tuple[Group, ...]
    """By the successions that have carried any."""
    pending: Group
    stages: tuple[Stage, ...]
    """Of the pinned roster, and of that after each succession in `carried`."""
    newest: KeyBook
    """Under the roster in force."""

    @classmethod
    def of(
        cls,
        carried: Sequence[Sequence[bytes]],
        pending: Sequence[bytes],
        terms: WalletTerms,
        first: KeyBook,
    ) -> Lineage:
        """What amendments and resharings make of the pinned roster.

        Args:
            terms: of an epoch of the wallet; before a resharing its certificate says the sizes.

        Raises:
            BadInput, InvalidSignature: one of them does not hold there.
        """
        _require_new_keys([*carried, pending], first)
        before = replace(terms, sizes=first_sizes(carried, terms), roster_hash=first.roster.hash)
        stages, groups = [Stage(before, first)], []
        for group in carried:
            ordered, stage = next_stage(group, stages[-1])
            groups.append(ordered)
            stages.append(stage)
        ordered, roster = amended(pending, stages[-1].terms, stages[-1].book.roster)
        return cls(tuple(groups), ordered, tuple(stages), first.under(roster))

    @property
    def terms(self) -> WalletTerms:
        """Of the epochs that name the last stage."""
        return self.stages[-1].terms

    @property
    def amendments(self) -> tuple[bytes, ...]:
        """All of them, and all resharings, the first one first."""
        return tuple(each for group in (*self.carried, self.pending) for each in group)

    @property
    def identity_keys(self) -> frozenset[VerifyingKey]:
        """Every one that a holder has, or had."""
        rosters = [stage.book.roster for stage in self.stages]
        held = [key for roster in rosters for key in _keys(roster)]
        amendments = [each for source in self.amendments for each in amendments_in(source)]
        return frozenset([*held, *(amendment.identity_key for amendment in amendments)])

    @property
    def lost_keys(self) -> frozenset[VerifyingKey]:
        """Those that another one has replaced: they never come back."""
        return replaced_keys(self.amendments)

    def now(self, member: Member) -> Member:
        """A holder with the key that it has by now, also one that a resharing has left out."""
        amendments = [each for source in self.amendments for each in amendments_in(source)]
        newer = {each.known_key: each.identity_key for each in amendments}
        key = member.key
        while key in newer:
            key = newer[key]
        return replace(member, key=key)

    def to_bytes(self) -> bytes:
        """Empty where the pinned roster was never amended; else a bundle of bundles, the last one
        pending.
        """
        first = self.stages[0].book
        groups = [*self.carried, self.pending]
        if first.roster != first.pinned:
            groups.insert(0, (first_of(first.roster),))
        return bundle([bundle(group) for group in groups]) if any(groups) else b""

    @classmethod
    def from_bytes(cls, source: bytes, terms: WalletTerms, pinned: KeyBook) -> Lineage:
        """Inverse of `to_bytes`. Raises: BadInput, InvalidSignature, as `of`."""
        groups = [unbundled(group) for group in unbundled(source)] or [()]
        first, roster = pinned.under_pinned, None
        if len(groups[0]) == 1:
            roster = first_in(groups[0][0])
        if roster is not None:
            check_among(roster, pinned.pinned)
            first, groups = first.under(roster), groups[1:]
        *carried, pending = groups or [()]
        return cls.of(carried, pending, terms, first)

    def book(self, roster_hash: bytes) -> KeyBook:
        """The keys under the roster that an epoch names.

        Raises:
            BadInput: no such roster came from the pinned one.
        """
        return self.stages[self._place(roster_hash)].book

    def since(self, roster_hash: bytes) -> KeyBook:
        """Those keys, and the ones that have taken their places: a holder that has another HSM
        speaks of an epoch that was made before by its new key.

        Raises:
            BadInput: as `book`.
        """
        place = self._place(roster_hash)
        end = self._end_of(place)
        later = [stage.book.roster for stage in self.stages[place + 1 : end]]
        later.append(self._last_of(end).roster)
        return self.stages[place].book.and_later(*later)

    def in_force(self, roster_hash: bytes) -> KeyBook:
        """The keys that the holders of an epoch have now.

        Raises:
            BadInput: as `book`; or a resharing has taken its place.
        """
        if self._end_of(self._place(roster_hash)) != len(self.stages):
            raise BadInput("a roster that is in force no more")
        return self.newest

    def voters(self, replaced_roster: bytes, certificate: SuccessorCertificate) -> KeyBook:
        """The keys by which holders of an epoch speak of this successor of it.

        Raises:
            BadInput, InvalidSignature: as `book` and `of`.
        """
        if certificate.shared_anew is None:
            after = self.after(replaced_roster, certificate.amendments)
            return after.since(certificate.body.terms.roster_hash)
        return self.merged_with(certificate.amendments).since(replaced_roster)

    def before(self, certificate: SuccessorCertificate) -> Stage:
        """The stage from which the succession of this certificate came to the roster of its epoch.

        Raises:
            BadInput: as `book`; or it did not.
        """
        if certificate.shared_anew is not None:
            predecessor = certificate.shared_anew.roster.predecessor
            for stage in reversed(self.stages):
                if makes(certificate.amendments, stage, predecessor):
                    return stage
            raise BadInput("a roster that did not come from the pinned one")
        place, carried = self._place(certificate.body.terms.roster_hash), certificate.amendments
        if carried and (place == 0 or changes_in(self.carried[place - 1]) != changes_in(carried)):
            raise BadInput("a roster that did not come from the pinned one by these amendments")
        return self.stages[place - 1] if carried else self.stages[place]

    def with_pending(self, source: bytes) -> Lineage:
        """With one amendment more; itself, if that is known. One that was made in an epoch that a
        resharing has replaced amends the roster of that one, and the newest only where it holds.

        Raises:
            BadInput, InvalidSignature: it does not hold, or another one replaces that key.
        """
        if changes_in([source]) <= changes_in(self.amendments):
            return self
        lineage = self._beside(source)
        try:
            return lineage._with(lineage.carried, [*self.pending, source])
        except (BadInput, InvalidSignature):
            if lineage is self:
                raise
            return lineage

    def to_carry(self, roster_hash: bytes) -> Group:
        """All that has amended the roster of this hash since, for a succession from its epoch.

        Raises:
            BadInput: as `book`.
        """
        place = self._place(roster_hash)
        end, stage = self._end_of(place), self.stages[place]
        last = self.pending if end == len(self.stages) else amending(self.carried[end - 1])
        groups = [*self.carried[place : end - 1], last]
        later = [each for group in groups for each in group]
        return amended(later, stage.terms, stage.book.roster)[0]

    def lost_since(self, roster_hash: bytes) -> tuple[int, ...]:
        """Who has another HSM than under that roster, ascending.

        Raises:
            BadInput: as `book`.
        """
        return lost_in(self.to_carry(roster_hash))

    def after(self, roster_hash: bytes, carried: Group) -> Lineage:
        """Once a succession has carried these amendments of that roster, or was this resharing;
        what else has amended it is pending, as far as it holds still. Only a certificate says what
        was carried.

        Raises:
            BadInput, InvalidSignature: as `book` and `of`.
        """
        place = self._place(roster_hash)
        known = [changes_in(carries(group)) for group in self.carried[place : place + 1]]
        if not carried or known == [changes_in(carried)]:
            return self
        lineage = self._with([*self.carried[:place], carried], ())
        return lineage.merged_with(self.to_carry(roster_hash))

    def merged_with(self, told: Iterable[bytes]) -> Lineage:
        """With what of these holds and is not known yet, as pending. Whoever tells of them, nothing
        of what is known goes, and where the two part, this counts. A resharing is never pending.
        """
        lineage, left = self, [*told]
        while left:
            waiting = []
            for source in left:
                try:
                    lineage = lineage.with_pending(source)
                except (BadInput, InvalidSignature):
                    waiting.append(source)
            if len(waiting) == len(left):
                break
            left = waiting
        return lineage

    def _with(self, carried: Sequence[Sequence[bytes]], pending: Sequence[bytes]) -> Lineage:
        first = self.stages[0]
        return Lineage.of(carried, pending, first.terms, first.book)

    def _end_of(self, place: int) -> int:
        """The first place behind this one that a resharing has made, or behind all."""
        for end in range(place + 1, len(self.stages)):
            if self.stages[end].replaced is not None:
                return end
        return len(self.stages)

    def _last_of(self, end: int) -> KeyBook:
        """The keys that the holders before this place had in the end, or have now."""
        replaced = self.stages[end].replaced if end < len(self.stages) else None
        return self.newest if replaced is None else replaced

    def _beside(self, source: bytes) -> Lineage:
        """With an amendment beside the resharing that has replaced the epoch that it was made in;
        itself, if there is none.
        """
        made_in = Amendment.from_bytes(source).epoch_hash
        for place, group in enumerate(self.carried):
            if is_resharing(group[0]) and resharing_in(group[0])[0].body.prev_hash == made_in:
                beside = [*self.carried]
                beside[place] = (*group, source)
                return self._with(beside, self.pending)
        return self

    def _place(self, roster_hash: bytes) -> int:
        hashes = [stage.book.roster.hash for stage in self.stages]
        if roster_hash not in hashes:
            raise BadInput("a roster that did not come from the pinned one")
        return hashes.index(roster_hash)


def lost_keys_in(source: bytes) -> frozenset[VerifyingKey]:
    """Those of a lineage that was believed once already. Raises: BadInput: it does not parse."""
    sources = [each for group in unbundled(source) for each in unbundled(group)]
    return replaced_keys(each for each in sources if first_in(each) is None)


def _require_new_keys(groups: Iterable[Sequence[bytes]], first: KeyBook) -> None:
    """No key comes back, whoever had it: of a lost HSM, somebody else may have found it. A holder
    that one resharing has left out comes back by another one with the key that it has. What stands
    beside a resharing may amend the roster of that one, too.
    """
    known, lost = set(_keys(first.roster)), set[VerifyingKey]()
    beside, staying = set[Change](), set[VerifyingKey]()
    for group in groups:
        for source in group:
            for amendment in amendments_in(source):
                new = amendment.identity_key
                if new in known and amendment.change not in beside:
                    raise BadInput("amendments: a holder has that key, or had it")
                known.add(new)
                lost.add(amendment.known_key)
            if is_resharing(source):
                staying = set(_keys(resharing_in(source)[1].roster))
                if staying & lost:
                    raise BadInput("amendments: a resharing to a key that was replaced")
                known |= staying
        if group and is_resharing(group[0]):
            beside |= changes_in(group[1:])
            lost -= staying  # of what stands beside it: they have shares, until they are replaced


def _keys(roster: Roster) -> list[VerifyingKey]:
    return [member.key for member in roster.members]
