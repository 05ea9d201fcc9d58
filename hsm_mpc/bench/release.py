"""`signer.partial`: from a SIGN list to the PARTIAL message, through all of a signer's own path.

The share comes from its sealed blob through the real token; both audit lines are durable on the
real disk. What lies around it (socket pair, front, gRPC) is measured by `lab.sign`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.signing import SigningDesk
from hsm_mpc.bench.floor import above_floor
from hsm_mpc.bench.measure import Measured, repeated
from hsm_mpc.bench.operations import durable_line, window
from hsm_mpc.bench.parties import OtherHolder, now, said
from hsm_mpc.bench.report import Row, cpu_of, row_above_floor
from hsm_mpc.bench.tables import released_partial
from hsm_mpc.bench.unseal import bare_decryption
from hsm_mpc.bench.wallet import ME, N, Others, StoredWallet, T
from hsm_mpc.protocols.frost_bip340.lists import Task
from hsm_mpc.protocols.frost_bip340.signers import EpochKey
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.protocols.leases import Lease
from hsm_mpc.protocols.signing_messages import LEASE_ID_BYTES, Commitment, SignPayload
from hsm_mpc.requests import Request, RequestType, UnsignedRequest
from hsm_mpc.sealing.cms import SHARE_BYTES
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.tags import Tag
from hsm_mpc.taproot.derivation import ExtendedKey, chain_code_of
from hsm_mpc.taproot.derivation import Path as KeyPath
from hsm_mpc.taproot.output import SpendingKey
from hsm_mpc.wire.envelope import Address
from hsm_mpc.wire.rounds import COMMIT, EVERYBODY, REQUEST, SIGN
from hsm_mpc.wrapping.pkcs11 import WRAPPED_BYTES

NAME: Final = "signer.partial"
NOTE: Final = "one signer, from the SIGN message to the PARTIAL message"
_ANSWER: Final = "unsealing and mathematics"
_AUDIT: Final = "two audit lines"
_REST: Final = "envelopes and the rest"

_MESSAGE_BYTES: Final = 32
_SHARE_BYTES: Final = 32
_LINE_CHARACTERS: Final = 400
_VALIDITY: Final = 600
_REPEATS: Final = 8
"""Fewer than the open leases that a wallet may have."""


class SigningLists:
    """Asks the measured signer and lays out SIGN lists that hold its COMMIT and another's."""

    def __init__(
        self, holder: ActingHolder, desk: SigningDesk, wallet: StoredWallet, others: Others
    ) -> None:
        self._desk = desk
        self._holder = holder
        self._wallet = wallet
        self._others = others
        body = wallet.body
        self._epoch = EpochKey.of(body.hash, N, body.commitments)
        root = ExtendedKey(body.group_key, chain_code_of(body.hash))
        tweaks = SpendingKey.derive(root, KeyPath()).tweaks
        self._key = TweakedKey.of(body.group_key, tweaks)
        self._lists: list[bytes] = []
        self._answers: list[tuple[Task, Lease, list[Commitment]]] = []
        self._channels = [holder.channel_announcement(), self._other.announcement()]

    @property
    def _other(self) -> OtherHolder:
        return self._others.holders[0]

    def lay_out(self, count: int) -> None:
        """So many requests were asked and answered with COMMITs."""
        self._lists += [self._list() for _ in range(count)]

    def sign(self) -> None:
        """The PARTIAL for one list."""
        self._desk.sign(self._lists.pop(), self._channels)

    def lay_out_answers(self, count: int) -> None:
        """The same for `answer`: the measured holder's nonces, without a request."""
        self._answers += [self._answerable() for _ in range(count)]

    def answer(self) -> None:
        """Unsealing and mathematics alone, from the sealed blob to the released 32 bytes."""
        task, lease, listed = self._answers.pop()
        task.answer(lease, listed, self._share())

    def _answerable(self) -> tuple[Task, Lease, list[Commitment]]:
        request = self._request()
        own, other = (self._task(request, index) for index in (ME, self._other.index))
        leases = [self._lease(task, _unsigned) for task in (own, other)]
        leases[1].secret_nonce.release()
        listed = [
            Commitment(index, 0, lease.lease_id, bytes(lease.public_nonce), lease.commit)
            for index, lease in enumerate(leases, ME)
        ]
        return own, leases[0], listed

    @contextmanager
    def _share(self) -> Iterator[Secret]:
        with self._holder.arena.open(), self._holder.arena.scope() as take:
            content, share = take(SHARE_BYTES), take(_SHARE_BYTES)
            self._wallet.share.open_into(content)
            with content.open() as source, share.open() as target:
                move_bytes(target, source, _SHARE_BYTES)
            content.wipe()
            yield share

    def _list(self) -> bytes:
        terms, h = self._wallet.body.terms, self._wallet.body.hash
        request, coordinator = self._request(), self._others.coordinator
        asked = said(coordinator, REQUEST, terms.wallet_id, bytes(32), h, request.to_bytes())
        own = self._desk.request(asked)[0]
        payload = SignPayload(0, 0, (own, self._other_commit(request))).to_bytes()
        return said(coordinator, SIGN, terms.wallet_id, request.session_id(h), h, payload)

    def _request(self) -> Request:
        client = self._others.client
        content = UnsignedRequest(
            wallet_id=self._wallet.body.terms.wallet_id,
            kind=RequestType.MESSAGE,
            content=os.urandom(_MESSAGE_BYTES),
            paths=(KeyPath(),),
            script_root=b"",
            policy_evidence=b"",
            not_after=now() + _VALIDITY,
            nonce=os.urandom(32),
        )
        signature = client.sign(Tag.CLIENT, content.signed_message(client.key))
        return Request(content, client.key, signature)

    def _other_commit(self, request: Request) -> bytes:
        body, index = self._wallet.body, self._other.index
        wallet_id, session_id = body.terms.wallet_id, request.session_id(body.hash)
        address = Address(wallet_id, session_id, body.hash, index, EVERYBODY)
        lease = self._lease(
            self._task(request, index),
            lambda payload: self._other.message(COMMIT, address, payload),
        )
        lease.secret_nonce.release()
        return lease.commit

    def _task(self, request: Request, index: int) -> Task:
        wallet_id, message = self._wallet.body.terms.wallet_id, request.content.content
        return Task(wallet_id, request.id, 0, index, self._epoch, self._key, message, _any_set)

    def _lease(self, task: Task, sealed: Callable[[bytes], bytes]) -> Lease:
        share = self._wallet.made.shares[task.index]
        return task.commit(os.urandom(LEASE_ID_BYTES), self._holder.entropy, share, sealed)


