"""What amendments and resharings change, whoever has signed them. A lineage says if they hold."""

from __future__ import annotations

from collections.abc import Iterable

from hsm_mpc.identity import VerifyingKey
from hsm_mpc.succession.amendment import Amendment, Change, Repaired, Rotated
from hsm_mpc.succession.resharings import is_resharing, resharing_in


def amendments_in(source: bytes) -> list[Amendment]:
    """The one, or those that a resharing has carried."""
    sources = resharing_in(source)[0].amendments if is_resharing(source) else (source,)
    return [Amendment.from_bytes(each) for each in sources]


def changes_in(sources: Iterable[bytes]) -> set[Change]:
    """What amendments change, whoever has signed them. Raises: BadInput: one does not parse."""
    return {change for source in sources for change in _changes(source)}


def _changes(source: bytes) -> list[Change]:
    changes = [each.change for each in amendments_in(source)]
    if is_resharing(source):  # it stands for itself, beside what it has carried
        changes.append((0, resharing_in(source)[0].body.hash, b""))
    return changes


def changes_of_rotations(sources: Iterable[bytes]) -> set[Change]:
    """Those that no helper has signed, but their operators wanted. Raises: as `changes_in`."""
    parsed = map(Amendment.from_bytes, sources)
    return {each.change for each in parsed if isinstance(each, Rotated)}


def lost_in(sources: Iterable[bytes]) -> tuple[int, ...]:
    """Who has lost its HSM, as amendments say, ascending. Raises: BadInput: one does not parse."""
    parsed = map(Amendment.from_bytes, sources)
    return tuple(sorted({each.index for each in parsed if isinstance(each, Repaired)}))


def rotated_in(sources: Iterable[bytes]) -> tuple[int, ...]:
    """Who has another key in the same HSM, ascending. Raises: as `lost_in`."""
    given = list(sources)
    lost = lost_in(given)
    indices = {Amendment.from_bytes(source).index for source in given}
    return tuple(sorted(index for index in indices if index not in lost))


def replaced_keys(sources: Iterable[bytes]) -> frozenset[VerifyingKey]:
    """Those in whose places others have come. Raises: BadInput: one does not parse."""
    return frozenset(each.known_key for source in sources for each in amendments_in(source))
