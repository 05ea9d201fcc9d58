"""What a holder that has nothing of a wallet is told of it: all of it proves itself (6.8.1)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.coordinator.documents import PARTS, are_clients
from hsm_mpc.coordinator.links import HolderLinks
from hsm_mpc.coordinator.registry import Registry
from hsm_mpc.coordinator.successions import Epochs
from hsm_mpc.errors import HsmMpcError, QuorumUnreachable, Refused
from hsm_mpc.wire.calls import HolderMethod
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession


@dataclass(frozen=True, slots=True)
class ToldWallet:
    """A wallet up to its newest epoch."""

    chain: bytes
    policy_file: bytes
    clients: bytes

    def to_parts(self) -> list[bytes]:
        """As parts of a call."""
        return [self.chain, self.policy_file, self.clients]


def told_wallet(registry: Registry, links: HolderLinks, epochs: Epochs) -> ToldWallet:
    """The certificates that are registered here; policy and client list, from one of its holders.

    Args:
        links: to the holders of the newest epoch.

    Raises:
        QuorumUnreachable: none of them has the certified ones.
    """
    body = epochs.newest_body
    wallet = registry.with_id(body.terms.wallet_id)
    if wallet is None:
        raise Refused("unknown-wallet", "no such wallet is registered here")
    shown = tuple(
        ShownSuccession(each.certificate, (), each.retirement, ()) for each in epochs.successions
    )
    lineage = registry.lineage(wallet.wallet_id)
    chain = Chain(wallet.certificate, epochs.first_dones, shown, lineage).to_bytes()
    certified = Certificate.from_bytes(wallet.certificate).extension.clients_hash
    asked = [body.terms.wallet_id, body.hash]
    for answer in links.ask_each(HolderMethod.DOCUMENTS, asked).values():
        if isinstance(answer, HsmMpcError) or len(answer) != PARTS:
            continue
        policy_file, clients, *_ = answer
        is_policy = hashlib.sha256(policy_file).digest() == body.terms.policy_hash
        if is_policy and are_clients(clients, certified):
            return ToldWallet(chain, policy_file, clients)
    raise QuorumUnreachable(
        f"nobody tells the policy and the clients of {wallet.name}",
        [links.name(index) for index in links.indices],
    )