def _unsigned(payload: bytes) -> bytes:
    return payload


def _any_set(_: frozenset[int]) -> bool:
    return True


def row(
    holder: ActingHolder, desk: SigningDesk, others: Others, folder: Path, *, rounds: int
) -> Row:
    """Measure, on a shielded thread.

    Args:
        holder: the first of `wallet.roster`.
        folder: on the same disk as its store.
    """
    with (
        tempfile.TemporaryFile(dir=folder) as log,
        tempfile.TemporaryFile(dir=folder) as state,
        holder.arena.scope() as take,
        StoredWallet.put(holder, others) as wallet,
    ):
        lists = SigningLists(holder, desk, wallet, others)
        table = released_partial(
            T,
            _MESSAGE_BYTES,
            window(holder.arena),
            bare_decryption(holder.token, wallet.key, take(WRAPPED_BYTES)),
            durable_line(log.fileno(), state.fileno()),
        )
        measured = above_floor(
            Measured(repeated(lists.sign), _REPEATS, lists.lay_out),
            table,
            rounds=rounds,
            others={
                _ANSWER: Measured(repeated(lists.answer), _REPEATS, lists.lay_out_answers),
                _AUDIT: Measured(repeated(lambda: _audited(holder)), _REPEATS),
            },
        )
    parts = cpu_of(measured.others)
    rest = measured.whole.cpu_us - sum(parts.values())
    made = row_above_floor(NAME, measured, NOTE, T, N)
    return replace(made, spent_us={**parts, _REST: round(rest, 1)})


def _audited(holder: ActingHolder) -> None:
    """Two lines as long as those of a partial signature."""
    for _ in range(2):
        holder.audit("benchmark", {"filling": "0" * _LINE_CHARACTERS})
