"""AMENDMENT: a holder has another identity key, since its share was repaired onto another HSM.

    u8(1) ‖ LV32(ORDER-REPAIR) ‖ LV32(ACK message of the repaired holder)

It proves itself (step 6.7.2): every helper has signed the order, which names the key of the lost
holder that it replaces, and that holder has answered with its new one. Amendments of different
holders need know nothing of each other: what they make of a roster does not depend on who showed
which one first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.encoding import Reader, lv32, u8
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.roster import Roster
from hsm_mpc.succession.ack import check_acknowledgement
from hsm_mpc.succession.addresses import Predecessor, signed_by_identity
from hsm_mpc.succession.repairing import (
    RepairAck,
    check_helpers,
    check_offer,
    expected_in_repair,
)
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.rounds import REPAIR_ACK

_BY_REPAIR: Final = 1

Change = tuple[int, bytes, bytes]
"""Of which holder, its key before, and its new one."""

Keys = Mapping[int, Sequence[VerifyingKey]]
"""Of each holder: its key in the roster that is amended, and those that have replaced it since."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """One new identity key in a roster. Whether it holds, only `amended` tells."""

    order: RepairOrder
    """With the signatures of all helpers."""
    ack: bytes
    """What the holder has said with its new key, once its share was sealed."""

    @property
    def change(self) -> Change:
        """Whose key takes the place of which, whoever has signed it and how often."""
        order = self.order
        return order.lost, order.known_key.to_bytes(), order.identity_key.to_bytes()

    def to_bytes(self) -> bytes:
        """`AMENDMENT`."""
        return u8(_BY_REPAIR) + lv32(self.order.to_bytes()) + lv32(self.ack)

    @classmethod
    def from_bytes(cls, source: bytes) -> Amendment:
        """Inverse of `to_bytes`; `BadEncoding` or `BadInput` for anything else."""
        reader = Reader(source, "amendment")
        if reader.u8() != _BY_REPAIR:
            raise BadEncoding("amendment: it is of an unknown form")
        amendment = cls(RepairOrder.from_bytes(reader.lv32()), reader.lv32())
        reader.end()
        return amendment

    def check(self, terms: WalletTerms, roster: Roster, keys: Keys) -> None:
        """That it amends this roster of the wallet, under `keys`. It is good in whichever epoch.

        Raises:
            BadInput, InvalidSignature: it does not hold.
        """
        order = self.order
        check_offer(order, Predecessor(terms, order.epoch_hash))
        if any(order.identity_key in known for known in keys.values()):
            raise BadInput("amendment: a holder has that key, or had it")
        check_helpers(order, keys)
        after = KeyBook(roster.with_key(order.lost, order.identity_key), {})
        expected = expected_in_repair(REPAIR_ACK, order, (order.lost,))
        said = RepairAck.from_bytes(signed_by_identity(self.ack, expected, after).payload)
        acknowledged = (said.epoch_hash, said.acknowledgement.kek_digest)
        if acknowledged != (order.epoch_hash, order.kek_digest):
            raise BadInput("amendment: another share was acknowledged than the ordered one")
        check_acknowledgement(said.epoch_hash, order.lost, said.acknowledgement, after.roster)


def amended(
    sources: Collection[bytes], terms: WalletTerms, roster: Roster
) -> tuple[tuple[bytes, ...], Roster]:
    """What amendments make of a roster: they in their one order, by holder, and the last version.

    A helper may have signed by the key that another of them replaces, or by the new one.

    Raises:
        BadInput, InvalidSignature: one of them does not hold there, or two replace one key.
    """
    parsed = {source: Amendment.from_bytes(source) for source in sources}
    ordered = _in_order(parsed, roster)
    _check_all(ordered.values(), terms, roster)
    for amendment in ordered.values():
        roster = roster.with_key(amendment.order.lost, amendment.order.identity_key)
    return tuple(ordered), roster


def _in_order(parsed: Mapping[bytes, Amendment], roster: Roster) -> dict[bytes, Amendment]:
    """By holder, and of one holder each behind the one whose key it replaces."""
    replacing = {(each.order.lost, each.order.known_key): s for s, each in parsed.items()}
    ordered: dict[bytes, Amendment] = {}
    for index, member in enumerate(roster.members, 1):
        key = member.key
        while (source := replacing.pop((index, key), None)) is not None:
            ordered[source] = parsed[source]
            key = parsed[source].order.identity_key
    if len(ordered) != len(parsed):
        raise BadInput("amendments: the roster has another key of a holder, or two replace one")
    return ordered


def _check_all(amendments: Iterable[Amendment], terms: WalletTerms, roster: Roster) -> None:
    """Each holds, some only once others do, whose new keys have signed it."""
    keys = {index: [member.key] for index, member in enumerate(roster.members, 1)}
    waiting = list(amendments)
    while waiting:
        left: list[Amendment] = []
        for each in waiting:
            try:
                each.check(terms, roster, keys)
            except (BadInput, InvalidSignature) as failed:
                left.append(each)
                if len(left) == len(waiting):
                    raise failed
            else:
                keys[each.order.lost].append(each.order.identity_key)
        waiting = left
