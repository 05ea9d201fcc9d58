"""Who the holders are: cards, the roster made of them, and the fingerprint that people compare.

docs/protocols/conventions.md 1.2 and 1.6.3. A holder's index is its position in the roster; its
identity key is what it signs with inside its HSM.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from mnemonic import Mnemonic

from hsm_mpc.encoding import Reader, decoding, lv16, u8, u16be, u32be
from hsm_mpc.errors import BadEncoding, BadInput, Refused
from hsm_mpc.groups.sharing import MAX_HOLDERS, require_index
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import HolderIndex, checked_name
from hsm_mpc.tags import Tag, tagged_hash

FIRST_PREDECESSOR: Final = bytes(32)
"""What a first version names in place of its predecessor's hash."""


def read_name(reader: Reader, what: str) -> str:
    """A name behind its length in two bytes (step 1.6.3a), else `BadEncoding`."""
    raw = reader.lv16()
    try:
        return checked_name(raw.decode("ascii"), what)
    except (UnicodeDecodeError, BadInput) as error:
        raise BadEncoding(f"{what}: a name is 1 to 64 of a-z 0-9 . _ -") from error


def read_lab_flag(reader: Reader, what: str) -> bool:
    """`u8(flags)`: 1 marks what belongs to a lab, and no other flag exists (step 1.6.3)."""
    flags = reader.u8()
    if flags > 1:
        raise BadEncoding(f"{what}: flags {flags} are unknown")
    return flags == 1


def refuse_lab_mark_outside(lab_marked: bool, *, in_lab: bool, what: str) -> None:
    """A lab's cards and rosters consent by themselves, so they count only inside a lab.

    Raises:
        Refused: `lab-mark`.
    """
    if lab_marked and not in_lab:
        raise Refused("lab-mark", f"{what} is marked as a lab's and this is not a lab")


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of a roster: a holder's name and identity key."""

    name: str
    key: VerifyingKey

    def to_bytes(self) -> bytes:
        """`LV16(name) ‖ u8(alg) ‖ LV16(identity key)`."""
        return lv16(self.name.encode("ascii")) + self.key.to_bytes()


@dataclass(frozen=True, slots=True)
class Roster:
    """The ordered list of holders (step 1.6.3). Equal bytes, equal roster, equal hash.

    Raises:
        BadInput: from the constructor: no or too many holders, a name or key twice, a bad name,
            or a first version with a predecessor (a later one without).
    """

    lab: bool
    version: int
    predecessor: bytes
    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.members) <= MAX_HOLDERS:
            raise BadInput(f"a roster has 1 to {MAX_HOLDERS} holders, not {len(self.members)}")
        names = [checked_name(member.name, "holder") for member in self.members]
        if len(set(names)) != len(names):
            raise BadInput("two holders of the roster have one name")
        if len({member.key for member in self.members}) != len(self.members):
            raise BadInput("two holders of the roster have one identity key")
        if len(self.predecessor) != 32 or self.version < 1:
            raise BadInput("a roster's version begins at 1 and its predecessor is a hash")
        if (self.version == 1) != (self.predecessor == FIRST_PREDECESSOR):
            raise BadInput("a roster names a predecessor exactly if it is not version 1")

    @property
    def n(self) -> int:
        """How many holders."""
        return len(self.members)

    @property
    def hash(self) -> bytes:
        """`roster_hash`, 32 bytes: what people compare and what is pinned."""
        return tagged_hash(Tag.ROSTER, self.to_bytes())

    def member(self, index: int) -> Member:
        """The holder at `index`, else `BadInput`."""
        return self.members[require_index(index, self.n) - 1]

    def index_of(self, name: str) -> HolderIndex:
        """The index of the holder called `name`, else `BadInput`."""
        for position, member in enumerate(self.members):
            if member.name == name:
                return HolderIndex(position + 1)
        raise BadInput(f"no holder of the roster is called {name!r}")

    def with_key(self, index: int, key: VerifyingKey) -> Roster:
        """The next version, in which the holder at `index` has another identity key (step 6.7.2).

        Raises:
            BadInput: there is no such holder, or another one has this key.
        """
        members = list(self.members)
        members[require_index(index, self.n) - 1] = Member(self.member(index).name, key)
        return Roster(self.lab, self.version + 1, self.hash, tuple(members))

    def among(self, names: Collection[str]) -> Roster:
        """This one, if these are all of its holders; else one of them alone, in the same order.

        Raises:
            BadInput: a name that no holder has, or none at all.
        """
        for name in names:
            self.index_of(name)
        members = tuple(member for member in self.members if member.name in names)
        return self if members == self.members else Roster(self.lab, 1, FIRST_PREDECESSOR, members)

    def followed_by(self, members: Sequence[Member]) -> Roster:
        """The next version, of these holders (step 6.8.1). Raises: BadInput: they are no roster."""
        return Roster(self.lab, self.version + 1, self.hash, tuple(members))

    def check_succeeds(self, old: Roster) -> None:
        """This is the version right after `old` and says so (step 1.6.3).

        Raises:
            Refused: `roster-predecessor`.
        """
        if self.version != old.version + 1 or self.predecessor != old.hash:
            raise Refused(
                "roster-predecessor",
                f"roster version {self.version} does not follow version {old.version} by its hash",
            )

    def to_bytes(self) -> bytes:
        """`ROSTER`."""
        head = u8(self.lab) + u32be(self.version) + self.predecessor + u16be(self.n)
        return head + b"".join(member.to_bytes() for member in self.members)

    @classmethod
    def from_bytes(cls, source: bytes) -> Roster:
        """Inverse of `to_bytes`; `BadEncoding` for anything else."""
        reader = Reader(source, "roster")
        lab = read_lab_flag(reader, "roster")
        version = reader.u32be()
        predecessor = reader.take(32)
        members = tuple(
            Member(read_name(reader, "holder"), VerifyingKey.read(reader))
            for _ in range(reader.u16be())
        )
        reader.end()
        with decoding("roster"):
            return cls(lab, version, predecessor, members)


def check_among(roster: Roster, pinned: Roster) -> None:
    """A wallet's first roster has holders of the pinned one, in its order (step 2.6.1).

    Raises:
        BadInput: it has others.
    """
    if roster != pinned.among([member.name for member in roster.members]):
        raise BadInput("a roster of other holders than the pinned one's, or of them in other order")


def fingerprint_words(roster_hash: bytes) -> str:
    """The 32 bytes as 24 words of BIP 39 English, for reading out (step 1.6.3)."""
    return Mnemonic("english").to_mnemonic(roster_hash)
