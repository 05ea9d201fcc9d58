"""What a refresh fixes beforehand, and what its dealers send (steps 6.4.1 and 6.4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.groups.proofs import ContextLabel, context_of
from hsm_mpc.groups.sharing import ZERO_SHARING, Sharing, require_ascending
from hsm_mpc.protocols.dealing import Dealing, PadKey
from hsm_mpc.protocols.epoch_session import EpochSession, parsed_epoch
from hsm_mpc.protocols.suite import Suite


@dataclass(frozen=True, slots=True)
class RefreshSetup(EpochSession):
    """Of the epoch that is refreshed. Make it with `of`."""

    dealers: tuple[int, ...]
    """S, ascending."""

    @classmethod
    def of(
        cls,
        suite: Suite,
        session: bytes,
        dealers: Sequence[int],
        delivery_keys: Sequence[bytes],
        commitments: Sequence[bytes],
    ) -> RefreshSetup:
        """The setup of the refresh named `session`, if it is one.

        Args:
            session: sid of step 6.4.1.
            delivery_keys: of the newest DONEs.

        Raises:
            BadInput: `commitments` are not those of a certified epoch; dealers that are not
                strictly ascending in 1..n.
            ProtocolAbort: threshold or number of holders out of range; fewer than t dealers; a
                delivery key that is no point (names its holder), or there twice.
        """
        keys, points = parsed_epoch(suite, delivery_keys, commitments)
        require_ascending(dealers, len(keys))
        if len(dealers) < len(points):
            raise ProtocolAbort(f"{len(dealers)} dealers where {len(points)} are wanted")
        context = context_of(suite, session, keys, ContextLabel.REFRESH)
        return cls(suite, session, keys, points, context, tuple(dealers))

    @property
    def sharing(self) -> Sharing:
        """Of 0: no dealing changes the key."""
        return ZERO_SHARING

    @property
    def receivers(self) -> Sequence[int]:
        """All holders, present or not."""
        return range(1, self.holders + 1)

    @property
    def partners(self) -> Sequence[int]:
        """All holders."""
        return self.receivers


@dataclass(frozen=True, slots=True)
class ZeroDealing(Dealing):
    """C_{i,1}..C_{i,t−1} ‖ PoP_i ‖ PoP^E_i ‖ PoP^V_i ‖ E_i ‖ frame(c_{i,1}) ‖ …, step 6.4.2.

    It is DEAL behind its α and sid. No commitment to a constant: it would be the identity, and is
    nowhere sent.
    """

    proves_keys: ClassVar[tuple[PadKey, ...]] = (PadKey.EPHEMERAL, PadKey.STATIC)
