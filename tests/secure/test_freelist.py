"""The free list against a model: one flag per unit of memory."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hsm_mpc.secure.freelist import FreeList

LENGTH = 64


class FreeListAgainstModel(RuleBasedStateMachine):
    """Every answer is compared with what first fit over the flags gives."""

    extents = Bundle("extents")

    def __init__(self) -> None:
        super().__init__()
        self.list = FreeList(LENGTH)
        self.used = [False] * LENGTH

    def first_fit(self, length: int) -> int | None:
        for offset in range(LENGTH - length + 1):
            if not any(self.used[offset : offset + length]):
                return offset
        return None

    @rule(target=extents, length=st.integers(1, LENGTH))
    def take(self, length: int) -> tuple[int, int] | None:
        expected = self.first_fit(length)
        assert self.list.take(length) == expected
        if expected is None:
            return None
        self.used[expected : expected + length] = [True] * length
        return (expected, length)

    @rule(extent=consumes(extents))
    def give_back(self, extent: tuple[int, int] | None) -> None:
        if extent is not None:
            offset, length = extent
            self.list.give_back(offset, length)
            self.used[offset : offset + length] = [False] * length

    @invariant()
    def total_is_what_the_model_has_free(self) -> None:
        assert self.list.total == self.used.count(False)


TestFreeListAgainstModel = FreeListAgainstModel.TestCase
TestFreeListAgainstModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_neighbours_are_joined_on_both_sides() -> None:
    extents = FreeList(48)
    assert [extents.take(16) for _ in range(3)] == [0, 16, 32]
    extents.give_back(0, 16)
    extents.give_back(32, 16)
    assert extents.take(32) is None
    extents.give_back(16, 16)
    assert extents.take(48) == 0
