"""`taproot.sign`: t signers and a coordinator in one process, from nonces to a signature.

At the signers sections 3.3 and 3.4 but for the HSM, the audit log and the envelopes; at the
coordinator the machine that chooses signers (section 7), which verifies every partial signature.
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
from hsm_mpc.bench.tables import signature
from hsm_mpc.coordinator.quorum import Quorum
from hsm_mpc.coordinator.quorum_actions import Action, Publish, Send
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.ids import EpochHash
from hsm_mpc.protocols.frost_bip340.aggregate import Signing
from hsm_mpc.protocols.frost_bip340.lists import Task, answer, commit
from hsm_mpc.protocols.frost_bip340.signers import EpochKey
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.protocols.leases import Lease
from hsm_mpc.protocols.signing_messages import (
    LEASE_ID_BYTES,
    Commitment,
    PartialPayload,
    list_hash,
)
from hsm_mpc.secure.arena import Arena, Secret, copy
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.taproot.derivation import ExtendedKey, Path, chain_code_of
from hsm_mpc.taproot.output import SpendingKey

NAME: Final = "taproot.sign"
NOTE: Final = "all signers and the coordinator; without envelopes, HSM and disk"

_MESSAGE_BYTES: Final = 32
_SHARE_BYTES: Final = 32
_SIGNERS_IN_A_ROUND: Final = 22
"""Partial signatures that are made one after another before anything else is measured."""


class Signers:
    """t signers of a wallet of n, and a coordinator."""

    def __init__(self, t: int, n: int, arena: Arena) -> None:
        self._arena = arena
        self._entropy = Entropy()
        holders = Holders(t, n, arena)
        self._made: Final[MadeKey] = holders.made_key()
        holders.close()
        epoch_hash = EpochHash(os.urandom(32))
        self._epoch = EpochKey.of(epoch_hash, n, self._made.commitments)
        root = ExtendedKey(self._epoch.threshold_key, chain_code_of(epoch_hash))
        tweaks = SpendingKey.derive(root, Path()).tweaks
        self._key = TweakedKey.of(self._epoch.threshold_key, tweaks)
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
        return self._key.x_only

    def sign_anew(self) -> bytes:
        """The signature of a new message."""
        return self.sign(os.urandom(_MESSAGE_BYTES))

    def sign(self, message: bytes) -> bytes:
        """One signature, verified."""
        request_id = os.urandom(32)
        tasks = {index: self._task(index, request_id, message) for index in self._indices}
        leases = {index: self._lease(task) for index, task in tasks.items()}
        listed = [_sent(index, lease) for index, lease in leases.items()]
        machine = Quorum(
            len(listed), self._epoch.n, 0, Signing(self._epoch, self._key, message), _any_set
        )
        machine.start()
        offered = [machine.on_commit(commitment) for commitment in listed]
        payload = _sign_list(offered[-1])
        digest = list_hash(payload)
        for index, task in tasks.items():
            partial = answer(task, leases[index], listed, self._share())
            answered = PartialPayload(leases[index].lease_id, digest, partial)
            actions = machine.on_partial(index, answered, partial)
        return _published(actions)

    def _task(self, index: int, request_id: bytes, message: bytes) -> Task:
        wallet_id = self._epoch.epoch_hash[:16]
        return Task(wallet_id, request_id, 0, index, self._epoch, self._key, message, _any_set)

    def _lease(self, task: Task) -> Lease:
        lease_id, share = os.urandom(LEASE_ID_BYTES), self._made.shares[task.index]
        return commit(task, lease_id, self._entropy, share, _unsigned)

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


def row(t: int, n: int, arena: Arena, *, rounds: int) -> Row:
    """Measure, on a shielded thread."""
    signers, repeats = Signers(t, n, arena), _SIGNERS_IN_A_ROUND // t
    measured = above_floor(
        Measured(repeated(signers.sign_anew), repeats, signers.open_shares),
        signature(t, _MESSAGE_BYTES, window(arena)),
        rounds=rounds,
        others=peers.signature(t, n, os.urandom(_MESSAGE_BYTES), repeats),
    )
    signers.close()
    made = row_above_floor(NAME, measured, NOTE + peers.ABSENT, t, n)
    return replace(made, peers=cpu_of(measured.others))
