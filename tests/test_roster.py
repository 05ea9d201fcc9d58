from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mnemonic import Mnemonic

from hsm_mpc.encoding import lv16, u8, u16be, u32be
from hsm_mpc.errors import BadEncoding, BadInput, Refused
from hsm_mpc.roster import (
    FIRST_PREDECESSOR,
    Member,
    Roster,
    fingerprint_words,
    refuse_lab_mark_outside,
)
from tests.software_identity import ed25519_key, p256_key

FIRST = Roster(
    lab=False,
    version=1,
    predecessor=FIRST_PREDECESSOR,
    members=tuple(Member(f"h{i}", p256_key(i).public) for i in (1, 2, 3)),
)
SECOND = replace(FIRST, version=2, predecessor=FIRST.hash)


def roster_of(members: Sequence[Member]) -> Roster:
    return replace(FIRST, members=tuple(members))


def test_the_bytes_of_a_roster_are_those_of_the_specification() -> None:
    """Step 1.6.3, written out."""
    expected = b"\0" + u32be(1) + bytes(32) + u16be(3)
    for i in (1, 2, 3):
        expected += lv16(b"h%d" % i) + u8(1) + lv16(p256_key(i).public.encoded)
    assert FIRST.to_bytes() == expected
    tag = hashlib.sha256(b"hsm-mpc/v1/roster").digest()
    assert FIRST.hash == hashlib.sha256(tag + tag + expected).digest()


@given(
    st.booleans(),
    st.integers(2, 2**32 - 1),
    st.binary(min_size=32, max_size=32).filter(any),
    st.lists(st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True), min_size=1, unique=True),
)
def test_any_roster_is_read_back_as_it_was_written(
    lab: bool, version: int, predecessor: bytes, names: list[str]
) -> None:
    members = tuple(Member(name, ed25519_key(u32be(i) * 8).public) for i, name in enumerate(names))
    roster = Roster(lab, version, predecessor, members)
    assert Roster.from_bytes(roster.to_bytes()) == roster


def test_swapped_roster_order_changes_roster_hash() -> None:
    """Step 1.6.3: an index is a position, so the order is part of what people compare."""
    assert roster_of(FIRST.members[::-1]).hash != FIRST.hash


def test_a_holder_is_found_by_index_and_by_name() -> None:
    """Step 1.2.1: indices begin at 1."""
    assert [FIRST.member(i).name for i in (1, 2, 3)] == ["h1", "h2", "h3"]
    assert [FIRST.index_of(name) for name in ("h1", "h2", "h3")] == [1, 2, 3]


@pytest.mark.parametrize("index", [0, 4, -1])
def test_an_index_outside_of_the_roster_is_refused(index: int) -> None:
    """Step 1.2.2."""
    with pytest.raises(BadInput, match="indices"):
        FIRST.member(index)


def test_a_name_that_is_not_in_the_roster_is_refused() -> None:
    with pytest.raises(BadInput, match="'h4'"):
        FIRST.index_of("h4")


def test_one_name_twice_is_refused() -> None:
    twice = [FIRST.members[0], replace(FIRST.members[1], name="h1")]
    with pytest.raises(BadInput, match="one name"):
        roster_of(twice)


def test_one_identity_key_twice_is_refused() -> None:
    twice = [FIRST.members[0], replace(FIRST.members[0], name="h2")]
    with pytest.raises(BadInput, match="one identity key"):
        roster_of(twice)


@pytest.mark.parametrize("count", [0, 256])
def test_a_roster_without_holders_or_with_too_many_is_refused(count: int) -> None:
    """Step 1.2.1."""
    members = [Member(f"h{i}", ed25519_key(u32be(i) * 8).public) for i in range(count)]
    with pytest.raises(BadInput, match="1 to 255 holders"):
        roster_of(members)


def test_a_roster_of_255_holders_is_read_back() -> None:
    members = [Member(f"h{i}", ed25519_key(u32be(i) * 8).public) for i in range(255)]
    roster = roster_of(members)
    assert Roster.from_bytes(roster.to_bytes()) == roster


@pytest.mark.parametrize("name", ["", "H1", "a b", "a" * 65, "ä", "a/b"])
def test_a_name_of_other_characters_is_refused(name: str) -> None:
    """Step 1.6.3a."""
    with pytest.raises(BadInput, match="a name is"):
        roster_of([replace(FIRST.members[0], name=name)])


@pytest.mark.parametrize(
    "version, predecessor",
    [(0, bytes(32)), (0, b"\1" * 32), (1, b"\1" * 32), (2, bytes(32)), (1, b""), (2, b"\1" * 31)],
)
def test_a_predecessor_that_contradicts_the_version_is_refused(
    version: int, predecessor: bytes
) -> None:
    with pytest.raises(BadInput, match="version"):
        replace(FIRST, version=version, predecessor=predecessor)


def test_a_roster_follows_the_version_before_it() -> None:
    SECOND.check_succeeds(FIRST)


@pytest.mark.parametrize(
    "new",
    [
        replace(SECOND, predecessor=b"\1" * 32),
        replace(SECOND, version=3),
        FIRST,
    ],
)
def test_a_roster_with_wrong_predecessor_is_refused(new: Roster) -> None:
    with pytest.raises(Refused) as refusal:
        new.check_succeeds(FIRST)
    assert refusal.value.rule == "roster-predecessor"


def test_a_lab_roster_outside_a_lab_is_refused() -> None:
    refuse_lab_mark_outside(True, in_lab=True, what="the roster")
    refuse_lab_mark_outside(False, in_lab=False, what="the roster")
    with pytest.raises(Refused) as refusal:
        refuse_lab_mark_outside(True, in_lab=False, what="the roster")
    assert refusal.value.rule == "lab-mark"


def test_unknown_flags_are_refused() -> None:
    with pytest.raises(BadEncoding, match="flags 2"):
        Roster.from_bytes(b"\2" + FIRST.to_bytes()[1:])


@pytest.mark.parametrize("name", [b"", b"H1", b"\xff", b"a" * 65])
def test_a_bad_name_in_the_bytes_is_refused(name: bytes) -> None:
    changed = FIRST.to_bytes().replace(lv16(b"h2"), lv16(name))
    with pytest.raises(BadEncoding, match="a name is"):
        Roster.from_bytes(changed)


def test_bytes_of_a_roster_that_breaks_a_rule_are_a_bad_encoding() -> None:
    changed = FIRST.to_bytes().replace(lv16(b"h2"), lv16(b"h1"))
    with pytest.raises(BadEncoding, match="roster: two holders"):
        Roster.from_bytes(changed)


@pytest.mark.parametrize(
    "digest, words",
    [
        (bytes(32), ("abandon " * 23 + "art")),
        (b"\xff" * 32, ("zoo " * 23 + "vote")),
        (b"\x7f" * 32, "legal winner thank year wave sausage worth useful " * 2
         + "legal winner thank year wave sausage worth title"),
    ],
)  # fmt: skip
def test_the_words_of_a_fingerprint_are_those_of_bip_39(digest: bytes, words: str) -> None:
    """The published vectors of BIP 39 for 32 bytes of entropy."""
    assert fingerprint_words(digest) == words


def test_the_words_give_the_fingerprint_back() -> None:
    words = fingerprint_words(FIRST.hash)
    assert len(words.split()) == 24
    assert bytes(Mnemonic("english").to_entropy(words)) == FIRST.hash
