"""How random walks are made."""

from __future__ import annotations

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

NEW_OF_A_RUN = 9
"""Hypothesis begins a run with the walk of the simplest choices. Once it has seen ten others, it
makes most walks from the last new one, by repeating a piece of it: of fifty in one run some ten had
little in common, of six runs of nine all but the first of each.
"""


def walked(
    machine: type[RuleBasedStateMachine], walks: int, *, steps: int, always_the_same: bool
) -> None:
    """So many walks of at most so many steps. `always_the_same`, as long as the code is, on whose
    constants Hypothesis draws; else others each time.
    """
    for run, done in enumerate(range(0, walks, NEW_OF_A_RUN)):
        if always_the_same:
            seed(run)(machine)
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=min(NEW_OF_A_RUN, walks - done),
                stateful_step_count=steps,
                derandomize=False,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
