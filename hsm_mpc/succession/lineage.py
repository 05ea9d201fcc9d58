"""The rosters of one wallet, from the pinned one to the one in force (step 6.7.2).

Each succession carries the amendments that the roster of its epoch has not seen, and the epoch that
it makes names what they make of it. Those of the newest epoch are still pending: some holders may
know of them, and others not yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.errors import BadInput, InvalidSignature
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.roster import Roster
from hsm_mpc.succession.amendment import Amendment, Change, Repaired, Rotated, amended
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import bundle, unbundled

_Group = tuple[bytes, ...]
"""Amendments of one roster, in their one order."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Amendments that hold, and the keys that they make."""

    terms: WalletTerms
    carried: tuple[_Group, ...]
    """By the successions that have carried any."""
    pending: _Group
    books: tuple[KeyBook, ...]
    """Under the pinned roster, and under that after each succession in `carried`."""
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
        """What amendments make of the pinned roster of the wallet of `terms`.

        Raises:
            BadInput, InvalidSignature: one of them does not hold there.
        """
        _require_new_keys([*(each for group in carried for each in group), *pending], first)
        books, groups = [first], []
        for group in carried:
            ordered, roster = amended(group, terms, books[-1].roster)
            if not ordered:
                raise BadInput("amendments: a succession that carries none")
            groups.append(ordered)
            books.append(first.under(roster))
        ordered, roster = amended(pending, terms, books[-1].roster)
        return cls(terms, tuple(groups), ordered, tuple(books), first.under(roster))

    @property
    def amendments(self) -> tuple[bytes, ...]:
        """All of them, the first one first."""
        return tuple(each for group in (*self.carried, self.pending) for each in group)

    @property
    def identity_keys(self) -> frozenset[VerifyingKey]:
        """Every one that a holder has, or had."""
        return frozenset([*_keys(self.books[0].roster), *map(_new_key, self.amendments)])

    def to_bytes(self) -> bytes:
        """Empty where nothing was ever amended; else a bundle of bundles, the last one pending."""
        if not self.carried and not self.pending:
            return b""
        return bundle([bundle(group) for group in (*self.carried, self.pending)])

    @classmethod
    def from_bytes(cls, source: bytes, terms: WalletTerms, first: KeyBook) -> Lineage:
        """Inverse of `to_bytes`. Raises: BadInput, InvalidSignature, as `of`."""
        *carried, pending = [unbundled(group) for group in unbundled(source)] or [()]
        return cls.of(carried, pending, terms, first)

    def book(self, roster_hash: bytes) -> KeyBook:
        """The keys under the roster that an epoch names.

        Raises:
            BadInput: no such roster came from the pinned one.
        """
        return self.books[self._place(roster_hash)]

    def since(self, roster_hash: bytes) -> KeyBook:
        """Those keys, and the ones that have taken their places: a holder that has another HSM
        speaks of an epoch that was made before by its new key.

        Raises:
            BadInput: as `book`.
        """
        later = [book.roster for book in self.books[self._place(roster_hash) + 1 :]]
        return self.book(roster_hash).and_later(*later, self.newest.roster)

    def before(self, roster_hash: bytes, carried: _Group) -> KeyBook:
        """The keys under the roster from which a succession that carried these came to that one.

        Raises:
            BadInput: as `book`; or it did not.
        """
        place = self._place(roster_hash)
        if carried and (place == 0 or changes_in(self.carried[place - 1]) != changes_in(carried)):
            raise BadInput("a roster that did not come from the pinned one by these amendments")
        return self.books[place - 1] if carried else self.books[place]

    def with_pending(self, source: bytes) -> Lineage:
        """With one amendment more; itself, if that is known.

        Raises:
            BadInput, InvalidSignature: it does not hold, or another one replaces that key.
        """
        if changes_in([source]) <= changes_in(self.amendments):
            return self
        return Lineage.of(self.carried, [*self.pending, source], self.terms, self.books[0])

    def to_carry(self, roster_hash: bytes) -> _Group:
        """All that has amended the roster of this hash since, for a succession from its epoch.

        Raises:
            BadInput: as `book`.
        """
        place = self._place(roster_hash)
        later = [each for group in (*self.carried[place:], self.pending) for each in group]
        return amended(later, self.terms, self.books[place].roster)[0]

    def lost_since(self, roster_hash: bytes) -> tuple[int, ...]:
        """Who has another HSM than under that roster, ascending.

        Raises:
            BadInput: as `book`.
        """
        return lost_in(self.to_carry(roster_hash))

    def after(self, roster_hash: bytes, carried: _Group) -> Lineage:
        """Once a succession has carried these amendments of that roster; what else has amended it
        is pending, as far as it holds still. Only a certificate says what was carried.

        Raises:
            BadInput, InvalidSignature: as `book` and `of`.
        """
        place = self._place(roster_hash)
        known = [changes_in(group) for group in self.carried[place : place + 1]]
        if not carried or known == [changes_in(carried)]:
            return self
        lineage = Lineage.of([*self.carried[:place], carried], (), self.terms, self.books[0])
        return lineage.merged_with(self.to_carry(roster_hash))

    def merged_with(self, told: Iterable[bytes]) -> Lineage:
        """With what of these holds and is not known yet, as pending. Whoever tells of them, nothing
        of what is known goes, and where the two part, this counts.
        """
        lineage, left = self, list(told)
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

    def _hashes(self) -> tuple[bytes, ...]:
        return tuple(book.roster.hash for book in self.books)

    def _place(self, roster_hash: bytes) -> int:
        hashes = self._hashes()
        if roster_hash not in hashes:
            raise BadInput("a roster that did not come from the pinned one")
        return hashes.index(roster_hash)


def _require_new_keys(amendments: Sequence[bytes], first: KeyBook) -> None:
    """No key comes back, whoever had it: of a lost HSM, somebody else may have found it."""
    keys = [*_keys(first.roster), *map(_new_key, amendments)]
    if len(set(keys)) != len(keys):
        raise BadInput("amendments: a holder has that key, or had it")


def _keys(roster: Roster) -> list[VerifyingKey]:
    return [member.key for member in roster.members]


def _new_key(source: bytes) -> VerifyingKey:
    return Amendment.from_bytes(source).identity_key


def changes_in(sources: Iterable[bytes]) -> set[Change]:
    """What amendments change, whoever has signed them. Raises: BadInput: one does not parse."""
    return {Amendment.from_bytes(source).change for source in sources}


def changes_of_rotations(sources: Iterable[bytes]) -> set[Change]:
    """Those that no helper has signed, but their operators wanted. Raises: as `changes_in`."""
    parsed = map(Amendment.from_bytes, sources)
    return {each.change for each in parsed if isinstance(each, Rotated)}


def lost_in(sources: Iterable[bytes]) -> tuple[int, ...]:
    """Who has lost its HSM, as amendments say, ascending. Raises: BadInput: one does not parse."""
    parsed = map(Amendment.from_bytes, sources)
    return tuple(sorted({each.index for each in parsed if isinstance(each, Repaired)}))


def rotated_in(sources: Iterable[bytes]) -> tuple[int, ...]:
    """Who has another key in the same HSM, ascending. Raises: as `lost_in`."""
    given = list(sources)
    lost = lost_in(given)
    indices = {Amendment.from_bytes(source).index for source in given}
    return tuple(sorted(index for index in indices if index not in lost))
