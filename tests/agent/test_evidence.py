"""Evidence as a file (steps 1.7.4, 2.5.12, 3.4.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.agent.acting import NO_EPOCH
from hsm_mpc.agent.evidence import Case, keep_evidence
from hsm_mpc.errors import BadEncoding
from hsm_mpc.store import evidence as store_module
from hsm_mpc.wire.envelope import Address
from hsm_mpc.wire.rounds import COMMIT, HELLO, MessageKind
from tests.agent.simulate import NOTHING, World

messages = st.lists(st.binary(max_size=60), max_size=3).map(tuple)
channels = st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=60)), max_size=3)


@given(st.text(max_size=30), messages, channels.map(tuple))
def test_a_case_reads_back(
    reason: str, kept: tuple[bytes, ...], keys: tuple[tuple[int, bytes], ...]
) -> None:
    case = Case(reason.encode("utf-8", "replace").decode(), kept, keys)
    assert Case.from_bytes(case.to_bytes()) == case
    with pytest.raises(BadEncoding):
        Case.from_bytes(case.to_bytes() + b"\0")
    with pytest.raises(BadEncoding):
        Case.from_bytes(case.to_bytes()[:-1])


def test_other_bytes_are_no_case() -> None:
    with pytest.raises(BadEncoding, match="it is none"):
        Case.from_bytes(b"HMPC-EVIDENCE2" + bytes(10))


def test_a_long_reason_is_cut() -> None:
    case = Case("x" * 5000, (), ())
    assert len(Case.from_bytes(case.to_bytes()).reason) == 1000


def said(world: World, index: int, kind: MessageKind) -> bytes:
    acting = world.parties[index].acting
    wallet_id = world.proposal("treasury", 2).terms.wallet_id
    if kind is HELLO:
        return acting.identity_message(kind, wallet_id, NOTHING, b"hello")
    address = Address(wallet_id, NOTHING, NO_EPOCH, acting.me, 0)
    return acting.channel_message(kind, address, b"offer").to_bytes()


def test_a_case_holds_the_channels_of_those_who_signed_with_them(world: World) -> None:
    acting = world.parties[1].acting
    for index, source in enumerate(world.channels(), 1):
        acting.learn_channel(index, source)
    proof = [said(world, 2, COMMIT), said(world, 3, HELLO)]
    named = keep_evidence(acting.store.evidence, acting.keys, "two things", proof)
    case = Case.from_bytes(acting.store.evidence.load(named["evidence"]))
    assert case.messages == tuple(proof)
    assert [holder for holder, _ in case.channels] == [2]
    assert case.channels[0][1] == acting.keys.channels(2)[0].to_bytes()


def test_without_proof_there_is_no_case(world: World) -> None:
    acting = world.parties[1].acting
    assert keep_evidence(acting.store.evidence, acting.keys, "nothing", []) == {}
    assert acting.store.evidence.kept() == ()


def test_a_case_too_many_is_not_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MOST_FILES", 0)
    acting = world.parties[1].acting
    proof = [said(world, 2, HELLO)]
    assert keep_evidence(acting.store.evidence, acting.keys, "two things", proof) == {}
