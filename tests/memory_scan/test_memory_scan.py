"""No copy of a share, its data key or the PIN is at rest outside of the protected pages.

Not claimed, and not looked for: copies inside a call of C code, gone when it returns.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

import pytest

from tests.conftest import NO_MEMFD_SECRET
from tests.memory_scan.aes import round_keys
from tests.memory_scan.looks import BACKENDS, SCANNERS, SECRET_PAGES, Looks, scanned
from tests.memory_scan.needles import KEY_LAYOUTS, LAYOUTS, needles
from tests.memory_scan.search import Search

pytestmark = pytest.mark.serial

ABORTS: Final = {
    "wrong tag": "Tampered",
    "wrong wrapped key": "CiphertextRefused",
    "wrong key wrapped by RSA": "CiphertextRefused",
    "expected another context": "Tampered",
    "context exchanged": "CiphertextRefused",
    "key missing": "MissingKey",
    "failure before the content": "RuntimeError",
    "failure after the content": "RuntimeError",
}
JUST_MOVED: Final = {"data key decrypted", "signal sent"}
"""Here other code's memmove returned last, and vector registers still hold what it moved."""

OPENING: Final = [
    "data key decrypted",
    "data key unwrapped",
    "content decrypted",
    "share opened",
    "window shut",
]


@pytest.fixture(
    scope="module",
    params=[SCANNERS[0], *(pytest.param(each, marks=pytest.mark.long) for each in SCANNERS[1:])],
)
def looks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, softhsm_module: str
) -> Looks:
    """The scan itself, once as each kind of scanner."""
    return scanned("opening", request.param, tmp_path_factory.mktemp("scan"), softhsm_module)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_piece_of_a_secret_is_outside_of_the_protected_pages(looks: Looks, backend: str) -> None:
    outside = {
        (look["checkpoint"], hit["secret"], hit["layout"], hit["where"])
        for look in looks.of[f"{backend}:careful"]
        for hit in look["hits"]
        if not hit["protected"]
        if not (look["checkpoint"] in JUST_MOVED and hit["where"].endswith(" registers"))
    }
    assert outside == set()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_target_went_all_the_ways_that_the_scan_is_about(looks: Looks, backend: str) -> None:
    seen = looks.checkpoints(f"{backend}:careful")
    assert seen[1:3] == ["PIN read", "logged in"]
    assert [each for each in seen if each in OPENING] == 5 * OPENING
    assert seen.count("wiped") == 5
    assert "x + 1 computed" in seen
    assert "signal sent" in seen
    assert "many opened" in seen
    for name, failure in ABORTS.items():
        at = seen.index(f"{name}: {failure}")
        assert seen[at + 1] == f"{name}: over"
    assert seen[-1] == "arena closed"


def test_the_scan_finds_an_open_share_in_locked_pages(looks: Looks) -> None:
    """Root can read them: `kind` says so. While the window is shut the processor alone cannot."""
    opened = looks.hits("locked:careful", "share opened")
    assert {hit[0] for hit in opened} == {"x", "v", "data key"}
    assert {hit[0] for hit in looks.hits("locked:careful", "window shut")} == {"x", "v"}
    assert looks.hits("locked:careful", "PIN read") == {("PIN", "forward", "anonymous", True)}


def test_what_was_wiped_is_not_even_in_the_protected_pages(looks: Looks) -> None:
    aborted = [f"{name}: {failure}" for name, failure in ABORTS.items()]
    over = [f"{name}: over" for name in ABORTS]
    for checkpoint in ["logged in", "wiped", "thread over", "many opened", *aborted, *over]:
        assert looks.hits("locked:careful", checkpoint) == set(), checkpoint


@pytest.mark.skipif("memfd_secret" not in BACKENDS, reason=NO_MEMFD_SECRET)
def test_nobody_reads_an_open_share_in_secret_memory(looks: Looks) -> None:
    kind = "memfd_secret:careful"
    assert all(where.endswith(" registers") for _, _, where, _ in looks.hits(kind))
    unreadable = looks.unreadable(kind)
    assert unreadable["share opened"] == {SECRET_PAGES}
    assert unreadable["arena closed"] == set()
    assert set().union(*unreadable.values()) == {SECRET_PAGES}


def test_everything_else_was_read(looks: Looks) -> None:
    assert looks.everything_was_read()


@pytest.mark.parametrize("layout", KEY_LAYOUTS)
def test_a_copy_that_is_kept_is_found_in_every_layout(looks: Looks, layout: str) -> None:
    assert ("data key", layout, "anonymous", False) in looks.hits("locked:leaking", "copies kept")


def test_a_piece_in_registers_is_found(looks: Looks) -> None:
    places = {where for _, _, where, _ in looks.hits("locked:leaking", "registers filled")}
    assert "general registers" in places
    assert places & {"x86 vector registers", "floating point registers"}


def test_the_round_keys_are_those_of_the_standard() -> None:
    """FIPS 197, A.3."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    keys = round_keys(key)
    assert b"".join(keys[:2]) == key
    assert keys[2].hex() == "9ba354118e6925afa51a8b5f2067fcde"
    assert keys[14].hex() == "fe4890d1e6188d0b046df344706c631e"


def test_a_python_int_is_searched_as_the_interpreter_keeps_it() -> None:
    secret = bytes(range(1, 33))
    number = int.from_bytes(secret, "big")
    kept = ctypes.string_at(id(number), sys.getsizeof(number))
    assert all(
        needle.piece in kept
        for needle in needles("x", secret, {"30-bit digits": LAYOUTS["30-bit digits"]})
    )


def test_mostly_zero_pieces_are_left_out_because_they_are_everywhere() -> None:
    found = list(needles("x", bytes(24) + b"12345678", {"forward": LAYOUTS["forward"]}))
    assert [needle.piece for needle in found] == [b"12345678"]


def test_a_piece_is_found_at_every_offset_and_nowhere_else() -> None:
    (needle,) = needles("x", b"8 bytes!", {"forward": LAYOUTS["forward"]})
    search = Search()
    search.add([needle])
    for at in range(20):
        content = bytes(at) + needle.piece + bytes(20 - at)
        assert list(search.found(content, 0, len(content))) == [(needle, at)]
        assert list(search.found(content, at, at + 8)) == [(needle, at)]
        assert list(search.found(content, at + 1, len(content))) == []
        assert list(search.found(content, 0, at + 7)) == []
