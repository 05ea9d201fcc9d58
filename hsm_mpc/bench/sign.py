"""`taproot.sign` and `ed25519.sign`: t signers and a coordinator, from nonces to a signature.

All in one process. At the signers sections 3.3 and 3.4, or 4.4 to 4.6, but for the HSM, the audit
log and the envelopes; at the coordinator the machine that chooses signers (section 7), which
verifies every partial signature.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from hsm_mpc.bench import peers
from hsm_mpc.bench.dkg import Holders, MadeKey
from hsm_mpc.bench.floor import above_floor
from hsm_mpc.bench.measure import Measured, repeated
from hsm_mpc.bench.operations import window
from hsm_mpc.bench.report import Row, cpu_of, row_above_floor
from hsm_mpc.bench.schemes import MeasuredScheme
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.coordinator.quorum import Quorum
from hsm_mpc.coordinator.quorum_actions import Action, Publish, Send
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.ids import WalletId
from hsm_mpc.protocols.leases import Lease
from hsm_mpc.protocols.signing_messages import (
    LEASE_ID_BYTES,
    Commitment,
    PartialPayload,
    list_hash,
)
from hsm_mpc.protocols.wallet_key import SigningTask, Wanted
from hsm_mpc.protocols.wallet_keys import wallet_key_of
from hsm_mpc.secure.arena import Arena, Secret, copy
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.taproot.derivation import Path

NAME: Final = "sign"
"""Of its row, behind the name of the scheme."""
NOTE: Final = "all signers and the coordinator; without envelopes, HSM and disk"

_PATH: Final = Path()
_MESSAGE_BYTES: Final = 32
_SHARE_BYTES: Final = 32
_SIGNERS_IN_A_ROUND: Final = 22
"""Partial signatures that are made one after another before anything else is measured."""


class Signers:
    """t signers of a wallet of n, and a coordinator."""

    def __init__(self, scheme: MeasuredScheme, t: int, n: int, arena: Arena) -> None:
        self._arena = arena
        self._entropy = Entropy()
        holders = Holders(scheme.suite, t, n, arena)
        self._made: Final[MadeKey] = holders.made_key()
        holders.close()
        self._wallet_id = WalletId(os.urandom(16))
        sizes = QuorumSizes.default(n, t)
        terms = WalletTerms(
            self._wallet_id, "bench", scheme.scheme, sizes, os.urandom(32), os.urandom(32)
        )
        body = self._made.body(terms)
        self._key = wallet_key_of(body, body.hash)
        self._n = n
        self._indices = range(1, t + 1)
        self._opened: list[Secret] = []

    def close(self) -> None:
        """Wipe the shares."""
        for share in (*self._made.shares.values(), *self._opened):
            share.release()

    def open_shares(self, signatures: int) -> None:
        """Lay out the shares that so many signatures consume: unsealing is another row."""
        for _ in range(signatures):
            for index in reversed(self._indices):
                slot = self._arena.take(_SHARE_BYTES)
                copy(slot, self._made.shares[index])
                self._opened.append(slot)

    @property
    def public_key(self) -> bytes:
        """What a signature verifies under, 32 bytes."""
        return self._key.public_key(_PATH)

    def sign_anew(self) -> bytes:
        """The signature of a new message."""
        return self.sign(os.urandom(_MESSAGE_BYTES))

    def sign(self, message: bytes) -> bytes:
        """One signature, verified."""
        request_id = os.urandom(32)
        wanted = Wanted(self._wallet_id, request_id, 0, _PATH, message)
        tasks = {index: self._key.task(wanted, index, _any_set) for index in self._indices}
        leases = {index: self._lease(index, task) for index, task in tasks.items()}
        listed = [_sent(index, lease) for index, lease in leases.items()]
        aggregation = self._key.aggregation(_PATH, message)
        machine = Quorum(len(listed), self._n, 0, aggregation, _any_set)
        machine.start()
        offered = [machine.on_commit(commitment) for commitment in listed]
        payload = _sign_list(offered[-1])
        digest = list_hash(payload)
        for index, task in tasks.items():
            partial = task.answer(leases[index], listed, self._share())
            answered = PartialPayload(leases[index].lease_id, digest, partial)
            actions = machine.on_partial(index, answered, partial)
        return _published(actions)

    def _lease(self, index: int, task: SigningTask) -> Lease:
        lease_id, share = os.urandom(LEASE_ID_BYTES), self._made.shares[index]
        return task.commit(lease_id, self._entropy, share, _unsigned)

    @contextmanager
    def _share(self) -> Iterator[Secret]:
        yield self._opened.pop()


def _any_set(_: frozenset[int]) -> bool:
    return True


def _unsigned(payload: bytes) -> bytes:
    """A COMMIT message without header and signature: envelopes are rows of their own."""
    return payload


def _sent(index: int, lease: Lease) -> Commitment:
    """A COMMIT as others read it: its nonce is not parsed yet."""
    return Commitment(index, 0, lease.lease_id, bytes(lease.public_nonce), lease.commit)


def _sign_list(actions: Sequence[Action]) -> bytes:
    for action in actions:
        if isinstance(action, Send):
            return action.payload
    raise HsmMpcError("the coordinator opens no list")


def _published(actions: Sequence[Action]) -> bytes:
    for action in actions:
        if isinstance(action, Publish):
            return action.signature
    raise HsmMpcError("the coordinator publishes no signature")


def row(scheme: MeasuredScheme, t: int, n: int, arena: Arena, *, rounds: int) -> Row:
    """Measure, on a shielded thread."""
    signers, repeats = Signers(scheme, t, n, arena), _SIGNERS_IN_A_ROUND // t
    measured = above_floor(
        Measured(repeated(signers.sign_anew), repeats, signers.open_shares),
        scheme.signature(t, _MESSAGE_BYTES, window(arena)),
        rounds=rounds,
        others=peers.signature(scheme.peer, t, n, os.urandom(_MESSAGE_BYTES), repeats),
    )
    signers.close()
    made = row_above_floor(f"{scheme.name}.{NAME}", measured, NOTE + peers.ABSENT, t, n)
    return replace(made, peers=cpu_of(measured.others))
