"""Who may order a repair, and where its messages belong (step 6.7.2).

Every helper signs the order, so that an amendment proves itself to whoever has the roster before.
Where the policy names administrators, helpers do so only once these have ordered it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.certificates.certificate import Acknowledgement
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.signed_order import OrderSignature
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadInput, InvalidSignature
from hsm_mpc.groups.sharing import require_ascending, require_index
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash
from hsm_mpc.policy.rules import Administrators
from hsm_mpc.roster import Roster
from hsm_mpc.succession.addresses import Replaced, signed_by_identity
from hsm_mpc.succession.dones import done_in
from hsm_mpc.succession.order_signatures import check_signed, keys_of
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import Address
from hsm_mpc.wire.inbox import Expected
from hsm_mpc.wire.rounds import EVERYBODY, REPAIR_DONE, MessageKind


@dataclass(frozen=True, slots=True)
class RepairAck:
    """Payload of ACK in a repair: the share is sealed again, and opens."""

    epoch_hash: EpochHash
    acknowledgement: Acknowledgement

    def to_bytes(self) -> bytes:
        """`h ‖ kek_digest ‖ blob_digest ‖ LV16(signature)`."""
        return self.epoch_hash + self.acknowledgement.to_bytes()

    @classmethod
    def from_bytes(cls, source: bytes) -> RepairAck:
        """Inverse of `to_bytes`; `BadEncoding` for anything else. It checks no signature."""
        reader = Reader(source, "ack")
        ack = cls(EpochHash(reader.take(32)), Acknowledgement.read(reader))
        reader.end()
        return ack


def address_in_repair(order: RepairOrder, sender: int, receiver: int = EVERYBODY) -> Address:
    """Of every message of a repair."""
    return Address(order.wallet_id, order.session_id, order.epoch_hash, sender, receiver)


def expected_in_repair(
    kind: MessageKind,
    order: RepairOrder,
    senders: Collection[int] | None,
    receiver: int = EVERYBODY,
) -> Expected:
    """What is waited for in a repair; `senders` None: a coordinator of the own list."""
    session_id = order.session_id
    return Expected(kind, order.wallet_id, session_id, order.epoch_hash, senders, receiver)


def check_terms(
    order: RepairOrder, epoch: Replaced, roster: Roster, identity_keys: Collection[VerifyingKey]
) -> None:
    """Whether such a repair of this epoch is possible; nobody need have signed it yet.

    Args:
        roster: the one in force.
        identity_keys: every one that a holder has, or had.

    Raises:
        BadInput: it is not.
    """
    check_offer(order, epoch)
    if order.known_key != roster.member(order.lost).key:
        raise BadInput("order: the roster in force has another key of that holder")
    if order.amends and order.identity_key in identity_keys:
        raise BadInput(
            f"order: holder {order.lost} shows an identity key that another holder has, or that it "
            "had before its HSM was replaced: whoever comes back wants a new one"
        )


def check_offer(order: RepairOrder, epoch: Replaced) -> None:
    """That it is about this epoch, of t helpers for another holder, and what that one offers.

    Raises:
        BadInput: it is not.
    """
    sizes = epoch.terms.sizes
    if (order.wallet_id, order.epoch_hash) != (epoch.terms.wallet_id, epoch.hash):
        raise BadInput("order: of another wallet or epoch")
    require_index(order.lost, sizes.n)
    require_ascending(order.helpers, sizes.n)
    if len(order.helpers) != sizes.t or order.lost in order.helpers:
        raise BadInput(f"order: {sizes.t} helpers are wanted, and the lost one is none of them")
    epoch.terms.group.parse_point(order.delivery_key)
    try:
        order.identity_key.verify(Tag.REPAIR_OFFER, order.offer_message, order.offer_signature)
    except InvalidSignature as forged:
        raise BadInput("order: the delivery key is not one that the lost holder offers") from forged


def check_administrators(
    order: RepairOrder, administrators: Administrators, signatures: Sequence[OrderSignature]
) -> None:
    """As many of them have signed as the policy wants, and nobody else.

    Raises:
        InvalidSignature: they have not.
    """
    named, wanted = keys_of(administrators), administrators.threshold
    check_signed(Tag.REPAIR_ORDER, order.terms, signatures, named, wanted)


def check_helpers(order: RepairOrder, keys: Mapping[int, Sequence[VerifyingKey]]) -> None:
    """Every helper has signed, by one of its `keys`. Raises: InvalidSignature."""
    named = {index: keys[index] for index in order.helpers}
    check_signed(Tag.REPAIR_ORDER, order.terms, order.signatures, named, len(named))


def delivery_keys_in(
    order: RepairOrder, dones: Sequence[bytes], body: EpochBody, keys: KeyBook
) -> tuple[bytes, ...]:
    """V_1..V_n: by the newest DONE of each holder of this epoch, of r by the order.

    Who does not help, and was away, may have said none of this epoch yet: any of the wallet will
    do, for nothing is sealed to it.

    Args:
        dones: in roster order; that of r is empty.

    Raises:
        BadInput, InvalidSignature: a DONE is none of its holder, or of a helper none for this
            epoch; or together they are not those that the order is about.
    """
    if len(dones) != body.terms.sizes.n or dones[order.lost - 1]:
        raise BadInput(f"order: a DONE of each holder but {order.lost} is wanted")
    found = []
    for index, source in enumerate(dones, 1):
        if index == order.lost:
            found.append(order.delivery_key)
            continue
        done = done_in(source, index, body, keys)
        if index in order.helpers and done.epoch_hash != body.hash:
            raise BadInput(f"order: the DONE of holder {index} is of another epoch")
        found.append(done.delivery_key)
    if digest_of_keys(found) != order.keys_digest:
        raise BadInput("order: it is about other delivery keys")
    return tuple(found)


def check_repaired(source: bytes, order: RepairOrder, epoch: Replaced, keys: KeyBook) -> None:
    """What the repaired holder confirms: that very share, under that key, in no attempt.

    Raises:
        BadEncoding, BadInput, InvalidSignature: it is no DONE of that holder in this repair.
    """
    expected = expected_in_repair(REPAIR_DONE, order, (order.lost,))
    said = signed_by_identity(source, expected, keys)
    done = Done.from_bytes(said.payload, epoch.terms.group)
    ordered = (Attempt.NONE, order.epoch_hash, order.delivery_key, order.kek_digest)
    if (done.attempt, done.epoch_hash, done.delivery_key, done.kek_digest) != ordered:
        raise BadInput(f"holder {order.lost} confirms another share than the ordered one")


def digest_of_keys(delivery_keys: Sequence[bytes]) -> bytes:
    """SHA-256(V_1 ‖ … ‖ V_n); all have one length."""
    return hashlib.sha256(b"".join(delivery_keys)).digest()
