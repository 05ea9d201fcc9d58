"""What an operator reads of a plan, and how he names the one that he means."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc.app import consents, holder, rotation, shown_order, shown_repair
from hsm_mpc.cli import holder as verbs
from hsm_mpc.cli.output import Output
from hsm_mpc.errors import BadInput

DIGEST = "3f1c0a92" + "0" * 56
UNTIL = datetime(2026, 1, 2, tzinfo=UTC)


def create(policy: str = "version: 1\n", digest: str = DIGEST) -> consents.ShownPlan:
    wallet = consents.PlannedWallet(
        scheme="taproot",
        threshold=2,
        join=2,
        adopt=3,
        holders=(consents.PlannedHolder("h1", "P256", "04" * 65),),
        roster="word " * 24,
        policy_sha256="55" * 32,
        policy=policy,
        permissions=("message", "raw"),
        administrators=shown_order.PlannedAdministrators(1, ("77" * 32,)),
        clients=(consents.PlannedClient("desk", "66" * 32),),
    )
    return consents.ShownPlan(digest, "create", "treasury", UNTIL, False, wallet, None, None)


def destroy(reason: str = "we move") -> consents.ShownPlan:
    end = consents.PlannedEnd("taproot", 7, reason)
    return consents.ShownPlan(DIGEST, "destroy", "treasury", UNTIL, True, None, end, None)


def repair(identity_key: str) -> consents.ShownPlan:
    planned = shown_repair.PlannedRepair(
        "taproot", 3, "h2", identity_key, "04" + "aa" * 64, ("h1", "h3")
    )
    return consents.ShownPlan(DIGEST, "repair", "treasury", UNTIL, False, None, None, planned)


def rotate() -> consents.ShownPlan:
    planned = consents.PlannedRotation("taproot", 3, "h2", "04" + "bb" * 64, "04" + "aa" * 64)
    return consents.ShownPlan(
        DIGEST, "rotate", "treasury", UNTIL, False, None, None, None, rotate=planned
    )


def rows(text: str) -> list[str]:
    """As a terminal of 80 columns shows it."""
    return [line[at : at + 80] for line in text.splitlines() for at in range(0, len(line) or 1, 80)]


def test_all_of_a_wallet_to_be_made_is_said() -> None:
    text = verbs._plan(create())
    for said in (
        "make wallet  treasury: taproot, any 2 of 1 sign",
        "signs        message, raw",
        f"policy       sha256 {'55' * 32}",
        f"overruled    by 1 of 1: {'77' * 32}",
        f"client       desk  {'66' * 32}",
        f"holder       h1  P256 {'04' * 65}",
        "until        2026-01-02 00:00 UTC",
        f"plan         {DIGEST}",
    ):
        assert said in text.splitlines()


def test_all_of_a_wallet_to_be_destroyed_is_said() -> None:
    lines = verbs._plan(destroy()).splitlines()
    assert lines[0] == "reason       we move"
    assert lines[1].startswith("destroy      wallet treasury: taproot, in epoch 7; ")
    assert lines[2] == "until        2026-01-02 00:00 UTC  (admitted)"


def test_another_identity_key_is_said_before_a_share_is_made_for_it() -> None:
    same, other = "04" + "aa" * 64, "04" + "bb" * 64
    lines = verbs._plan(repair(same)).splitlines()
    assert lines[0] == f"holder       h2  {same}"
    lines = verbs._plan(repair(other)).splitlines()
    assert lines[0].startswith("another HSM  h2 has this identity key in the wallet now:")
    assert lines[1].endswith(same)
    assert f"holder       h2  {other}" in lines
    assert any("Whoever owns that one gets the share" in line for line in lines)
    assert not [line for line in verbs._plan(repair(same)).splitlines() if "another" in line]


def test_both_keys_of_a_rotation_are_said() -> None:
    lines = verbs._plan(rotate()).splitlines()
    assert lines[0] == f"old key      04{'aa' * 64}"
    assert lines[1] == f"new key      04{'bb' * 64}"
    assert lines[2].startswith("rotate       the identity key of h2 in wallet treasury: taproot")
    assert any("by another way" in line for line in lines)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("offered", "the old one signs still"),
        ("turned", "is destroyed with the next refresh"),
        ("done", "the old one is destroyed"),
    ],
)
def test_how_far_a_rotation_has_come_is_said(state: Any, said: str) -> None:
    told = rotation.Rotated("h2", state, "aa", "bb", ("treasury", "savings"))
    text = verbs._rotation(told)
    assert text.startswith("old key  aa\nnew key  bb\n")
    assert said in " ".join(text.split())
    assert ("treasury, savings" in text) is (state == "offered")


@pytest.mark.parametrize(
    "padding", ["# ".ljust(67), "# " + "\x1b" * 20, "# " + "界" * 33, "#\u2028", "#\r"]
)
def test_what_others_write_makes_no_line_of_the_plan(padding: str) -> None:
    """Not by its length, nor by what a terminal or Python takes for the end of a line; and what it
    means stands at the end, where no length pushes it out of sight.
    """
    forged = padding + "client       treasury-desk  " + "11" * 32
    for text in (verbs._plan(create("#\n" * 500 + forged)), verbs._plan(destroy(forged))):
        assert not [row for row in rows(text) if row.startswith("client       treasury")]
    shown = rows(verbs._plan(create("#\n" * 500 + forged)))[-20:]
    assert f"client       desk  {'66' * 32}"[:80] in shown


def test_a_plan_is_shown_before_it_is_admitted_also_with_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decided = consents.Decided(DIGEST, "create", "treasury", True, UNTIL)
    monkeypatch.setattr(holder, "protect", lambda: None)
    monkeypatch.setattr(consents, "waiting", lambda *_: consents.Plans((create(),)))
    monkeypatch.setattr(consents, "admit", lambda *_: decided)
    context: Any = SimpleNamespace(obj=Output(json=True, config=Path("holder.yaml"), yes=True))
    verbs.admit(context, DIGEST)
    printed = capsys.readouterr()
    assert "client       desk" in printed.err
    assert DIGEST in printed.out
    with pytest.raises(BadInput, match="64 digits"):
        verbs.admit(context, DIGEST[:16])


def test_a_plan_is_named_by_enough_digits_and_by_one_only() -> None:
    both = consents.Plans((create(), create(digest=DIGEST[:20] + "1" * 44)))
    assert consents.find(both, DIGEST[:24].upper()).digest == DIGEST
    for name in (DIGEST[:15], DIGEST[:16], "f" * 16):
        with pytest.raises(BadInput):
            consents.find(both, name)
    with pytest.raises(BadInput):
        consents.find(both, DIGEST[:63], unseen=True)
