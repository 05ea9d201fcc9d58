"""How random walks are made."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def walked(
    machine: type[RuleBasedStateMachine], walks: int, *, steps: int, always_the_same: bool
) -> None:
    """So many walks of at most so many steps; else others in each run."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=walks,
            stateful_step_count=steps,
            derandomize=always_the_same,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
