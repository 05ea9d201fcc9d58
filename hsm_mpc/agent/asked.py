"""Requests that passed policy, kept as long as a nonce waits for them (step 3.4.7)."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from hsm_mpc.agent.wallets import SigningWallet
from hsm_mpc.certificates.clients import Client
from hsm_mpc.errors import Refused
from hsm_mpc.protocols.leases import LIFETIME, OPEN_IN_ALL, LeaseTable
from hsm_mpc.requests import Request
from hsm_mpc.wire.inbox import Inbox

MOST_KEPT: Final = 2 * OPEN_IN_ALL
"""A request may be as long as a message; those without an open nonce make room."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asked, and what was received in the session that follows."""

    request: Request
    client: Client
    wallet: SigningWallet
    inbox: Inbox
    until: float


class AskedRequests:
    """By session; safe to use from threads. `now` is seconds of a clock that only runs forward."""

    def __init__(self, leases: LeaseTable) -> None:
        self._leases = leases
        self._lock = threading.Lock()
        self._asked: dict[bytes, Asked] = {}

    def remember(
        self,
        request: Request,
        client: Client,
        wallet: SigningWallet,
        now: float,
    ) -> None:
        """Keep a request until its nonces and the answers under them are over."""
        session_id = request.session_id(wallet.epoch_hash)
        with self._lock:
            known = self._asked.pop(session_id, None)
            received = Inbox(wallet.keys) if known is None else known.inbox.under(wallet.keys)
            self._asked[session_id] = Asked(request, client, wallet, received, now + 2 * LIFETIME)
            if len(self._asked) > MOST_KEPT:
                self._make_room(session_id)

    def of_session(self, session_id: bytes) -> Asked:
        """The request that a session answers.

        Raises:
            Refused: `lease-unknown`.
        """
        with self._lock:
            asked = self._asked.get(session_id)
        if asked is None:
            raise Refused("lease-unknown", "no nonce was made here for that request")
        return asked

    def expire(self, now: float) -> None:
        """Forget what is over."""
        with self._lock:
            self._asked = {key: asked for key, asked in self._asked.items() if asked.until > now}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._asked)

    def _make_room(self, newest: bytes) -> None:
        waiting = self._leases.open_sessions()
        self._asked = {
            key: asked
            for key, asked in self._asked.items()
            if key == newest or (asked.request.id, asked.wallet.epoch_hash) in waiting
        }
