"""Tests of one group, which share what is dear to make, run in one worker."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("one worker")
def test_the_scheduler_sees_the_group_of_a_test(request: pytest.FixtureRequest) -> None:
    by_group = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@one worker") is by_group
