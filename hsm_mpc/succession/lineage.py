"""The rosters of one wallet, each version made from the one before by an amendment (step 6.7.2).

Whoever pins the first one follows: an epoch names its roster by the hash in its body, and a message
of a succession verifies under the roster of the epoch that the succession makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.errors import BadInput
from hsm_mpc.succession.amendment import Amendment
from hsm_mpc.wire.channels import KeyBook


@dataclass(frozen=True, slots=True)
class Lineage:
    """Amendments that hold, and the keys before, between and after them."""

    amendments: tuple[bytes, ...]
    books: tuple[KeyBook, ...]
    """One more than amendments."""

    @classmethod
    def of(cls, amendments: Sequence[bytes], terms: WalletTerms, first: KeyBook) -> Lineage:
        """What amendments make of a roster of the wallet of `terms`, in their order.

        Raises:
            BadInput, InvalidSignature: one of them does not hold there.
        """
        books = [first]
        for source in amendments:
            books.append(Amendment.from_bytes(source).applied(terms, books[-1]))
        return cls(tuple(amendments), tuple(books))

    @property
    def newest(self) -> KeyBook:
        """Under the roster in force."""
        return self.books[-1]

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """roster_hash of each, the first one first."""
        return tuple(book.roster.hash for book in self.books)

    def book(self, roster_hash: bytes) -> KeyBook:
        """The keys under the roster that an epoch names.

        Raises:
            BadInput: no such roster came from the pinned one.
        """
        return self.books[self._place(roster_hash)]

    def book_before(self, roster_hash: bytes, amendments: int) -> KeyBook:
        """The keys from which so many amendments lead to that roster. Raises: BadInput."""
        place = self._place(roster_hash) - amendments
        if place < 0:
            raise BadInput("a roster that did not come from the pinned one")
        return self.books[place]

    def since(self, roster_hash: bytes) -> tuple[bytes, ...]:
        """What has amended the roster of this hash. Raises: BadInput, as `book`."""
        return self.amendments[self._place(roster_hash) :]

    def replaced(self) -> tuple[int, ...]:
        """Who has another identity key at the end than at the beginning, ascending."""
        first, last = self.books[0].roster, self.newest.roster
        indices = range(1, first.n + 1)
        return tuple(index for index in indices if first.member(index) != last.member(index))

    def joined(self, other: Lineage) -> Lineage:
        """With what `other` adds, whose first roster is one of these. Where they part, `other`
        counts: a certificate has it.

        Raises:
            BadInput: `other` begins elsewhere.
        """
        at = self._place(other.hashes[0])
        if self.hashes[at : at + len(other.books)] == other.hashes:
            return self
        return Lineage(self.amendments[:at] + other.amendments, self.books[:at] + other.books)

    def _place(self, roster_hash: bytes) -> int:
        if roster_hash not in self.hashes:
            raise BadInput("a roster that did not come from the pinned one")
        return self.hashes.index(roster_hash)
