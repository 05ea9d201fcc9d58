"""Signing at a holder: REQUEST → COMMIT, SIGN → PARTIAL (sections 3.2 to 3.4).

The order is the safety: policy, then a nonce; the lease is taken and its line is durable before any
check of a list; the line of the partial signature is durable before it leaves.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.wallets import HeldWallets, SigningWallet
from hsm_mpc.audit import Json
from hsm_mpc.certificates.clients import Client
from hsm_mpc.errors import BadEncoding, HsmMpcError, ProtocolAbort, Refused
from hsm_mpc.ids import EpochHash
from hsm_mpc.policy.facts import Facts, facts_of
from hsm_mpc.protocols.frost_bip340.lists import Task, answer, commit
from hsm_mpc.protocols.frost_bip340.nonces import PUBLIC_NONCE_BYTES
from hsm_mpc.protocols.leases import LIFETIME, Lease, LeaseTable
from hsm_mpc.protocols.signing_messages import (
    LEASE_ID_BYTES,
    Commitment,
    CommitPayload,
    PartialPayload,
    SignPayload,
    list_hash,
)
from hsm_mpc.requests import Request
from hsm_mpc.sealing.cms import SHARE_BYTES
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.wire.envelope import Address, Message, parse_envelope
from hsm_mpc.wire.inbox import Expected, Inbox
from hsm_mpc.wire.rounds import COMMIT, EVERYBODY, PARTIAL, REQUEST, SIGN

_NO_SESSION = bytes(32)
_SCALAR_BYTES = 32
_FIRST_SIGNATURE = 0
"""k of a request that asks for one signature."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request that passed policy, kept until its leases are over."""

    request: Request
    client: Client
    wallet: SigningWallet
    inbox: Inbox
    until: float


