"""`wallet order` on one machine, by the command line alone: a holder is stopped, and comes back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from tests.lab.labs import Lab, temporary_lab

pytestmark = pytest.mark.xdist_group("lab")


@pytest.fixture
def alone(softhsm_module: str) -> Iterator[Lab]:
    """A lab of its own: tests of the other one count its wallets."""
    with temporary_lab(softhsm_module) as lab:
        yield lab


def ended(lab: Lab, name: str) -> Any:
    """What `wallet show` says of the epoch before, once nobody is waited for."""
    until = time.monotonic() + 60
    while True:
        retired = lab.well("wallet", "show", name)["retired"]
        if retired["state"] == "done" or time.monotonic() > until:
            return retired
        time.sleep(0.5)


def test_administrators_end_an_epoch_without_a_stopped_holder(
    alone: Lab, message: Path, tmp_path: Path
) -> None:
    keys = [tmp_path / f"{name}.key" for name in "abc"]
    made = [alone.ran("admin", "init", "--key", str(key)).document for key in keys]
    entries = [{"alg": each["alg"], "key": each["key"]} for each in made]
    policy = tmp_path / "policy.yaml"
    administrators = {"threshold": 2, "keys": entries}
    rules = {"version": 1, "permissions": ["message"], "administrators": administrators}
    policy.write_text(json.dumps(rules))
    create = ("wallet", "create", "ruled", "--scheme", "taproot", "--threshold", "2")
    alone.well(*create, "--policy", str(policy))
    alone.lab("stop-holder", "h3")
    waits = alone.well("wallet", "refresh", "ruled", "--absent", "h3")
    assert waits["retired"]["waiting_for"] == ["h3"]
    newest = alone.well("wallet", "history", "ruled")["epochs"][-1]
    asked = ["wallet", "order", "ruled", "--epoch-hash", newest["epoch_hash"]]
    asked += ["--suspect", "h3", "--reason", "h3 burnt"]
    refused = alone.client("--yes", *asked)
    assert (refused.code, refused.error["rule"]) == (3, "no-margin")
    asked += ["--accept-no-margin"]
    plan = tmp_path / "plan"
    written = alone.well(*asked, "--plan", str(plan))
    assert (written["order"]["counted"], written["order"]["survives"]) == (["h1", "h2"], 0)
    signatures: list[str] = []
    for key in keys[:2]:
        assert alone.client("--yes", *asked, *signatures).code == 7
        out = key.with_suffix(".signature")
        signed = alone.ran(
            "--yes", "admin", "sign", str(plan), "--key", str(key), "--out", str(out)
        )
        assert signed.code == 0
        signatures += ["--signature", str(out)]
    after = alone.well("--yes", *asked, *signatures)
    assert (after["retired"]["ordered"], after["retired"]["suspects"]) == (True, ["h3"])
    alone.lab("start-holder", "h3")
    assert ended(alone, "ruled")["waiting_for"] == []
    for pair in combinations(("h1", "h2", "h3"), 2):
        signers = ",".join(pair)
        signed = alone.client("sign", "ruled", "--message", str(message), "--signers", signers)
        assert (signed.code, signed.document["epoch"]) == (0, 1)
    told = alone.well("wallet", "history", "ruled", "--verify")
    order = {"counted": ["h1", "h2"], "suspects": ["h3"], "reason": "h3 burnt"}
    assert [epoch["order"] for epoch in told["epochs"]] == [order, None]
    assert alone.well("wallet", "refresh", "ruled")["retired"]["ordered"] is False
