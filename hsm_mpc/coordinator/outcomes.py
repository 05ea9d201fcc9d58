"""Why there is no signature, said in the holders' names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from hsm_mpc.coordinator.blame import NamedAbort, named_in
from hsm_mpc.coordinator.quorum import Standing
from hsm_mpc.coordinator.quorum_actions import Fail
from hsm_mpc.errors import Declined, HsmMpcError, QuorumUnreachable
from hsm_mpc.roster import Roster

_SILENT: Final = (Standing.UNASKED, Standing.PARKED, Standing.BUSY)


def unreachable(roster: Roster, standings: Mapping[int, Standing], t: int) -> QuorumUnreachable:
    """Too few of the holders in `standings`, which are those that may sign, answer."""
    ready = sum(standing is Standing.READY for standing in standings.values())
    silent = _names(roster, standings, _SILENT)
    said = f"{ready} of {t} needed holders answer; missing: {', '.join(silent)}"
    if others := _names(roster, standings, (Standing.DECLINED, Standing.EXCLUDED)):
        said += f"; declined or excluded: {', '.join(others)}"
    return QuorumUnreachable(said, silent)


def failure(
    roster: Roster, standings: Mapping[int, Standing], fail: Fail, rules: Collection[str]
) -> HsmMpcError:
    """No quorum is left: proven cheats are culprits; else the holders declined, by `rules`."""
    said = "; ".join(
        f"{roster.member(index).name} {reason}" for index, reason in sorted(fail.reasons.items())
    )
    cheats = [index for index, standing in standings.items() if standing is Standing.EXCLUDED]
    if cheats:
        return NamedAbort(f"no quorum is left: {said}", named_in(roster, cheats))
    (rule,) = rules if len(rules) == 1 else ("",)
    return Declined(f"no quorum is left: {said}", rule)


def _names(
    roster: Roster, standings: Mapping[int, Standing], wanted: Collection[Standing]
) -> list[str]:
    indices = sorted(index for index, standing in standings.items() if standing in wanted)
    return [roster.member(index).name for index in indices]
