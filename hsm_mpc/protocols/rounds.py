"""What a round is, and the one driver of rounds.

A round is a pure function `round(keep, …) -> (next keep, Outbox)`. A keep is a frozen dataclass;
its `Secret` fields are the only secrets that live from one round to the next, and they belong to
exactly one round: `advance` wipes them afterwards, also when the round raised.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Concatenate, ParamSpec, Protocol, TypeVar

from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.secure.arena import Arena, Scope, Secret, release_all


class Keep(Protocol):
    """A frozen dataclass; see above."""

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]


@dataclass(frozen=True, slots=True)
class Outbox:
    """What a round sends."""

    to_all: bytes


class Faults:
    """Who broke which rule. A round collects all of them before it raises once (section 1.10)."""

    __slots__ = ("_reasons",)

    def __init__(self) -> None:
        self._reasons: dict[int, str] = {}

    def blame(self, index: int, reason: str) -> None:
        """Holder `index` is proven to be at fault; its first reason is kept."""
        self._reasons.setdefault(index, reason)

    def __contains__(self, index: int) -> bool:
        return index in self._reasons

    def raise_if_any(self) -> None:
        """Raises `ProtocolAbort` naming all culprits."""
        if self._reasons:
            reasons = (f"holder {index}: {self._reasons[index]}" for index in sorted(self._reasons))
            raise ProtocolAbort("; ".join(reasons), self._reasons)


_Keep = TypeVar("_Keep", bound=Keep)
_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")


def advance(
    round_: Callable[Concatenate[_Keep, _Arguments], _Result],
    keep: _Keep,
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> _Result:
    """Run one round on `keep` and wipe what it consumed, whatever happens (step 1.8.9)."""
    secrets = _secrets(keep)
    window = secrets[0].arena.open() if secrets else nullcontext()  # one for round and wiping
    with window:
        try:
            return round_(keep, *arguments, **named)
        finally:
            release_all(secrets)


def abort(keep: Keep) -> None:
    """Wipe the secrets of `keep`: the session ends here. Its public fields stay readable."""
    release_all(_secrets(keep))


def _secrets(keep: Keep) -> list[Secret]:
    values = [getattr(keep, field.name) for field in dataclasses.fields(keep)]
    return [value for value in values if isinstance(value, Secret)]


def kept(arena: Arena) -> Scope:
    """`with kept(arena) as take`: slots that outlive the body, unless it raises."""
    return _Kept(arena)


class _Kept(Scope):
    """What `kept` gives."""

    __slots__ = ()

    def __exit__(self, *raised: object) -> None:
        if raised[0] is not None:
            super().__exit__(*raised)
