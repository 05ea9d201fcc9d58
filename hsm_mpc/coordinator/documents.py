"""What holders tell of an epoch in which they sign: policy, clients, and their confirmation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.clients import ClientList
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.rosters import Rosters
from hsm_mpc.errors import BadInput, HsmMpcError, InvalidSignature
from hsm_mpc.succession.dones import done_in
from hsm_mpc.wire.calls import HolderMethod

PARTS: Final = 4
"""Of an answer to DOCUMENTS: policy file, client list, DONE, lineage."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a holder tells of an epoch of which it has a share."""

    policy: bytes
    clients: bytes
    done: bytes
    """Its own newest DONE message."""


def told_of(
    links: HolderLinks, rosters: Rosters, body: EpochBody, clients_hash: bytes
) -> Mapping[int, Told]:
    """What each holder tells of the epoch of `body`, as far as it is true; what any of them knows
    of the roster is learned.

    Args:
        clients_hash: of the certified list, 32 bytes.
    """
    asked = [body.terms.wallet_id, body.hash]
    answers = {
        index: answer
        for index, answer in links.ask_each(HolderMethod.DOCUMENTS, asked).items()
        if not isinstance(answer, HsmMpcError) and len(answer) == PARTS
    }
    for *_, lineage in answers.values():
        rosters.learn(body.terms, lineage)
    claimed = {index: Told(*answer[:3]) for index, answer in answers.items()}
    return {
        index: each
        for index, each in claimed.items()
        if are_clients(each.clients, clients_hash)
        and is_of_epoch(rosters, body, index, each.policy, each.done)
    }


def any_of(told: Mapping[int, Told]) -> Told:
    """Policy and client list are the certified ones, whoever tells them."""
    return next(iter(told.values()))


def is_of_epoch(rosters: Rosters, body: EpochBody, index: int, policy: bytes, done: bytes) -> bool:
    """Whether that is the certified policy file, and `done` what holder `index` says of the epoch
    of `body`.
    """
    try:
        said = done_in(done, index, body, rosters.newest(body.terms))
    except (BadInput, InvalidSignature):
        return False
    digest = hashlib.sha256(policy).digest()
    return (said.epoch_hash, digest) == (body.hash, body.terms.policy_hash)


def are_clients(clients: bytes, clients_hash: bytes) -> bool:
    """Whether that is the certified client list."""
    try:
        return ClientList.from_bytes(clients).hash == clients_hash
    except BadInput:
        return False
