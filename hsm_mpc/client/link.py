"""A client's link to its coordinator: how long each answer may take, and who is blamed, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hsm_mpc.errors import HoldersBlamed, ProtocolAbort
from hsm_mpc.roster import Roster
from hsm_mpc.wire.calls import CoordinatorMethod
from hsm_mpc.wire.transport import Transport

_SECONDS: Final[Mapping[CoordinatorMethod, float]] = {
    CoordinatorMethod.CREATE: 180.0,
    CoordinatorMethod.LIST: 90.0,
    CoordinatorMethod.SHOW: 90.0,
    CoordinatorMethod.SIGN: 60.0,
    CoordinatorMethod.STATUS: 90.0,
    CoordinatorMethod.REFRESH: 180.0,
    CoordinatorMethod.SUCCESSIONS: 90.0,
    CoordinatorMethod.DESTROY: 180.0,
    CoordinatorMethod.REPAIR: 240.0,
    CoordinatorMethod.RESHARE: 240.0,
    CoordinatorMethod.PLAN_REPAIR: 240.0,
    CoordinatorMethod.PLAN_ORDER: 180.0,
    CoordinatorMethod.ORDER: 180.0,
}
"""How long an answer is waited for."""


class CoordinatorLink:
    """One coordinator of holders that stand in this client's pinned roster."""

    def __init__(self, coordinator: Transport, roster: Roster) -> None:
        self._coordinator = coordinator
        self._roster = roster

    def called(self, method: CoordinatorMethod, parts: Sequence[bytes]) -> tuple[bytes, ...]:
        """The answer to a call.

        Raises:
            HoldersBlamed: a protocol was aborted: people know holders by their names.
            BackendError: there is none in time.
            HsmMpcError: what coordinator and holders say.
        """
        try:
            return self._coordinator.call(method, parts, _SECONDS[method])
        except ProtocolAbort as abort:
            known = [index for index in abort.culprits if 1 <= index <= self._roster.n]
            names = [self._roster.member(index).name for index in known]
            raise HoldersBlamed(str(abort), names) from abort
