"""Whom a coordinator names, where a protocol was aborted: by name, which is good in every roster.

An index is somebody in one roster only, and a wallet has had several: it ends where links to the
holders of that roster are at hand. The client's is put in by `told`, when the answer goes out.
"""

from __future__ import annotations

from collections.abc import Iterable

from hsm_mpc.errors import HoldersBlamed, HsmMpcError, ProtocolAbort
from hsm_mpc.roster import Roster


class NamedAbort(HoldersBlamed):
    """Each is named once, in the order of their names: they may come from several rosters."""

    def __init__(self, message: str, names: Iterable[str] = ()) -> None:
        super().__init__(message, sorted(set(names)))


def named_in(roster: Roster, indices: Iterable[int]) -> list[str]:
    """Who they are there; who lies may count holders that there are not."""
    return [roster.member(index).name for index in indices if 1 <= index <= roster.n]


def told(failure: HsmMpcError, pinned: Roster) -> HsmMpcError:
    """What a client hears, which counts holders as in the roster that it has pinned. Indices of
    which nobody has said whose they are name nobody.
    """
    if not isinstance(failure, ProtocolAbort):
        return failure
    names = failure.names if isinstance(failure, NamedAbort) else ()
    places = [place for place in range(1, pinned.n + 1) if pinned.member(place).name in names]
    return ProtocolAbort(str(failure), places)
