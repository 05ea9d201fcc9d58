"""Signing at a holder: REQUEST → COMMIT, SIGN → PARTIAL (sections 3.2 to 3.4).

The order is the safety: policy, then a nonce; the lease is taken and its line is durable before any
check of a list; the line of the partial signature is durable before it leaves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from hsm_mpc.agent.acting import NO_SESSION, ActingHolder
from hsm_mpc.agent.asked import Asked, AskedRequests
from hsm_mpc.agent.refusals import refusals_recorded
from hsm_mpc.agent.sign_lists import SignList
from hsm_mpc.agent.wallets import HeldWallets, SigningWallet
from hsm_mpc.audit import Json
from hsm_mpc.errors import Refused, Tampered
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.policy.facts import Facts, facts_of
from hsm_mpc.protocols.leases import Lease, LeaseTable
from hsm_mpc.protocols.signing_messages import LEASE_ID_BYTES, PartialPayload
from hsm_mpc.protocols.wallet_key import SigningTask, Wanted
from hsm_mpc.requests import Request
from hsm_mpc.sealing.cms import SHARE_BYTES
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.wire.envelope import Address, parse_envelope
from hsm_mpc.wire.inbox import Expected
from hsm_mpc.wire.rounds import COMMIT, EVERYBODY, PARTIAL, REQUEST, SIGN

_SCALAR_BYTES: Final = 32
_FIRST_SIGNATURE: Final = 0
"""k of a request that asks for one signature."""


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
        self._asked = AskedRequests(self._leases)

    def request(self, source: bytes) -> tuple[bytes, ...]:
        """REQUEST → one COMMIT message; a repeat gets the open one again (step 1.7.4).

        Raises:
            Refused: by request checks or policy, with the rule.
            NotReady: the wallet is not active yet.
            Tampered: store, register and token do not belong together.
            BackendError: too many leases are open, or the HSM does not answer.
            BadEncoding, InvalidSignature: it is no request of a coordinator known here.
        """
        address = parse_envelope(source).address
        expected = Expected(REQUEST, address.wallet_id, NO_SESSION, address.epoch_hash, None)
        message = self._holder.inbox().receive(source, expected, self._holder.clock())
        request = Request.from_bytes(message.payload)
        named = _named(address.wallet_id, address.epoch_hash, request.id)
        with refusals_recorded(self._holder, named):
            wallet = self._wallets.signing(address.wallet_id, address.epoch_hash)
            client = request.check(address.wallet_id, wallet.clients, self._holder.clock())
            facts = facts_of(request, wallet.scheme)
            wallet.key.require_path(request.content.paths[0])
            wallet.policy.require(facts.permission)
        task = self._task(request, wallet, facts)
        now = self._ticks()
        lease = self._leases.open_for(task.terms, now)
        if lease is None:
            self._leases.make_room(wallet.wallet_id, now)  # step 3.3.1
            lease = self._committed(task, request, wallet)
            self._leases.add(lease, self._ticks())  # opening a share takes as long as its HSM
        self._asked.remember(request, client, wallet, now)
        return (lease.commit,)

    def sign(self, source: bytes, channels: Sequence[bytes]) -> tuple[bytes, ...]:
        """SIGN → PARTIAL message; the same list is answered with the same bytes (step 3.4.14).

        Args:
            channels: CHANNEL messages of the signers, so that their COMMITs can be verified.

        Raises:
            Refused: by the checks of section 3.4, with the rule.
            ProtocolAbort: naming whose COMMIT is provably bad, or nobody (the relay).
            BadInput, Tampered: steps 3.4.8 to 3.4.12.
            BackendError: the audit line cannot be written, or the HSM does not answer.
            BadEncoding, InvalidSignature: it is no SIGN of a coordinator known here.
        """
        session_id = parse_envelope(source).address.session_id
        asked = self._asked.of_session(session_id)
        wallet = asked.wallet
        expected = Expected(SIGN, wallet.wallet_id, session_id, wallet.epoch_hash, None)
        message = asked.inbox.receive(source, expected, self._holder.clock())
        signers = SignList.of(message, wallet.holders, wallet.key.nonce_bytes)
        own = signers.lease_id_of(wallet.me)
        repeated = self._leases.answer(own, signers.digest, self._ticks())
        if repeated is not None:
            return (repeated,)
        for channel in channels:
            wallet.keys.learn_message(channel, self._holder.clock())
        named = _named(wallet.wallet_id, wallet.epoch_hash, asked.request.id)
        named["list"] = signers.digest.hex()
        with refusals_recorded(wallet.seat, named, signers.payload.commits):
            asked.inbox.remember(message, signers.slot)
            lease = self._leases.take(own, signers.digest, self._ticks())
            try:
                self._holder.audit("lease-used", _of_lease(lease, signers))
                answer = self._partial(asked, signers, lease)
            finally:
                lease.secret_nonce.release()
        self._leases.answered(own, answer)
        return (answer,)

    def forget(self) -> None:
        """Wipe every open lease: the signer ends."""
        self._leases.close()

    def forget_epoch(self, wallet_id: WalletId, epoch_hash: EpochHash) -> None:
        """Nothing is signed in this epoch any more: its key is about to go (step 6.5.7)."""
        self._wallets.forget(wallet_id)
        self._leases.forget_epoch(wallet_id, epoch_hash)

    def expire(self) -> None:
        """Wipe leases and requests that are over."""
        now = self._ticks()
        self._leases.expire(now)
        self._asked.expire(now)

    def _task(self, request: Request, wallet: SigningWallet, facts: Facts) -> SigningTask:
        """What this holder itself makes of a request; keys are derived, never received."""
        path = request.content.paths[0]
        wanted = Wanted(wallet.wallet_id, request.id, _FIRST_SIGNATURE, path, facts.message)
        key = wallet.key
        return key.task(wanted, wallet.me, lambda signers: len(signers) >= key.threshold)

    def _committed(self, task: SigningTask, request: Request, wallet: SigningWallet) -> Lease:
        """A fresh lease; the share is open only while its nonce is drawn (step 3.3.2)."""
        address = self._address(wallet, request.session_id(wallet.epoch_hash), EVERYBODY)

        def sealed(payload: bytes) -> bytes:
            return self._holder.channel_message(COMMIT, address, payload).to_bytes()

        with self._share(wallet) as share:
            lease_id = os.urandom(LEASE_ID_BYTES)
            return task.commit(lease_id, self._holder.entropy, share, sealed)

    @contextmanager
    def _share(self, wallet: SigningWallet) -> Iterator[Secret]:
        """⟦d⟧, unsealed for the length of the body."""
        with self._holder.arena.open(), self._holder.arena.scope() as take:
            content, share = take(SHARE_BYTES), take(_SCALAR_BYTES)
            self._open(wallet, content)
            with content.open() as source, share.open() as target:
                move_bytes(target, source, _SCALAR_BYTES)
            content.wipe()
            yield share

    def _open(self, wallet: SigningWallet, content: Secret) -> None:
        """x ‖ v; looked up once more if it does not open, for a rewrap may have come between."""
        try:
            wallet.share.open_into(content)
        except Tampered:
            again = self._wallets.signing(wallet.wallet_id, wallet.epoch_hash)
            again.share.open_into(content)

    def _partial(self, asked: Asked, signers: SignList, lease: Lease) -> bytes:
        """Steps 3.4.1 to 3.4.15: the PARTIAL message, its audit line durable."""
        wallet = self._wallets.signing(asked.wallet.wallet_id, asked.wallet.epoch_hash)
        facts = facts_of(asked.request, wallet.scheme)
        task = self._task(asked.request, wallet, facts)
        made_for = replace(lease.terms, message_digest=task.terms.message_digest)
        if made_for != task.terms or signers.payload.k != task.terms.k:  # step 3.4.1
            raise Refused("lease-session", "this nonce was made for another request or epoch")
        commitments = signers.verified(self._holder, asked, lease)
        asked.request.check_time(self._holder.clock())  # step 3.4.7
        wallet.policy.require(facts.permission)
        signature = task.answer(lease, commitments, self._share(wallet))
        payload = PartialPayload(lease.lease_id, signers.digest, signature).to_bytes()
        asking = signers.message.address
        address = self._address(wallet, asking.session_id, asking.sender)
        answer = self._holder.channel_message(PARTIAL, address, payload).to_bytes()
        signed = {
            **_of_lease(lease, signers),
            "client": asked.client.name,
            "rule": facts.permission.value,
            "set": [commitment.index for commitment in commitments],
        }
        self._holder.audit("partial-released", signed)
        return answer

    def _address(self, wallet: SigningWallet, session_id: bytes, receiver: int) -> Address:
        return Address(wallet.wallet_id, session_id, wallet.epoch_hash, wallet.me, receiver)


def _named(wallet_id: WalletId, epoch_hash: EpochHash, request_id: bytes) -> dict[str, Json]:
    return {
        "wallet_id": wallet_id.hex(),
        "epoch_hash": epoch_hash.hex(),
        "request_id": request_id.hex(),
    }


def _of_lease(lease: Lease, signers: SignList) -> dict[str, Json]:
    terms = lease.terms
    return {
        "wallet_id": terms.wallet_id.hex(),
        "epoch_hash": terms.epoch_hash.hex(),
        "request_id": terms.request_id.hex(),
        "k": terms.k,
        "lease_id": lease.lease_id.hex(),
        "message_sha256": terms.message_digest.hex(),
        "list": signers.digest.hex(),
    }
