"""A wallet in the store of one real holder, dealt to it by holders that exist on the bench only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hsm_mpc import seed_file
from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.agent.wallets import context_of
from hsm_mpc.bench.dkg import Holders, MadeKey
from hsm_mpc.bench.parties import OtherHolder, now
from hsm_mpc.bench.schemes import TAPROOT
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.clients import Client, ClientList
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import WalletTerms, wallet_id_of
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.register import Register
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import HolderIndex
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.sealing.cms import SHARE_BYTES
from hsm_mpc.sealing.sealed import seal
from hsm_mpc.secure.arena import Arena, copy
from hsm_mpc.seed_file import SeedKey
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key

T: Final = 2
N: Final = 3
ME: Final = HolderIndex(1)

_NAME: Final = "treasury"
_POLICY: Final = b"version: 1\npermissions: [raw]\n"


@dataclass(frozen=True, slots=True)
class Others:
    """Everybody else. None of them has an HSM."""

    holders: tuple[OtherHolder, ...]
    coordinator: SeedKey
    client: SeedKey

    @classmethod
    @contextmanager
    def made(cls, folder: Path, arena: Arena) -> Iterator[Others]:
        """Key files in `folder`; the keys are wiped at the end."""
        holders = tuple(OtherHolder.made(index, folder, arena) for index in range(ME + 1, N + 1))
        coordinator = seed_file.create(folder / "coordinator", arena)
        client = seed_file.create(folder / "client", arena)
        yield cls(holders, coordinator, client)
        for holder in holders:
            holder.wipe()
        coordinator.wipe()
        client.wipe()


def roster(own: VerifyingKey, others: Others) -> Roster:
    """The roster in which the measured holder is the first."""
    identities = [own, *(holder.identity.key for holder in others.holders)]
    members = tuple(Member(f"h{index}", key) for index, key in enumerate(identities, 1))
    return Roster(True, 1, FIRST_PREDECESSOR, members)


@dataclass(frozen=True, slots=True)
class StoredWallet:
    """A 2-of-3 wallet that is active in the store of holder 1."""

    body: EpochBody
    made: MadeKey
    key: Key
    """Its wrapping key in the token."""
    share: OpenableShare
    """Of holder 1, on disk."""

    @classmethod
    @contextmanager
    def put(cls, holder: ActingHolder, others: Others) -> Iterator[StoredWallet]:
        """Make its key and write it to the store; the shares are wiped at the end."""
        holders = Holders(TAPROOT.suite, T, N, holder.arena)
        made = holders.made_key()
        holders.close()
        wallet_id = wallet_id_of(_NAME, os.urandom(32))
        clients = ClientList(wallet_id, 1, FIRST_PREDECESSOR, (Client("me", others.client.key),))
        policy_hash = hashlib.sha256(_POLICY).digest()
        sizes = QuorumSizes.default(N, T)
        terms = WalletTerms(
            wallet_id, _NAME, TAPROOT.scheme, sizes, holder.roster.hash, policy_hash
        )
        body = made.body(terms)
        key_id = os.urandom(keys.KEY_ID_BYTES)
        key = keys.generate_wrapping_key(holder.token, key_id, keys.wrapping_label(wallet_id))
        _write(holder, body, clients, made, Pkcs11Key(holder.token, key))
        epochs, context = holder.epochs(wallet_id), context_of(holder, body)
        yield cls(body, made, key, OpenableShare.load(holder.token, epochs, context))
        for share in made.shares.values():
            share.release()


def _write(
    holder: ActingHolder, body: EpochBody, clients: ClientList, made: MadeKey, key: Pkcs11Key
) -> None:
    epochs = holder.epochs(body.terms.wallet_id)
    for document, content in (
        (EpochDocument.BODY, body.to_bytes()),
        (EpochDocument.POLICY, _POLICY),
        (EpochDocument.CLIENTS, clients.to_bytes()),
    ):
        epochs.keep(body.hash, document, content)
    record = EpochRecord(
        state=EpochState.PREPARED,
        epoch_hash=body.hash,
        blob_digest=NOT_SEALED,
        kek_uri=key.key_uri,
        extra_uris=(),
        key_generation=0,
        clients_version=clients.version,
        clients_hash=clients.hash,
        pairs=(),
    )
    with holder.arena.scope() as take:
        secret = take(SHARE_BYTES)
        copy(secret, made.shares[ME])
        blob = seal(secret, context_of(holder, body), [key], holder.entropy, now())
    holder.registers.write(body.terms.wallet_id, Register(body.hash))
    record = epochs.seal(record, blob)
    holder.registers.write(body.terms.wallet_id, Register(body.hash))
    for state in (EpochState.CERTIFIED, EpochState.ACTIVE):
        epochs.change(replace(record, state=state))
