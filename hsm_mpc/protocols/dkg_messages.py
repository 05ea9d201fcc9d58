"""What a key generation fixes beforehand, and its two messages (sections 2.4 and 2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.transcript import Transcript
from hsm_mpc.errors import BadEncoding, ProtocolAbort
from hsm_mpc.groups.proofs import context_of
from hsm_mpc.groups.sharing import MAX_HOLDERS, SECRET_SHARING, Sharing
from hsm_mpc.protocols.dealing import Dealing
from hsm_mpc.protocols.suite import Suite


@dataclass(frozen=True, slots=True)
class Setup:
    """What all holders know before round 1, and who we are. Make it with `agree`."""

    suite: Suite
    me: int
    """Own index, 1..n."""
    threshold: int
    static_keys: tuple[bytes, ...]
    """P_1..P_n, of this session only."""
    context: bytes
    extension: bytes
    """`ext`: bytes that the transcript binds besides (step 2.4.3)."""

    @property
    def sharing(self) -> Sharing:
        """Of the key."""
        return SECRET_SHARING

    @property
    def holders(self) -> int:
        """n."""
        return len(self.static_keys)

    @property
    def receivers(self) -> Sequence[int]:
        """All holders."""
        return range(1, self.holders + 1)

    @property
    def partners(self) -> Sequence[int]:
        """All holders."""
        return self.receivers

    def key_of(self, index: int) -> bytes:
        """P_index."""
        return self.static_keys[index - 1]

    def key_of_receiver(self, index: int) -> bytes:
        """P_index."""
        return self.key_of(index)


def agree(
    suite: Suite,
    threshold: int,
    static_keys: Sequence[bytes],
    me: int,
    own_key: bytes,
    session: bytes,
    extension: bytes,
) -> Setup:
    """The setup of a session named `session` (sid), if it is one (step 2.4.1).

    Raises:
        ProtocolAbort: threshold or number of holders out of range; a static key that is no point
            (names its holder), or there twice; own key not at the own index.
    """
    holders = len(static_keys)
    if not 2 <= threshold <= holders <= MAX_HOLDERS:
        raise ProtocolAbort(f"a threshold of {threshold} among {holders} holders")
    points, culprits = [], []
    for index, encoded in enumerate(static_keys, 1):
        try:
            points.append(suite.group.parse_point(encoded))
        except BadEncoding:
            culprits.append(index)
    if culprits:
        raise ProtocolAbort("a static key is not a point", culprits)
    if len(set(points)) != holders:
        raise ProtocolAbort("two holders show one static key")
    if not 1 <= me <= holders or points[me - 1] != own_key:
        raise ProtocolAbort(f"the own static key does not stand at the own index {me}")
    context = context_of(suite, session, points)
    return Setup(suite, me, threshold, tuple(points), context, extension)


@dataclass(frozen=True, slots=True)
class Dealing1(Dealing):
    """msg1_j: C_{j,0}..C_{j,t−1} ‖ PoP_j ‖ E_j ‖ frame(c_{j,1}) ‖ … (step 2.5.4)."""


def transcript(setup: Setup, dealings: Sequence[Dealing1]) -> Transcript:
    """T, which all holders sign (step 2.5.10); `dealings` in index order. No ciphertext in it."""
    return Transcript(
        suite=setup.suite,
        context=setup.context,
        threshold=setup.threshold,
        static_keys=setup.static_keys,
        commitments=tuple(dealing.commitments for dealing in dealings),
        possessions=tuple(dealing.possession for dealing in dealings),
        ephemeral_keys=tuple(dealing.ephemeral for dealing in dealings),
        extension=setup.extension,
    )
