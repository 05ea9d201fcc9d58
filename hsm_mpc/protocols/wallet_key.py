"""What differs between the threshold signature schemes of a wallet, for whoever signs, adds up or
verifies. `protocols.wallet_keys.wallet_key_of` makes the one of a scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from hsm_mpc.protocols.leases import Lease, LeaseTerms
from hsm_mpc.protocols.list_checks import Allowed
from hsm_mpc.protocols.signing_messages import Commitment
from hsm_mpc.secure.arena import Secret
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.taproot.derivation import Path


@dataclass(frozen=True, slots=True)
class Wanted:
    """One signature that a request asks for, as a holder itself reads it: never received."""

    wallet_id: bytes
    request_id: bytes
    k: int
    """Numbers the signatures of the request, from 0."""
    path: Path
    message: bytes
    """What the scheme signs, of any length; out of the holder's own policy."""


class SigningTask(Protocol):
    """One wanted signature at one signer, computed anew for each round."""

    @property
    def terms(self) -> LeaseTerms:
        """What a lease for this task is bound to."""

    def commit(
        self,
        lease_id: bytes,
        entropy: Entropy,
        share: Secret,
        sealed: Callable[[bytes], bytes],
    ) -> Lease:
        """Round 1: a fresh nonce in a slot of its own.

        `lease_id` is 16 random bytes. `share` is only read: its owner wipes it at once. `sealed`
        makes the COMMIT message of its payload (header and signature).
        """

    def answer(
        self,
        lease: Lease,
        listed: Sequence[Commitment],
        share: AbstractContextManager[Secret],
    ) -> bytes:
        """Round 2: the partial signature, 32 public bytes, for a lease just taken out of the table.

        Entering `share` unseals it (32 bytes), and only after every check that needs no share.
        Both secrets are wiped whatever happens. The caller sends the result only once its audit
        line is durable (steps 3.4.14, 3.4.15).

        Raises:
            Refused, ProtocolAbort, BadInput: a check of section 3.4 or 4.4.
            Tampered: the share is not the certified one, or the result does not verify.
        """


class AggregatedList(Protocol):
    """The aggregator's side of one SIGN list."""

    def verify(self, index: int, signature: bytes) -> None:
        """Raises `ProtocolAbort`: the partial signature of `index` is wrong."""

    def signature(self, signatures: Mapping[int, bytes]) -> bytes:
        """The finished signature, verified, of right partial ones.

        Raises:
            ProtocolAbort: there is none, because its culprits colluded.
            InvalidSignature: it does not verify.
        """


class Aggregation(Protocol):
    """One message under one key, as a coordinator wants it signed."""

    def parse_nonce(self, encoded: bytes) -> bytes:
        """The validated form of a public nonce. Raises `BadEncoding`."""

    def open(self, listed: Sequence[Commitment]) -> AggregatedList:
        """A list of COMMITs, ascending, whose nonces were parsed."""


class WalletKey(Protocol):
    """The key of one epoch of a wallet; what is derived from it is kept. Nothing of it is secret.

    `path` is one that `require_path` lets pass.
    """

    @property
    def nonce_bytes(self) -> int:
        """The length of a public nonce in COMMIT."""

    @property
    def threshold(self) -> int:
        """How many holders sign."""

    def require_path(self, path: Path) -> None:
        """Raises `Refused`: `no-derivation`: keys of this scheme have no children."""

    def public_key(self, path: Path) -> bytes:
        """What signatures verify under, 32 bytes."""

    def task(self, wanted: Wanted, index: int, allowed: Allowed) -> SigningTask:
        """`wanted` at holder `index`."""

    def aggregation(self, path: Path, message: bytes) -> Aggregation:
        """The same at a coordinator."""

    def verify(self, path: Path, message: bytes, signature: bytes) -> None:
        """Raises `InvalidSignature`: it is no signature of `message` by the key at `path`."""
