"""What the quorum machine wants done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


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
