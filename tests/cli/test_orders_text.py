"""What whoever orders, signs or consents reads of an order, and what he is asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc import ssh_agent
from hsm_mpc.app import administrator, consents, orders, protection
from hsm_mpc.app.administrator import KeyPlace
from hsm_mpc.app.order_files import Prepared
from hsm_mpc.app.shown_order import PlannedAdministrators, ShownOrder
from hsm_mpc.cli import admin, holder, wallet
from hsm_mpc.cli.orders import text_of
from hsm_mpc.cli.output import Output
from hsm_mpc.errors import BadInput
from tests.agents import add, agent
from tests.cli.conftest import Run
from tests.cli.test_plans_text import rows

__all__ = ["agent"]

DIGEST = "3f1c0a92" + "0" * 56


def order(reason: str = "h3 burnt", survives: int = 0, named: bool = False) -> ShownOrder:
    return ShownOrder(
        wallet="treasury",
        scheme="taproot",
        epoch=4,
        epoch_hash="11" * 32,
        successor="22" * 32,
        counted=("h1", "h2"),
        suspects=("h3",),
        reason=reason,
        threshold=2,
        survives=survives,
        administrators=PlannedAdministrators(1, ("77" * 32,)) if named else None,
        deadline=datetime(2026, 1, 2, tzinfo=UTC),
        plan=DIGEST,
    )


@pytest.fixture
def unprotected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protection, "protect", lambda: None)


def test_all_of_it_is_said() -> None:
    lines = text_of(order(named=True)).splitlines()
    for said in (
        "reason       h3 burnt",
        f"overruled    by 1 of 1: {'77' * 32}",
        "suspected    h3",
        "counted      h1, h2: each has confirmed epoch 5",
        f"ends         epoch 4, {'11' * 32}",
        f"goes on in   epoch 5, {'22' * 32}",
        "until        2026-01-02 00:00 UTC",
        f"plan         {DIGEST}",
    ):
        assert said in lines
    assert any(line.startswith("order        wallet treasury: taproot, any 2 ") for line in lines)
    assert not [line for line in text_of(order()).splitlines() if line.startswith("overruled")]


def test_the_margin_is_a_number_or_none() -> None:
    assert "margin       NONE: if one of h1, h2 loses its HSM" in text_of(order())
    assert "margin       the key survives 1 further lost HSMs of h1, h2" in text_of(
        order(survives=1)
    )


@pytest.mark.parametrize("padding", ["x" * 67, "\x1b[2J" * 20, "界" * 33, "\u2028"])
def test_what_a_reason_says_makes_no_line_of_the_order(padding: str) -> None:
    text = text_of(order(padding + "suspected    h1"))
    assert [row for row in rows(text) if row.startswith("suspected")] == ["suspected    h3"]


def test_an_operator_reads_it_before_he_consents() -> None:
    plan = consents.ShownPlan(
        DIGEST, "order", "treasury", order().deadline, False, None, None, None, order()
    )
    lines = holder._plan(plan).splitlines()
    assert "suspected    h3" in lines
    assert lines[-1] == f"plan         {DIGEST}"
    for texts in (holder._QUESTIONS, holder._DECLINED):
        assert "treasury" in texts["order"].format("treasury")


def ordered(monkeypatch: pytest.MonkeyPatch, *, yes: bool, plan: Path | None = None) -> list[Any]:
    """What `wallet order` does, with a client that knows this order."""
    done: list[Any] = []
    made = Prepared(order(), b"encoded")

    def prepare(*given: Any, **_: Any) -> Prepared[ShownOrder]:
        done.append(given)
        return made

    monkeypatch.setattr(orders, "prepare", prepare)
    monkeypatch.setattr(orders, "carry_out", lambda *given: done.append(given))
    monkeypatch.setattr(wallet, "_shown", lambda _: "carried out")
    output = Output(config=Path("client.yaml"), yes=yes, no_input=True)
    context: Any = SimpleNamespace(obj=output)
    wallet.order(context, "treasury", "22" * 32, "h3,h4", "h3 burnt", True, None, plan)
    return done


@pytest.mark.usefixtures("unprotected")
def test_an_order_is_read_and_confirmed_before_it_is_carried_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (asked, carried) = ordered(monkeypatch, yes=True)
    config = Path("client.yaml")
    assert asked == (config, "treasury", "22" * 32, ("h3", "h4"), "h3 burnt")
    assert carried[:2] == (config, "treasury")
    printed = capsys.readouterr()
    assert "suspected    h3" in printed.err
    assert printed.out == "carried out\n"
    with pytest.raises(BadInput, match="survives 0 further lost HSMs of h1, h2"):
        ordered(monkeypatch, yes=False)


@pytest.mark.usefixtures("unprotected")
def test_an_order_for_administrators_is_written_and_not_carried_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "plan"
    assert len(ordered(monkeypatch, yes=False, plan=file)) == 1
    assert file.read_bytes() == b"encoded"
    printed = capsys.readouterr()
    assert "suspected    h3" in printed.out
    assert f"{file}: for `hsm-mpc admin sign`" in printed.out


@pytest.mark.usefixtures("unprotected")
def test_an_administrator_reads_it_and_confirms_before_he_signs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, key, out = Path("plan"), Path("a.key"), Path("signature")
    signed: list[Any] = []

    def sign(*given: Any) -> administrator.SignedOrder:
        signed.append(given)
        return administrator.SignedOrder(order(), 1, out)

    monkeypatch.setattr(administrator, "show", lambda _: order())
    monkeypatch.setattr(administrator, "sign", sign)
    for yes in (False, True):
        context: Any = SimpleNamespace(obj=Output(yes=yes, no_input=True))
        if not yes:
            with pytest.raises(BadInput, match="go on without h3"):
                admin.sign(context, plan, out, key)
            assert signed == []
        else:
            admin.sign(context, plan, out, key)
            admin.sign(context, plan, out, agent=True, orders=Path("orders"))
    in_file = KeyPlace(key, Path("a.orders"))
    in_agent = KeyPlace(None, Path("orders"))
    assert signed == [(plan, place, out, DIGEST) for place in (in_file, in_agent)]
    printed = capsys.readouterr()
    assert "suspected    h3" in printed.err
    assert printed.out.startswith("signed by administrator 1: signature")


@pytest.mark.usefixtures("unprotected")
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"agent": True},
        {"orders": Path("orders")},
        {"key": Path("a.key"), "agent": True},
        {"key": Path("a.key"), "orders": Path("orders")},
        {"key": Path("a.key"), "agent": True, "orders": Path("orders")},
    ],
)
def test_a_key_is_in_a_file_or_in_the_agent(given: dict[str, Any]) -> None:
    context: Any = SimpleNamespace(obj=Output(yes=True, no_input=True))
    with pytest.raises(BadInput, match="--agent --orders FILE"):
        admin.sign(context, Path("plan"), Path("out"), **given)
    given.pop("orders", None)
    if len(given) != 1:
        with pytest.raises(BadInput, match="--key FILE for a new key"):
            admin.init(context, **given)


@pytest.mark.usefixtures("agent")
def test_the_agents_keys_are_entries_of_a_policy(run: Run, tmp_path: Path) -> None:
    assert "no Ed25519 or P-256 key" in run("admin", "init", "--agent").out
    add(tmp_path, "ed25519")
    (key,) = ssh_agent.listed()
    printed = run("admin", "init", "--agent").out
    assert printed == f"{{alg: 2, key: {key.key.encoded.hex()}}}  # ed25519\n"


def test_a_made_key_is_an_entry_of_a_policy(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.key"
    made = run("admin", "init", "--key", str(file))
    assert made.code == 0
    assert made.out.startswith("{alg: 2, key: ")
    again = run("--json", "admin", "init", "--key", str(file))
    assert json.loads(again.out)["error"]["kind"] == "name-taken"
    wrong = run("--yes", "admin", "sign", str(file), "--key", str(file), "--out", "nowhere")
    assert (wrong.code, wrong.out) == (2, "")
