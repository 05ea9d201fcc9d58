"""All holders at once: the failure that says most is told, and one that stalls keeps nobody."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import pytest

from hsm_mpc.coordinator.blame import NamedAbort
from hsm_mpc.coordinator.links import CALLS_AT_ONCE, HolderLinks
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    NameTaken,
    NotReady,
    ProtocolAbort,
    QuorumUnreachable,
    Refused,
    Tampered,
)
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.wire.calls import HolderMethod
from tests.software_identity import ed25519_key

ROSTER = Roster(
    True,
    1,
    FIRST_PREDECESSOR,
    tuple(Member(f"h{i}", ed25519_key(bytes([i]) * 32).public) for i in (1, 2, 3)),
)


class Link:
    """Answers with its own number, or fails."""

    def __init__(self, number: int, failure: HsmMpcError | None = None) -> None:
        self.number = number
        self.failure = failure
        self.closed = False

    def call(self, method: int, parts: Sequence[bytes], timeout: float) -> tuple[bytes, ...]:
        if self.failure is not None:
            raise self.failure
        return (bytes([self.number]), *parts)

    def close(self) -> None:
        self.closed = True


def links(failures: Mapping[int, HsmMpcError]) -> HolderLinks:
    return HolderLinks(ROSTER, {i: Link(i, failures.get(i)) for i in (1, 2, 3)})


def test_answers_stand_in_roster_order() -> None:
    answers = links({}).ask_all(HolderMethod.CHANNEL, [b"x"])
    assert answers == [(b"\1", b"x"), (b"\2", b"x"), (b"\3", b"x")]


def test_all_that_do_not_answer_are_named() -> None:
    silent = {2: BackendError("gone"), 3: NotReady("later")}
    with pytest.raises(QuorumUnreachable) as unreachable:
        links(silent).ask_all(HolderMethod.CHANNEL, [])
    assert unreachable.value.waiting_for == ("h2", "h3")
    assert "holder h2: gone" in str(unreachable.value)


@pytest.mark.parametrize("kind", [NameTaken, BadInput, InvalidSignature, Tampered])
def test_a_refusal_says_more_than_silence_and_whose_it_is(kind: type[HsmMpcError]) -> None:
    with pytest.raises(kind, match=r"^holder h3: so it is$"):
        links({1: BackendError("gone"), 3: kind("so it is")}).ask_all(HolderMethod.PROPOSE, [])


def test_an_abort_says_more_than_a_refusal_and_all_culprits_are_named() -> None:
    failures = {
        1: Refused("no-session", "what session?"),
        2: ProtocolAbort("bad point", [3]),
        3: ProtocolAbort("bad share", [1]),
    }
    with pytest.raises(NamedAbort) as aborted:
        links(failures).ask_all(HolderMethod.COMMITMENTS, [])
    assert aborted.value.names == ("h1", "h3")
    assert str(aborted.value) == "h2: bad point; h3: bad share"


def test_each_holder_is_told_apart() -> None:
    told = links({2: BackendError("gone", retryable=False)}).ask_each(HolderMethod.CHANNEL, [])
    assert told[1] == (b"\1",)
    failure = told[2]
    assert isinstance(failure, BackendError)
    assert (str(failure), failure.retryable) == ("holder h2: gone", False)


def test_a_holder_without_an_address_is_named() -> None:
    with pytest.raises(BackendError, match="holder h3 has no address here"):
        HolderLinks(ROSTER, {1: Link(1)}).ask(3, HolderMethod.CHANNEL, [])


def test_a_holder_that_stalls_keeps_only_its_own_threads() -> None:
    stalled = threading.Event()
    asked = links({})
    for _ in range(10 * CALLS_AT_ONCE):
        asked.submit(1, stalled.wait)
    try:
        answer = asked.submit(2, lambda: asked.ask(2, HolderMethod.CHANNEL, [])).result(20)
    finally:
        stalled.set()
    assert answer == (b"\2",)
    asked.close()


def test_closing_gives_every_link_up() -> None:
    made = {i: Link(i) for i in (1, 2, 3)}
    HolderLinks(ROSTER, made).close()
    assert all(link.closed for link in made.values())
