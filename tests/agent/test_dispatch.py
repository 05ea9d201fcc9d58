"""The dispatch table: what a signer answers, and that nothing ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import coincurve
import pytest

from hsm_mpc.agent import holdings
from hsm_mpc.agent.ceremonies import Ceremonies
from hsm_mpc.agent.dispatch import Dispatch
from hsm_mpc.errors import (
    BackendError,
    BadEncoding,
    HsmMpcError,
    InvalidSignature,
    NameTaken,
    Refused,
)
from hsm_mpc.ids import WalletId
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.store.record import EpochState
from hsm_mpc.wire.calls import MOST_BYTES, Call, HolderMethod, parts_of
from hsm_mpc.wire.holdings import Holding
from tests.agent.calling import asking, created, dispatch_of, fail, prepared, signed
from tests.agent.simulate import LAB_POLICY, World, Worlds


def answered(dispatch: Dispatch, method: int, *parts: bytes) -> tuple[bytes, ...]:
    return parts_of(dispatch.answer(Call(method, parts).to_bytes()))


def echo(parts: Sequence[bytes]) -> Sequence[bytes]:
    return parts


def test_a_method_gets_the_parts_of_its_call() -> None:
    assert answered(Dispatch({7: echo}, fail), 7, b"a", b"") == (b"a", b"")


def test_a_method_that_is_not_in_the_table_is_refused() -> None:
    with pytest.raises(BadEncoding, match="no method 8"):
        answered(Dispatch({7: echo}, fail), 8)


@pytest.mark.parametrize("source", [b"", b"\7", b"\7\0\1", b"\7\0\0\0", b"\7\0\1\0\0\0\2a"])
def test_bytes_that_are_no_call_are_refused(source: bytes) -> None:
    with pytest.raises(BadEncoding):
        parts_of(Dispatch({7: echo}, fail).answer(source))


def test_an_error_of_ours_is_told_with_its_rule() -> None:
    def refuse(_: Sequence[bytes]) -> Sequence[bytes]:
        raise Refused("some-rule", "no")

    with pytest.raises(Refused, match="no") as refused:
        answered(Dispatch({7: refuse}, fail), 7)
    assert refused.value.rule == "some-rule"


def test_an_unforeseen_error_is_reported_and_its_text_stays_here() -> None:
    def crash(_: Sequence[bytes]) -> Sequence[bytes]:
        raise KeyError("what stands here is nobody's business")

    reported: list[Exception] = []
    with pytest.raises(HsmMpcError) as told:
        answered(Dispatch({7: crash}, reported.append), 7)
    assert told.value.kind == "internal"
    assert "business" not in str(told.value)
    assert [type(each) for each in reported] == [KeyError]


def test_an_answer_that_no_frame_can_hold_is_not_sent() -> None:
    with pytest.raises(BackendError, match="answer of"):
        answered(Dispatch({7: lambda _: [bytes(MOST_BYTES)]}, fail), 7)


@pytest.mark.parametrize(
    ("method", "parts"),
    [
        (HolderMethod.PROPOSE, (b"",)),
        (HolderMethod.HELLOS, ()),
        (HolderMethod.COMMITMENTS, (b"", b"", b"")),
        (HolderMethod.CERTIFY, ()),
        (HolderMethod.DONES, ()),
        (HolderMethod.REQUEST, (b"", b"")),
        (HolderMethod.SIGN, ()),
        (HolderMethod.WALLETS, (b"", b"")),
        (HolderMethod.BLAME, ()),
        (HolderMethod.BLAME, (b"", b"")),
        (HolderMethod.CHANNEL, (b"no message",)),
    ],
)
def test_a_wrong_number_of_parts_is_refused(
    worlds: Worlds, method: HolderMethod, parts: tuple[bytes, ...]
) -> None:
    world = worlds(1)
    with pytest.raises(BadEncoding):
        answered(dispatch_of(world.parties[1]), method, *parts)


def test_holders_that_are_only_called_make_a_wallet_and_sign(world: World) -> None:
    holders = [asking(party) for party in world.parties.values()]
    certificate = run_shielded(lambda: created(world, holders))
    signature, key = run_shielded(lambda: signed(world, holders[:2], certificate, b"pay"))
    assert coincurve.PublicKeyXOnly(key).verify(signature, b"pay")


def test_a_taken_name_is_told(world: World) -> None:
    holders = [asking(party) for party in world.parties.values()]
    run_shielded(lambda: created(world, holders))
    with pytest.raises(NameTaken):
        run_shielded(lambda: prepared(world, holders, "treasury", 2))


def test_a_channel_that_its_holder_did_not_sign_is_refused(world: World) -> None:
    (channel,) = asking(world.parties[2])(HolderMethod.CHANNEL, ())
    with pytest.raises(InvalidSignature):
        asking(world.parties[1])(HolderMethod.CHANNEL, (channel[:-1] + bytes([channel[-1] ^ 1]),))


class Judging(Ceremonies):
    """Has accused somebody, and judges by what it is shown."""

    def __init__(self) -> None:
        pass

    def accusations(self, wallet_id: WalletId) -> tuple[bytes, ...]:
        return (b"blame of " + wallet_id,)

    def judge(self, source: bytes, proposal: bytes, hellos: Sequence[bytes]) -> int:
        assert (source, proposal, list(hellos)) == (b"blame", b"proposal", [b"1", b"2", b"3"])
        return 3


def test_a_holder_accuses_and_judges(world: World) -> None:
    party = replace(world.parties[1], ceremonies=Judging())
    assert asking(party)(HolderMethod.BLAME, (b"wallet",)) == (b"blame of wallet",)
    evidence = (b"blame", b"proposal", b"1", b"2", b"3")
    assert asking(party)(HolderMethod.BLAME, evidence) == (b"\0\3",)


def test_all_that_a_coordinator_lost_comes_back_from_a_holder(world: World) -> None:
    holders = [asking(party) for party in world.parties.values()]
    certificate = run_shielded(lambda: created(world, holders))
    (part,) = holders[0](HolderMethod.WALLETS, ())
    held = Holding.from_bytes(part)
    assert (held.name, held.policy_file) == ("treasury", LAB_POLICY)
    assert (held.wallet_id, held.epoch_hash) == (
        certificate.body.terms.wallet_id,
        certificate.body.hash,
    )
    assert held.state == EpochState.ACTIVE
    assert held.certificate == certificate.to_bytes()
    assert len(held.dones) == 3
    assert held.dones[0] == held.done


def test_a_wallet_without_certificate_is_told_of_too(world: World) -> None:
    holders = [asking(party) for party in world.parties.values()]
    run_shielded(lambda: prepared(world, holders, "begun", 2))
    held = Holding.from_bytes(holders[0](HolderMethod.WALLETS, ())[0])
    assert (held.state, held.certificate, held.done, held.dones) == (
        EpochState.PREPARED,
        b"",
        b"",
        (),
    )


def test_pages_of_wallets_follow_each_other_to_the_last(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdings, "PAGE_BYTES", 1)  # one wallet fills a page
    world = worlds(2)
    holders = [asking(party) for party in world.parties.values()]
    for name in ("a", "b", "c"):
        run_shielded(lambda name=name: prepared(world, holders, name, 2))  # type: ignore[misc]
    names, page = [], holders[0](HolderMethod.WALLETS, ())
    while page:
        (part,) = page
        held = Holding.from_bytes(part)
        names.append(held.name)
        page = holders[0](HolderMethod.WALLETS, (held.place,))
    assert sorted(names) == ["a", "b", "c"]
