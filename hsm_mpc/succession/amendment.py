"""AMENDMENT: a holder has another identity key, since its share was repaired onto another HSM.

    u8(1) ‖ LV32(ORDER-REPAIR) ‖ LV32(ACK message of the repaired holder)

It proves itself (step 6.7.2): the order names the roster that it amends, every helper has signed it
by its key there, and the holder has answered with its new one. Each makes one new version of the
roster; a succession carries those that its epoch's roster has not seen (M3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.encoding import Reader, lv32, u8
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.succession.ack import check_acknowledgement
from hsm_mpc.succession.addresses import Predecessor, signed_by_identity
from hsm_mpc.succession.repairing import (
    RepairAck,
    check_signatures,
    check_terms,
    expected_in_repair,
)
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.rounds import REPAIR_ACK

_BY_REPAIR: Final = 1
_BY_HELPERS: Final = None
"""In this version no administrators amend a roster: who verifies it need not know them."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """One new identity key in a roster. Whether it holds, only `applied` tells."""

    order: RepairOrder
    """With the signatures of all helpers."""
    ack: bytes
    """What the holder has said with its new key, once its share was sealed."""

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

    def applied(self, terms: WalletTerms, keys: KeyBook) -> KeyBook:
        """The keys under the roster that it makes of that of `keys`.

        It is good in whichever epoch of the wallet: the roster that it names is what it amends.

        Raises:
            BadInput, InvalidSignature: it does not hold, or amends another roster.
        """
        order = self.order
        check_terms(order, Predecessor(terms, order.epoch_hash), keys.roster)
        check_signatures(order, keys.roster, _BY_HELPERS)
        if order.identity_key == keys.roster.member(order.lost).key:
            raise BadInput("amendment: it changes no key")
        amended = keys.under(keys.roster.with_key(order.lost, order.identity_key))
        expected = expected_in_repair(REPAIR_ACK, order, (order.lost,))
        said = RepairAck.from_bytes(signed_by_identity(self.ack, expected, amended).payload)
        acknowledged = (said.epoch_hash, said.acknowledgement.kek_digest)
        if acknowledged != (order.epoch_hash, order.kek_digest):
            raise BadInput("amendment: another share was acknowledged than the ordered one")
        check_acknowledgement(said.epoch_hash, order.lost, said.acknowledgement, amended.roster)
        return amended
