"""What the holders of an epoch know before they deal to each other (steps 6.4.1 and 6.7.2).

They deal under their delivery keys: in a refresh all of them, in a repair the helpers of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.groups.sharing import MAX_HOLDERS, require_index
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret


@dataclass(frozen=True, slots=True)
class EpochSession:
    """Known to everybody beforehand; all of it public."""

    suite: Suite
    session: bytes
    """sid, 32 bytes."""
    delivery_keys: tuple[bytes, ...]
    """V_1..V_n, present or not."""
    commitments: tuple[bytes, ...]
    """A_0..A_{t−1} of the epoch."""
    context: bytes
    """What proofs and pads are bound to: step 2.4.2 with a label of the kind of session."""

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

    def key_of_receiver(self, index: int) -> bytes:
        """V_index: those who deal receive."""
        return self.key_of(index)


def parsed_epoch(
    suite: Suite, delivery_keys: Sequence[bytes], commitments: Sequence[bytes]
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """V_1..V_n and A_0..A_{t−1} as validated points.

    Raises:
        BadInput: `commitments` are not those of a certified epoch.
        ProtocolAbort: threshold or number of holders out of range; a delivery key that is no point
            (names its holder), or there twice.
    """
    holders, threshold = len(delivery_keys), len(commitments)
    if not 2 <= threshold <= holders <= MAX_HOLDERS:
        raise ProtocolAbort(f"a threshold of {threshold} among {holders} holders")
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
    return tuple(keys), points


def require_own_key(setup: EpochSession, me: int, delivery: Secret) -> None:
    """With another key nothing would open, and all honest dealers would be named.

    Raises:
        BadInput: `me` is no index.
        ProtocolAbort: `delivery` is not v of holder `me`.
    """
    require_index(me, setup.holders)
    if setup.suite.group.public_point(delivery) != setup.key_of(me):
        raise ProtocolAbort(f"the own delivery key does not stand at the own index {me}")
