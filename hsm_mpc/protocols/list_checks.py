"""What a signer checks of a SIGN list whatever the scheme (steps 3.4.1 to 3.4.7).

COMMITs come with their envelopes verified. What differs between schemes stands in their packages:
which sets there are, how a nonce parses, what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TypeVar

from hsm_mpc.errors import BadEncoding, BadInput, ProtocolAbort, Refused
from hsm_mpc.protocols.leases import LeaseTerms
from hsm_mpc.protocols.rounds import Faults
from hsm_mpc.protocols.signing_messages import Commitment

Allowed = Callable[[frozenset[int]], bool]
"""The quorum rule that the policy chose for a request: whether this set may sign."""

_Nonce = TypeVar("_Nonce")
_Set = TypeVar("_Set")

_session_of = attrgetter("wallet_id", "epoch_hash", "request_id", "k")


class RepeatedNonce(ProtocolAbort):
    """Two COMMITs with one lease_id or one public nonce. `pair` shows who; nobody is excluded."""

    def __init__(self, pair: tuple[int, int]) -> None:
        super().__init__(f"holders {pair[0]} and {pair[1]} committed to the same nonce")
        self.pair = pair


def require_same_session(now: LeaseTerms, made_for: LeaseTerms) -> None:
    """Step 3.4.1, for a lease out of the own table; `Refused` by `lease-session`."""
    if _session_of(now) != _session_of(made_for):
        raise Refused("lease-session", "this nonce was made for another request or epoch")


def signer_set(listed: Sequence[Commitment], signers: Callable[[Sequence[int]], _Set]) -> _Set:
    """Step 3.4.2: the listed holders made into a set by `signers` of the own epoch.

    Raises:
        ProtocolAbort: `signers` refuses them (`BadInput`); no culprit, it is the relay's doing.
    """
    try:
        return signers([entry.index for entry in listed])
    except BadInput as error:
        raise ProtocolAbort(f"SIGN list: {error}") from error


def require_one_signature(listed: Sequence[Commitment], k: int) -> None:
    """Step 3.4.2: every entry is for the k-th signature of the request.

    Raises:
        ProtocolAbort: no culprit, it is the relay's doing.
    """
    if any(entry.k != k for entry in listed):
        raise ProtocolAbort(f"SIGN list: an entry is not for signature {k}")


def require_allowed(listed: Sequence[Commitment], allowed: Allowed) -> None:
    """Step 3.4.3; `Refused` by `quorum`."""
    indices = [entry.index for entry in listed]
    if not allowed(frozenset(indices)):
        raise Refused("quorum", f"holders {indices} may not sign this by themselves")


def require_own_commit(listed: Sequence[Commitment], index: int, commit: bytes) -> None:
    """Step 3.4.4: holder `index` is there once, with the COMMIT message it sent.

    Raises:
        ProtocolAbort: no culprit, it is the relay's doing.
    """
    if [entry.message for entry in listed if entry.index == index] != [commit]:
        raise ProtocolAbort("SIGN list: our own COMMIT is missing or changed")


def parsed_nonces(
    listed: Sequence[Commitment], index: int, own: bytes, parse: Callable[[bytes], _Nonce]
) -> tuple[_Nonce, ...]:
    """Step 3.4.5; the nonce of holder `index` is `own`, out of the lease.

    Raises:
        ProtocolAbort: naming every holder whose nonce does not parse (`BadEncoding`).
    """
    faults, nonces = Faults(), []
    for entry in listed:
        try:
            nonces.append(parse(own if entry.index == index else entry.public_nonce))
        except BadEncoding as error:
            faults.blame(entry.index, f"public nonce: {error}")
    faults.raise_if_any()
    return tuple(nonces)


def require_no_nonce_twice(listed: Sequence[Commitment]) -> None:
    """Step 3.4.6; else `RepeatedNonce`."""
    seen: dict[bytes, int] = {}
    for entry in listed:
        for name in (entry.lease_id, entry.public_nonce):
            if name in seen:
                raise RepeatedNonce((seen[name], entry.index))
            seen[name] = entry.index


def require_same_message(now: LeaseTerms, made_for: LeaseTerms) -> None:
    """Step 3.4.7; `Refused` by `message-changed`."""
    if now.message_digest != made_for.message_digest:
        raise Refused("message-changed", "the request now gives another message to sign")
