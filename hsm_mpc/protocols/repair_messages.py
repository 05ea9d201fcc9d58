"""What a repair fixes beforehand, and what its helpers send (steps 6.7.2, 6.7.3 and 6.7.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from hsm_mpc.encoding import Reader, u16be
from hsm_mpc.errors import BadInput
from hsm_mpc.groups import proofs
from hsm_mpc.groups.proofs import ContextLabel, context_of, signature_length
from hsm_mpc.groups.sharing import (
    AdditiveSharing,
    Sharing,
    evaluate_public,
    lagrange,
    require_ascending,
    require_index,
)
from hsm_mpc.protocols.dealing import Dealing, PadKey
from hsm_mpc.protocols.epoch_session import EpochSession, parsed_epoch
from hsm_mpc.protocols.pads import frame, read_frames, sealed_length
from hsm_mpc.protocols.suite import Suite

DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class RepairSetup(EpochSession):
    """Of the epoch whose share was lost; V_r is the new one. Make it with `of`."""

    lost: int
    """r."""
    helpers: tuple[int, ...]
    """H: exactly t, ascending, r not among them."""

    @classmethod
    def of(
        cls,
        suite: Suite,
        session: bytes,
        lost: int,
        helpers: Sequence[int],
        delivery_keys: Sequence[bytes],
        commitments: Sequence[bytes],
    ) -> RepairSetup:
        """The setup of the repair named `session`, if it is one (step 6.7.2).

        Args:
            session: sid, the tagged hash of ORDER-REPAIR.
            delivery_keys: of the newest DONEs, V_r of the order.

        Raises:
            BadInput: a new V_r that is no point (the order is to blame, no holder); `commitments`
                are not those of a certified epoch; indices out of 1..n; helpers that are not
                exactly t, not strictly ascending, or r among them.
            ProtocolAbort: threshold or number of holders out of range; another delivery key that
                is no point (names its holder), or one there twice.
        """
        given = list(delivery_keys)
        require_index(lost, len(given))
        given[lost - 1] = suite.group.parse_point(given[lost - 1])
        keys, points = parsed_epoch(suite, given, commitments)
        require_ascending(helpers, len(keys))
        if lost in helpers:
            raise BadInput(f"holder {lost} helps to repair its own share")
        if len(helpers) != len(points):
            raise BadInput(f"{len(helpers)} helpers where exactly {len(points)} are wanted")
        context = context_of(suite, session, keys, ContextLabel.REPAIR)
        return cls(suite, session, keys, points, context, lost, tuple(helpers))

    @property
    def sharing(self) -> Sharing:
        """Each helper's part of x_r, in summands."""
        return AdditiveSharing(self.helpers)

    @property
    def receivers(self) -> Sequence[int]:
        """The helpers."""
        return self.helpers

    @property
    def partners(self) -> Sequence[int]:
        """The helpers."""
        return self.receivers

    def factor(self, helper: int) -> int:
        """λ_helper(H; r), never 0 (step 1.2.5)."""
        return lagrange(helper, self.helpers, self.suite.group.order, self.lost)

    def public_share(self, index: int) -> bytes:
        """A(index) (step 1.6.6). Raises `ProtocolAbort`: it is the identity."""
        return evaluate_public(self.suite.group, self.commitments, index)


def require_helper(setup: RepairSetup, index: int) -> None:
    """Raises `BadInput`: holder `index` does not help in this repair."""
    if index not in setup.helpers:
        raise BadInput(f"holder {index} is none of the helpers {list(setup.helpers)}")


@dataclass(frozen=True, slots=True)
class Split(Dealing):
    """R1_i: D_{i,k} for k ∈ H ‖ PoP_i ‖ PoP^V_i ‖ E_i ‖ frame(c_{i,k}) for k ∈ H (step 6.7.3).

    PoP_i proves the logarithm of E_i, so that there is no PoP^E: a complaint about c_{i,k} then
    reveals multiples of E_i and V_i that their sender could compute before, and opens nothing that
    another helper sealed.
    """

    proven: ClassVar[int] = -1
    proves_keys: ClassVar[tuple[PadKey, ...]] = (PadKey.STATIC,)


@dataclass(frozen=True, slots=True)
class Summed:
    """R2_k, to r: digest ‖ PoP'_k ‖ PoP'^V_k ‖ E'_k ‖ frame(c) of σ_k (step 6.7.5)."""

    digest: bytes
    """Of the R1 messages whose deltas were added up, 32 bytes."""
    possession: bytes
    """PoP' of the logarithm of E'_k."""
    static_possession: bytes
    """PoP'^V of the logarithm of V_k."""
    ephemeral: bytes
    """E'_k."""
    sealed: bytes
    """σ_k under its pad."""

    def to_bytes(self) -> bytes:
        """See above."""
        proofs_of_keys = self.possession + self.static_possession
        return self.digest + proofs_of_keys + self.ephemeral + frame(self.sealed)

    @classmethod
    def from_bytes(cls, encoded: bytes, setup: RepairSetup) -> Summed:
        """Inverse of `to_bytes`.

        Raises:
            BadEncoding: anything else, or a point that is none.
        """
        suite, group = setup.suite, setup.suite.group
        reader = Reader(encoded, "a sum of deltas")
        digest, proof = reader.take(DIGEST_BYTES), signature_length(suite)
        possession, static_possession = reader.take(proof), reader.take(proof)
        ephemeral = group.parse_point(reader.take(group.point_length))
        (sealed,) = read_frames(reader, 1, sealed_length(suite))
        reader.end()
        return cls(digest, possession, static_possession, ephemeral, sealed)


def summed_message(setup: RepairSetup, helper: int, digest: bytes, ephemeral: bytes) -> bytes:
    """What PoP' and PoP'^V sign: context ‖ digest ‖ u16be(k) ‖ E' (step 6.7.5).

    With k in it no helper shows the E' of another one. It is shorter than what proofs of R1 sign.
    """
    return setup.context + digest + u16be(helper) + ephemeral


def verify_summed(setup: RepairSetup, helper: int, summed: Summed) -> None:
    """Raises `InvalidSignature`: PoP' does not verify under E', or PoP'^V under V of `helper`."""
    signed = summed_message(setup, helper, summed.digest, summed.ephemeral)
    proofs.verify(setup.suite, summed.possession, summed.ephemeral, signed)
    proofs.verify(setup.suite, summed.static_possession, setup.key_of(helper), signed)
