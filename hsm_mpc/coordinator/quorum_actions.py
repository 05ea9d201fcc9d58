"""What the quorum machine wants done, and what it asks of a signature scheme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hsm_mpc.protocols.signing_messages import Commitment


class SignList(Protocol):
    """The aggregator's side of one SIGN list (`frost_bip340.aggregate.SigningList`)."""

    def verify(self, index: int, signature: bytes) -> None:
        """Raises `ProtocolAbort`: the partial signature of `index` is wrong."""

    def signature(self, signatures: Mapping[int, bytes]) -> bytes:
        """The finished signature, verified, of right partial ones.

        Raises:
            ProtocolAbort: there is none, because its culprits colluded.
            InvalidSignature: it does not verify.
        """


class Scheme(Protocol):
    """One message under one key (`frost_bip340.aggregate.Signing`)."""

    def parse_nonce(self, encoded: bytes) -> bytes:
        """The validated form of a public nonce. Raises `BadEncoding`."""

    def open(self, listed: Sequence[Commitment]) -> SignList:
        """A list of COMMITs, ascending, whose nonces were parsed."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send the REQUEST to holder `index`, also where it had one; it answers with a fresh COMMIT."""

    index: int


@dataclass(frozen=True, slots=True)
class Send:
    """Send this SIGN payload, the same bytes, to each of `signers`."""

    signers: tuple[int, ...]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Exclude:
    """Holder `index` is proven faulty and out of this request; report it with its `evidence`.

    Evidence is what it signed, verbatim; for a wrong partial signature the SIGN payload first. Of
    signers that colluded: the SIGN payload, its own PARTIAL, and those of the others.
    """

    index: int
    reason: str
    evidence: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Suspect:
    """Two COMMIT messages with one nonce or lease_id: one of the `pair` copied. Report them."""

    pair: tuple[int, int]
    evidence: tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Publish:
    """The signature, verified. Nothing follows."""

    signature: bytes


@dataclass(frozen=True, slots=True)
class Fail:
    """No allowed set is left; why, by holder. Nothing follows."""

    reasons: Mapping[int, str]


Action = Ask | Send | Exclude | Suspect | Publish | Fail