class SigningDesk:
    """All signing of one holder. Safe to use from threads.

    `ticks` is seconds of a clock that only runs forward.
    """

    def __init__(
        self, holder: ActingHolder, wallets: HeldWallets, ticks: Callable[[], float]
    ) -> None:
        self._holder = holder
        self._wallets = wallets
        self._ticks = ticks
        self._leases = LeaseTable()
        self._lock = threading.Lock()
        self._asked: dict[bytes, _Asked] = {}

    def request(self, source: bytes) -> tuple[bytes, ...]:
        """REQUEST → one COMMIT message; a repeat gets the open one again (step 1.7.4).

        Raises:
            Refused: by request checks or policy, with the rule.
            NotReady: the wallet is not active yet.
            BackendError: too many leases are open, or the HSM does not answer.
            BadEncoding, InvalidSignature: it is no request of a coordinator known here.
        """
        address = parse_envelope(source).address
        expected = Expected(REQUEST, address.wallet_id, _NO_SESSION, address.epoch_hash, None)
        message = self._holder.inbox().receive(source, expected, self._holder.clock())
        request = Request.from_bytes(message.payload)
        wallet = self._wallets.signing(address.wallet_id, address.epoch_hash)
        with self._refusals_recorded(request, address.epoch_hash):
            client = request.check(address.wallet_id, wallet.clients, self._holder.clock())
            facts = facts_of(request)
            wallet.policy.require(facts.permission)
        task = self._task(request, wallet, facts)
        now = self._ticks()
        lease = self._leases.open_for(task.terms, now)
        if lease is None:
            self._leases.make_room(address.wallet_id, now)
            lease = self._committed(task, request, wallet)
            self._leases.add(lease, now)
        self._remember(request, client, wallet, now)
        return (lease.commit,)

    def sign(self, source: bytes, channels: Sequence[bytes]) -> tuple[bytes, ...]:
        """SIGN → PARTIAL message; the same list is answered with the same bytes (step 3.4.14).

        Args:
            channels: CHANNEL messages of the signers, so that their COMMITs can be verified.

        Raises:
            Refused: by the checks of section 3.4, with the rule.
            ProtocolAbort: naming whose COMMIT is provably bad, or nobody (the relay).
            BackendError: the audit line cannot be written, or the HSM does not answer.
        """
        address = parse_envelope(source).address
        asked = self._asked_for(address.session_id)
        expected = Expected(
            SIGN, address.wallet_id, address.session_id, asked.wallet.body.hash, None
        )
        message = asked.inbox.receive(source, expected, self._holder.clock())
        payload = SignPayload.from_bytes(message.payload)
        digest = list_hash(message.payload)
        own = self._own_commit(payload)
        repeated = self._leases.answer(own.lease_id, digest, self._ticks())
        if repeated is not None:
            return (repeated,)
        lease = self._leases.take(own.lease_id, digest, self._ticks())
        try:
            self._holder.audit("lease-used", self._fields(lease, digest))
            self._learn(channels)
            listed = self._verified(asked, address, payload, lease)
            partial = self._partial(asked, address, message, listed, lease)
        except HsmMpcError as refused:
            self._record_refusal(asked.request, asked.wallet.body.hash, refused)
            raise
        finally:
            lease.secret_nonce.release()
        self._leases.answered(own.lease_id, partial)
        return (partial,)

    def forget(self) -> None:
        """Wipe every open lease: the signer ends."""
        self._leases.close()

    def expire(self) -> None:
        """Wipe leases and requests that are over."""
        now = self._ticks()
        self._leases.expire(now)
        with self._lock:
            self._asked = {key: asked for key, asked in self._asked.items() if asked.until > now}

    def _task(self, request: Request, wallet: SigningWallet, facts: Facts) -> Task:
        return Task(
            wallet_id=wallet.body.terms.wallet_id,
            request_id=request.id,
            k=_FIRST_SIGNATURE,
            index=self._holder.me,
            epoch=wallet.epoch_key,
            key=wallet.signing_key(request.content.paths[0]),
            message=facts.message,
            allowed=lambda signers: len(signers) >= wallet.body.terms.sizes.t,
        )

    def _committed(self, task: Task, request: Request, wallet: SigningWallet) -> Lease:
        """A fresh lease; the share is open only while its nonce is drawn (step 3.3.2)."""
        address = self._address(wallet, request.session_id(wallet.body.hash))

        def sealed(payload: bytes) -> bytes:
            return self._holder.channel_message(COMMIT, address, payload).to_bytes()

        with self._share(wallet) as share:
            return commit(task, os.urandom(LEASE_ID_BYTES), self._holder.entropy, share, sealed)

    @contextmanager
    def _share(self, wallet: SigningWallet) -> Iterator[Secret]:
        """⟦d⟧, unsealed for the length of the body."""
        with self._holder.arena.open(), self._holder.arena.scope() as take:
            content, share = take(SHARE_BYTES), take(_SCALAR_BYTES)
            wallet.share.open_into(content)
            with content.open() as source, share.open() as target:
                move_bytes(target, source, _SCALAR_BYTES)
            content.wipe()
            yield share

    def _partial(
        self,
        asked: _Asked,
        address: Address,
        message: Message,
        listed: Sequence[Commitment],
        lease: Lease,
    ) -> bytes:
        """Steps 3.4.1 to 3.4.15: the PARTIAL message, its audit line durable."""
        asked.request.check_time(self._holder.clock())  # step 3.4.7
        facts = facts_of(asked.request)
        asked.wallet.policy.require(facts.permission)
        self._wallets.signing(address.wallet_id, asked.wallet.body.hash)
        task = self._task(asked.request, asked.wallet, facts)
        signature = answer(task, lease, listed, self._share(asked.wallet))
        digest = list_hash(message.payload)
        signed = {
            **self._fields(lease, digest),
            "client": asked.client.name,
            "rule": facts.permission.value,
            "set": [entry.index for entry in listed],
        }
        self._holder.audit("partial-released", signed)
        payload = PartialPayload(lease.lease_id, digest, signature).to_bytes()
        back = Address(
            address.wallet_id,
            address.session_id,
            address.epoch_hash,
            self._holder.me,
            address.sender,
        )
        return self._holder.channel_message(PARTIAL, back, payload).to_bytes()

    def _own_commit(self, payload: SignPayload) -> CommitPayload:
        for source in payload.commits:
            message = parse_envelope(source)
            if message.address.sender == self._holder.me and message.kind is COMMIT:
                return CommitPayload.from_bytes(message.payload, PUBLIC_NONCE_BYTES)
        raise ProtocolAbort("SIGN list: our own COMMIT is missing")

    def _verified(
        self, asked: _Asked, address: Address, payload: SignPayload, lease: Lease
    ) -> list[Commitment]:
        """Step 3.4.2: every COMMIT of the list signed by its holder, and of this session."""
        expected = Expected(
            COMMIT,
            address.wallet_id,
            address.session_id,
            asked.wallet.body.hash,
            self._holder.everybody(),
        )
        listed = []
        for source in payload.commits:
            if source == lease.commit:
                message = parse_envelope(source)
            else:
                message = asked.inbox.receive(source, expected, self._holder.clock())
            parsed = _parsed_commit(message)
            asked.inbox.remember(message, parsed.lease_id)
            listed.append(
                Commitment(
                    message.address.sender, parsed.k, parsed.lease_id, parsed.public_nonce, source
                )
            )
        return listed

    def _learn(self, channels: Sequence[bytes]) -> None:
        for source in channels:
            self._holder.learn_channel(parse_envelope(source).address.sender, source)

    def _address(self, wallet: SigningWallet, session_id: bytes) -> Address:
        body = wallet.body
        return Address(body.terms.wallet_id, session_id, body.hash, self._holder.me, EVERYBODY)

    def _remember(
        self, request: Request, client: Client, wallet: SigningWallet, now: float
    ) -> None:
        self.expire()
        session_id = request.session_id(wallet.body.hash)
        with self._lock:
            known = self._asked.get(session_id)
            inbox = known.inbox if known is not None else self._holder.inbox()
            self._asked[session_id] = _Asked(request, client, wallet, inbox, now + 2 * LIFETIME)

    def _asked_for(self, session_id: bytes) -> _Asked:
        with self._lock:
            asked = self._asked.get(session_id)
        if asked is None:
            raise Refused("lease-unknown", "no nonce was made here for that request")
        return asked

    def _fields(self, lease: Lease, digest: bytes) -> dict[str, Json]:
        terms = lease.terms
        return {
            "wallet_id": terms.wallet_id.hex(),
            "epoch_hash": terms.epoch_hash.hex(),
            "request_id": terms.request_id.hex(),
            "k": terms.k,
            "lease_id": lease.lease_id.hex(),
            "message_sha256": terms.message_digest.hex(),
            "list": digest.hex(),
        }

    @contextmanager
    def _refusals_recorded(self, request: Request, epoch_hash: EpochHash) -> Iterator[None]:
        try:
            yield
        except Refused as refused:
            self._record_refusal(request, epoch_hash, refused)
            raise

    def _record_refusal(
        self, request: Request, epoch_hash: EpochHash, refused: HsmMpcError
    ) -> None:
        rule = refused.rule if isinstance(refused, Refused) else refused.kind
        self._holder.audit(
            "refused",
            {
                "wallet_id": request.content.wallet_id.hex(),
                "epoch_hash": epoch_hash.hex(),
                "request_id": request.id.hex(),
                "rule": rule,
            },
        )


def _parsed_commit(message: Message) -> CommitPayload:
    """A signed COMMIT that does not parse proves its sender's fault (step 1.10)."""
    try:
        return CommitPayload.from_bytes(message.payload, PUBLIC_NONCE_BYTES)
    except BadEncoding as malformed:
        raise ProtocolAbort(
            f"COMMIT of holder {message.address.sender} does not parse", [message.address.sender]
        ) from malformed
