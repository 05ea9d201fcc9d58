"""What a resharing fixes beforehand, and what its dealers send (steps 6.8.1 and 6.8.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort
from hsm_mpc.groups.proofs import ContextLabel, context_of
from hsm_mpc.groups.sharing import (
    MAX_HOLDERS,
    SECRET_SHARING,
    Sharing,
    evaluate_public,
    lagrange,
    require_ascending,
    require_index,
)
from hsm_mpc.protocols.dealing import Dealing, PadKey
from hsm_mpc.protocols.epoch_session import EpochSession, parsed_epoch
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret


@dataclass(frozen=True, slots=True)
class ReshareSetup(EpochSession):
    """Of the epoch whose key is shared anew. Make it with `of`.

    Dealers are counted in the old roster, receivers in the new one: who is in both has two indices.
    """

    dealers: tuple[int, ...]
    """Q: exactly t, ascending."""
    receiver_keys: tuple[bytes, ...]
    """V'_1..V'_n' of the new holders."""
    new_threshold: int
    """t'."""

    @classmethod
    def of(
        cls,
        suite: Suite,
        session: bytes,
        dealers: Sequence[int],
        delivery_keys: Sequence[bytes],
        commitments: Sequence[bytes],
        receiver_keys: Sequence[bytes],
        new_threshold: int,
    ) -> ReshareSetup:
        """The setup of the resharing named `session`, if it is one.

        Args:
            session: sid of step 6.4.1.
            delivery_keys: of the newest DONEs of the old holders.
            receiver_keys: of the HELLOs of the new ones.

        Raises:
            BadInput: `commitments` are not those of a certified epoch; dealers that are not
                strictly ascending in 1..n, or not exactly t; a new threshold out of 2..n'; a
                receiver's key that is no point.
            ProtocolAbort: threshold or number of old holders out of range; a delivery key that is
                no point (names its holder); a key of a receiver that is there twice.
        """
        keys, points = parsed_epoch(suite, delivery_keys, commitments)
        require_ascending(dealers, len(keys))
        if len(dealers) != len(points):
            raise BadInput(f"{len(dealers)} dealers where exactly {len(points)} are wanted")
        if not 2 <= new_threshold <= len(receiver_keys) <= MAX_HOLDERS:
            raise BadInput(f"a threshold of {new_threshold} among {len(receiver_keys)} holders")
        try:
            receivers = tuple(map(suite.group.parse_point, receiver_keys))
        except BadEncoding as malformed:
            raise BadInput(f"the delivery key of a new holder: {malformed}") from malformed
        if len(set(receivers)) != len(receivers):  # else two shares would go out under one pad
            raise ProtocolAbort("two new holders show one delivery key")
        context = context_of(suite, session, (*keys, *receivers), ContextLabel.RESHARE)
        return cls(suite, session, keys, points, context, tuple(dealers), receivers, new_threshold)

    @property
    def sharing(self) -> Sharing:
        """Each dealer's part of the key."""
        return SECRET_SHARING

    @property
    def threshold(self) -> int:
        """t', which the dealt polynomials have."""
        return self.new_threshold

    @property
    def receivers(self) -> Sequence[int]:
        """All new holders."""
        return range(1, len(self.receiver_keys) + 1)

    @property
    def partners(self) -> Sequence[int]:
        """The dealers."""
        return self.dealers

    def key_of_receiver(self, index: int) -> bytes:
        """V'_index."""
        return self.receiver_keys[require_index(index, len(self.receiver_keys)) - 1]

    def factor(self, dealer: int) -> int:
        """λ_dealer(Q; 0), never 0 (step 1.2.5)."""
        return lagrange(dealer, self.dealers, self.suite.group.order)

    def constant_of(self, dealer: int) -> bytes | None:
        """λ_dealer(Q; 0)·A(dealer): what this dealer has to share (step 6.8.3). It is a point.

        Raises:
            ProtocolAbort: A(dealer) is the identity, which no certified epoch allows.
        """
        group = self.suite.group
        public_share = evaluate_public(group, self.commitments, dealer)
        return group.multiply(public_share, self.factor(dealer))


def require_own_new_key(setup: ReshareSetup, me: int, delivery: Secret) -> None:
    """With another key nothing would open, and all honest dealers would be named.

    Raises:
        BadInput: `me` is no new holder.
        ProtocolAbort: `delivery` is not v' of new holder `me`.
    """
    own_key = setup.key_of_receiver(me)
    if setup.suite.group.public_point(delivery) != own_key:
        raise ProtocolAbort(f"the own delivery key does not stand at the new index {me}")


@dataclass(frozen=True, slots=True)
class ShareDealing(Dealing):
    """C_{i,0}..C_{i,t'−1} ‖ PoP_i ‖ PoP^E_i ‖ PoP^V_i ‖ E_i ‖ frame(c_{i,1}) ‖ …, step 6.8.2.

    It is DEAL behind its α and sid. To n' new holders; PoP_i proves the logarithm of C_{i,0}.
    """

    proves_keys: ClassVar[tuple[PadKey, ...]] = (PadKey.EPHEMERAL, PadKey.STATIC)
