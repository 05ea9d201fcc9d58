"""Leases: each is one secret nonce in one slot, to be used once or wiped (steps 3.2.2, 3.3.1, 3.4).

The table is the only shared state of signing. Whoever takes a lease out of it owns its slot and
wipes it on every path; nothing puts one back, nothing writes one to disk, a restart loses them all.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import BackendError, HsmMpcError, Refused
from hsm_mpc.secure.arena import Secret, release_all

OPEN_PER_WALLET: Final = 32
OPEN_IN_ALL: Final = 64
LIFETIME: Final = 30.0
"""Seconds that a lease stays open, and that the answer to a used one is remembered."""


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """What one nonce is for, computed by the holder itself.

    wallet_id 16 bytes, epoch_hash and request_id 32; k numbers the signatures of the request;
    message_digest is SHA-256 of the message to sign.
    """

    wallet_id: bytes
    epoch_hash: bytes
    request_id: bytes
    k: int
    message_digest: bytes

    def bound_to(self, lease_id: bytes) -> bytes:
        """`h_e ‖ request_id ‖ lease_id ‖ SHA-256(m)`, 112 bytes in a taproot nonce (step 3.3.2)."""
        return self.epoch_hash + self.request_id + lease_id + self.message_digest


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """One offer to sign once. Secret is `secret_nonce` alone.

    `key` is the output key for which it was made; `commit` is the own COMMIT message, byte for byte
    as it was sent.
    """

    lease_id: bytes
    terms: LeaseTerms
    key: bytes
    public_nonce: bytes
    commit: bytes
    secret_nonce: Secret


@dataclass(slots=True)
class _Used:
    """A lease that is gone: under which list, until when that is remembered, what was answered."""

    list_hash: bytes
    until: float
    answer: bytes | None = None


class LeaseTable:
    """The open leases of one signer, and the answers that were given. Safe to use from threads.

    `now` is seconds of a clock that only runs forward.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[bytes, tuple[Lease, float]] = {}  # in the order they were made
        self._used: dict[bytes, _Used] = {}

    def make_room(self, wallet_id: bytes, now: float) -> None:
        """Before a nonce is drawn: room for one lease more (step 3.3.1).

        A wallet with 32 open leases loses its oldest; another wallet's lease never makes room.

        Raises:
            BackendError: 64 leases are open; retryable.
        """
        with self._lock:
            self._make_room(wallet_id, now)

    def add(self, lease: Lease, now: float) -> None:
        """Keep an open lease for 30 s.

        Raises:
            BackendError: as `make_room`; then, or whatever else it raises, the lease is wiped.
        """
        with self._lock:
            try:
                self._make_room(lease.terms.wallet_id, now)
            except HsmMpcError:
                lease.secret_nonce.release()
                raise
            self._open[lease.lease_id] = (lease, now + LIFETIME)

    def open_for(self, terms: LeaseTerms, now: float) -> Lease | None:
        """The unused lease of these terms: what a repeated REQUEST is answered with (1.7.4)."""
        with self._lock:
            self._expire(now)
            return next((lease for lease in self._leases() if lease.terms == terms), None)

    def take(self, lease_id: bytes, list_hash: bytes, now: float) -> Lease:
        """The lease, which is used from now on, whatever becomes of it (step 3.4).

        Raises:
            Refused: `lease-unknown` (never made, expired, or before a restart) or `lease-used`.
        """
        with self._lock:
            self._expire(now)
            if lease_id in self._used:
                raise Refused("lease-used", "this nonce was used already")
            if lease_id not in self._open:
                raise Refused("lease-unknown", "this nonce was never made here, or is gone")
            lease, until = self._open[lease_id]
            if until <= now:  # one that was made earlier, and added later, hid it from `_expire`
                self._wipe(lease)
                raise Refused("lease-unknown", "this nonce was never made here, or is gone")
            self._used[lease_id] = _Used(list_hash, now + LIFETIME)
            del self._open[lease_id]
            return lease

    def answered(self, lease_id: bytes, answer: bytes) -> None:
        """Remember the PARTIAL message that was sent for a lease taken before (step 3.4.14)."""
        with self._lock:
            if lease_id in self._used:
                self._used[lease_id].answer = answer

    def answer(self, lease_id: bytes, list_hash: bytes, now: float) -> bytes | None:
        """The PARTIAL message that was sent for exactly this list, None if there is none."""
        with self._lock:
            self._expire(now)
            used = self._used.get(lease_id)
            return used.answer if used is not None and used.list_hash == list_hash else None

    def expire(self, now: float) -> None:
        """Wipe what is older than 30 s."""
        with self._lock:
            self._expire(now)

    def forget_epoch(self, wallet_id: bytes, epoch_hash: bytes) -> None:
        """Wipe the open leases of an epoch that signs no more (step 6.5.7)."""
        with self._lock:
            for lease in list(self._leases()):
                if (lease.terms.wallet_id, lease.terms.epoch_hash) == (wallet_id, epoch_hash):
                    self._wipe(lease)

    def open_sessions(self) -> frozenset[tuple[bytes, bytes]]:
        """(request_id, epoch_hash) of every open lease."""
        with self._lock:
            return frozenset(
                (lease.terms.request_id, lease.terms.epoch_hash) for lease in self._leases()
            )

    def close(self) -> None:
        """Wipe all of them."""
        with self._lock:
            secrets = [lease.secret_nonce for lease in self._leases()]
            self._open.clear()
            release_all(secrets)

    def __len__(self) -> int:
        """How many leases are open."""
        return len(self._open)

    def _leases(self) -> Iterator[Lease]:
        return (lease for lease, _ in self._open.values())

    def _make_room(self, wallet_id: bytes, now: float) -> None:
        self._expire(now)
        own = [lease for lease in self._leases() if lease.terms.wallet_id == wallet_id]
        if len(own) >= OPEN_PER_WALLET:
            self._wipe(own[0])
        if len(self._open) >= OPEN_IN_ALL:
            raise BackendError(f"{OPEN_IN_ALL} nonces are open on this signer: try again")

    def _expire(self, now: float) -> None:
        """Both are in the order in which they came, so only those that are over are looked at.

        Where two threads overtook each other, one waits for the other: `take` looks at its own end.
        """
        while self._open:
            lease, until = next(iter(self._open.values()))
            if until > now:
                break
            self._wipe(lease)
        while self._used:
            lease_id = next(iter(self._used))
            if self._used[lease_id].until > now:
                break
            del self._used[lease_id]

    def _wipe(self, lease: Lease) -> None:
        del self._open[lease.lease_id]
        lease.secret_nonce.release()
