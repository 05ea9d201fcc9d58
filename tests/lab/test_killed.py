"""What a holder stands on is killed with SIGKILL: the lab signs again without anybody's help."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import coincurve
import pytest

from tests.lab.labs import Lab, kill
from tests.modules.daemons import kill_daemon

PATIENCE = 60.0
"""Seconds that a signer may take to start on a busy machine."""
DAEMON_OF = {"h3": "p11kit", "h4": "opencryptoki"}
OTHERS = {"h1": "h2,h3", "h2": "h3,h4", "h3": "h1,h4", "h4": "h1,h2"}


def signed(lab: Lab, message: Path, holder: str) -> list[dict[str, Any]]:
    """Sign, by a quorum with this holder in it, until it goes well; the errors before."""
    quorum, end = f"{holder},{OTHERS[holder]}", time.monotonic() + PATIENCE
    met: list[dict[str, Any]] = []
    while True:
        answer = lab.client("sign", "treasury", "--message", str(message), "--signers", quorum)
        if answer.code == 0:
            break
        assert (answer.code, answer.error["retryable"]) == (4, True), answer.document
        met.append(answer.error)
        assert time.monotonic() < end, met
    assert holder in answer.document["signers"]
    key = coincurve.PublicKeyXOnly(bytes.fromhex(answer.document["public_key"]))
    assert key.verify(bytes.fromhex(answer.document["signature"]), message.read_bytes())
    return met


@pytest.mark.long
@pytest.mark.xdist_group("lab")
def test_a_lab_on_four_modules_signs_again_after_everything_was_killed_in_turn(
    mixed: Lab, message: Path
) -> None:
    mixed.well("wallet", "create", "treasury", "--scheme", "taproot", "--threshold", "3")

    def signer(holder: str) -> int:
        return int(mixed.holders()[holder]["signer_pid"])

    for holder, kind in DAEMON_OF.items():
        before = signer(holder)
        assert kill_daemon(before, kind)
        signed(mixed, message, holder)
        assert signer(holder) == before
    for holder in OTHERS:
        before = signer(holder)
        kill(before)
        signed(mixed, message, holder)
        assert signer(holder) != before
    for holder, kind in DAEMON_OF.items():
        before = signer(holder)
        assert kill_daemon(before, kind)
        kill(before)
        signed(mixed, message, holder)
        assert signer(holder) != before
    for holder in OTHERS:
        assert signed(mixed, message, holder) == []
