"""What a refresh fixes beforehand, and what its dealers send (steps 6.4.1 and 6.4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.groups.proofs import refresh_context
from hsm_mpc.groups.sharing import MAX_HOLDERS, ZERO_SHARING, Sharing, require_ascending
from hsm_mpc.protocols.dealing import Dealing
from hsm_mpc.protocols.suite import Suite


@dataclass(frozen=True, slots=True)
class RefreshSetup:
    """What everybody knows before anybody deals; all of it public. Make it with `of`."""

    suite: Suite
    session: bytes
    """sid of step 6.4.1."""
    dealers: tuple[int, ...]
    """S, ascending."""
    delivery_keys: tuple[bytes, ...]
    """V_1..V_n of the newest DONEs, present or not."""
    context: bytes
    """context_R."""
    commitments: tuple[bytes, ...]
    """A_0..A_{t−1} of the epoch that is refreshed."""

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

        Raises:
            BadInput: `commitments` are not those of a certified epoch; dealers that are not
                strictly ascending in 1..n.
            ProtocolAbort: threshold or number of holders out of range; fewer than t dealers; a
                delivery key that is no point (names its holder), or there twice.
        """
        holders, threshold = len(delivery_keys), len(commitments)
        if not 2 <= threshold <= holders <= MAX_HOLDERS:
            raise ProtocolAbort(f"a threshold of {threshold} among {holders} holders")
        require_ascending(dealers, holders)
        if len(dealers) < threshold:
            raise ProtocolAbort(f"{len(dealers)} dealers where {threshold} are wanted")
        keys, culprits = [], []
        for index, encoded in enumerate(delivery_keys, 1):
            try:
                keys.append(suite.group.parse_point(encoded))
            except BadEncoding:
                culprits.append(index)
        if culprits:
            raise ProtocolAbort("a delivery key is not a point", culprits)
        if len(set(keys)) != holders:  # else two shares would go out under one pad
            raise ProtocolAbort("two holders show one delivery key")
        try:
            points = tuple(map(suite.group.parse_point, commitments))
        except BadEncoding as malformed:
            raise BadInput(f"a commitment of the epoch: {malformed}") from malformed
        context = refresh_context(suite, session, keys)
        return cls(suite, session, tuple(dealers), tuple(keys), context, points)

    @property
    def sharing(self) -> Sharing:
        """Of 0: no dealing changes the key."""
        return ZERO_SHARING

    @property
    def threshold(self) -> int:
        """t."""
        return len(self.commitments)

    @property
    def holders(self) -> int:
        """n."""
        return len(self.delivery_keys)

    def key_of(self, index: int) -> bytes:
        """V_index."""
        return self.delivery_keys[index - 1]


@dataclass(frozen=True, slots=True)
class ZeroDealing(Dealing):
    """C_{i,1}..C_{i,t−1} ‖ PoP_i ‖ E_i ‖ frame(c_{i,1}) ‖ …: DEAL behind its α (step 6.4.2).

    No commitment to a constant: it would be the identity, and is nowhere sent.
    """
