"""`signer.partial`: from a SIGN list to the PARTIAL message, through all of a signer's own path.

The share comes from its sealed blob through the real token; both audit lines are durable on the
real disk. What lies around it (socket pair, front, gRPC) is measured by `lab.sign`.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hsm_mpc import config
from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.channel import ChannelKeys
from hsm_mpc.agent.signing import SigningDesk
from hsm_mpc.agent.wallets import HeldWallets, context_of
from hsm_mpc.bench.dkg import Holders, MadeKey
from hsm_mpc.bench.floor import above_floor
from hsm_mpc.bench.measure import Measured
from hsm_mpc.bench.operations import durable_line, window
from hsm_mpc.bench.parties import COORDINATOR, OtherHolder, now, said
from hsm_mpc.bench.report import Row, row_above_floor
from hsm_mpc.bench.tables import released_partial
from hsm_mpc.bench.unseal import bare_decryption
from hsm_mpc.certificates.body import NO_EPOCH_BEFORE, EpochBody, EpochKind
from hsm_mpc.certificates.clients import Client, ClientList
from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.identity import Identity
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import HolderIndex, Scheme, WalletId
from hsm_mpc.protocols.frost_bip340.lists import Task, commit
from hsm_mpc.protocols.frost_bip340.signers import EpochKey
from hsm_mpc.protocols.frost_bip340.tweaks import TweakedKey
from hsm_mpc.protocols.signing_messages import LEASE_ID_BYTES, SignPayload
from hsm_mpc.requests import Request, RequestType, UnsignedRequest
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.sealing.cms import SHARE_BYTES
from hsm_mpc.sealing.sealed import seal
from hsm_mpc.secure import seed_file
from hsm_mpc.secure.arena import Arena, Secret, copy
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.secure.seed_file import SeedKey
from hsm_mpc.store.epochs import EpochDocument
from hsm_mpc.store.holder import HolderStore
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.tags import Tag
from hsm_mpc.taproot.derivation import ExtendedKey, Path as KeyPath, chain_code_of
from hsm_mpc.taproot.output import SpendingKey
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address
from hsm_mpc.wire.rounds import COMMIT, EVERYBODY, REQUEST, SIGN
from hsm_mpc.wrapping.pkcs11 import WRAPPED_BYTES, Pkcs11Key

NAME: Final = "signer.partial"

_T, _N = 2, 3
_ME: Final = HolderIndex(1)
_PEER: Final = 2
_POLICY: Final = b"version: 1\npermissions: [raw]\n"
_MESSAGE_BYTES: Final = 32
_VALIDITY: Final = 600
_REPEATS: Final = 8


@dataclass(frozen=True, slots=True)
class OpenedHolder:
    """The measured holder: token and identity key, store, protected memory."""

    token: Token
    identity: Identity
    store: HolderStore
    arena: Arena
    entropy: Entropy


@dataclass(frozen=True, slots=True)
class _Others:
    """Everybody else: all keys, none in an HSM."""

    holders: tuple[OtherHolder, ...]
    coordinator: SeedKey
    client: SeedKey

    @classmethod
    @contextmanager
    def made(cls, folder: Path, arena: Arena) -> Iterator[_Others]:
        """Key files in `folder`; the keys are wiped at the end."""
        holders = tuple(OtherHolder.made(index, folder, arena) for index in range(_PEER, _N + 1))
        coordinator, client = (
            seed_file.create(folder / name, arena) for name in ("coordinator", "client")
        )
        yield cls(holders, coordinator, client)
        for each in (*holders, coordinator, client):
            each.wipe()
