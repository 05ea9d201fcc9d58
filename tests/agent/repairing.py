"""A share being repaired, step by step: the relay does as it likes, and holders may die."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import Refused
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.succession.dones import done_in
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.succession.repairing import address_in_repair, digest_of_keys
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import seal_envelope
from hsm_mpc.wire.rounds import FIRST_COORDINATOR, ORDER_REPAIR, Key
from hsm_mpc.wire.wallet_calls import Chain, ShownSuccession
from tests.agent.making import Making
from tests.agent.ordering import ADMINISTRATORS
from tests.agent.simulate import World


def rule_of(action: Callable[[], object]) -> str:
    """Why a holder refuses this."""
    with pytest.raises(Refused) as refused:
        action()
    return refused.value.rule


def administered(order: RepairOrder, *admins: int) -> tuple[bytes, ...]:
    """Signatures of these administrators, by their places in `TWO_OF_THREE`."""
    keys = [(admin, ADMINISTRATORS[admin]) for admin in admins]
    return tuple(
        OrderSignature(
            admin, key.public.algorithm, key.sign(Tag.REPAIR_ORDER, order.terms)
        ).to_bytes()
        for admin, key in keys
    )


@dataclass
class Repairing:
    """The repair of the share of holder `lost`, by `helpers`, in the newest epoch of a wallet."""

    world: World
    making: Making
    lost: int
    helpers: tuple[int, ...]
    successions: tuple[ShownSuccession, ...] = ()
    lineage: Lineage | None = None
    """Of a wallet whose roster another HSM has amended; None: the pinned one is in force."""
    body: EpochBody = field(init=False)
    dones: list[bytes] = field(init=False)
    offered: tuple[bytes, bytes, bytes, bytes] = field(init=False)
    order: RepairOrder = field(init=False)
    splits: list[bytes] = field(default_factory=list)
    sums: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.body = self.making.certificate().body
        self.dones = list(self.making.dones)

    def chain(self) -> bytes:
        certificate = self.making.certificate().to_bytes()
        lineage = b"" if self.lineage is None else self.lineage.to_bytes()
        dones = tuple(self.making.dones)
        return Chain(certificate, dones, self.successions, lineage).to_bytes()

    def documents(self) -> tuple[bytes, bytes]:
        wallet_id, h = self.body.terms.wallet_id, self.body.hash
        policy, clients, *_ = self.desk(self.helpers[0]).documents(wallet_id, h)
        return policy, clients

    def offer(self) -> tuple[bytes, bytes, bytes, bytes]:
        self.offered = self.desk(self.lost).offer(self.chain(), *self.documents())
        return self.offered

    def wished(self, **changes: Any) -> RepairOrder:
        """An order that nobody has signed yet."""
        self.dones[self.lost - 1] = b""
        book = KeyBook(self.world.roster, {})
        if self.lineage is not None:
            book = self.lineage.since(self.body.terms.roster_hash)
        keys = [
            done_in(source, index, self.body, book).delivery_key if source else self.offered[1]
            for index, source in enumerate(self.dones, 1)
        ]
        order = RepairOrder(
            wallet_id=self.body.terms.wallet_id,
            epoch_hash=self.body.hash,
            lost=self.lost,
            known_key=self.world.roster.member(self.lost).key,
            identity_key=VerifyingKey.read(Reader(self.offered[0], "key")),
            delivery_key=self.offered[1],
            kek_digest=self.offered[2],
            offer_signature=self.offered[3],
            helpers=self.helpers,
            keys_digest=digest_of_keys(keys),
            deadline=self.world.clock() + 600,
            nonce=b"n" * 32,
        )
        return replace(order, **changes)

    def countersigned(
        self, order: RepairOrder, administrators: Sequence[bytes] = ()
    ) -> RepairOrder:
        """The same, signed by every helper, which are shown these signatures."""
        said = self.said(order)
        encoded = [self.desk(helper).countersign(said, administrators) for helper in self.helpers]
        return order.signed([OrderSignature.read(Reader(each, "signature")) for each in encoded])

    def ordered(self, **changes: Any) -> RepairOrder:
        """Offered, ordered and signed."""
        self.offer()
        self.order = self.countersigned(self.wished(**changes))
        return self.order

    def split(self, index: int) -> bytes:
        message: bytes = self.desk(index).split(self.said(), self.dones)
        return message

    def collect(self, index: int, splits: Sequence[bytes] | None = None) -> bytes:
        message: bytes = self.desk(index).collect(self.said(), splits or self.splits)
        return message

    def recover(self, sums: Sequence[bytes] | None = None) -> tuple[bytes, bytes]:
        said: tuple[bytes, bytes] = self.desk(self.lost).recover(
            self.said(), self.dones, self.splits, sums or self.sums
        )
        return said

    def summed(self) -> Repairing:
        """All that helpers do."""
        if not hasattr(self, "order"):
            self.ordered()
        self.splits = [self.split(helper) for helper in self.helpers]
        self.sums = [self.collect(helper) for helper in self.helpers]
        return self

    def said(self, order: RepairOrder | None = None) -> bytes:
        """The ORDER-REPAIR message of the coordinator."""
        which = self.order if order is None else order
        address = address_in_repair(which, FIRST_COORDINATOR)
        sign = self.world.coordinator.sign
        return seal_envelope(
            ORDER_REPAIR, address, which.to_bytes(), Key.COORDINATOR, sign
        ).to_bytes()

    def desk(self, index: int) -> Any:
        """Of a party, which may be watched."""
        return self.world.parties[index].repairs
