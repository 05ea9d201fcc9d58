"""AMENDMENT: a holder has another identity key, in another HSM or in the same.

    u8(1) ‖ LV32(ORDER-REPAIR) ‖ LV32(ACK message of the repaired holder)
    u8(2) ‖ LV32(ROTATE)

It proves itself. Form 1 (step 6.7.2): every helper has signed the order, which names the key of the
lost holder that it replaces, and that holder has answered with its new one. Form 2 (step 6.7.9):
both keys have signed, the old one and the new one. Amendments of different holders need know
nothing of each other: what they make of a roster does not depend on who showed which one first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.repair_order import RepairOrder
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.encoding import Reader, lv32, u8
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash
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
_BY_ROTATION: Final = 2

Change = tuple[int, bytes, bytes]
"""Of which holder, its key before, and its new one."""

Keys = Mapping[int, Sequence[VerifyingKey]]
"""Of each holder: its key in the roster that is amended, and those that have replaced it since."""


class Amendment(ABC):
    """One new identity key in a roster. Whether it holds, only `amended` tells."""

    @property
    @abstractmethod
    def index(self) -> int:
        """The holder."""

    @property
    @abstractmethod
    def known_key(self) -> VerifyingKey:
        """Its key before."""

    @property
    @abstractmethod
    def identity_key(self) -> VerifyingKey:
        """Its new one."""

    @property
    @abstractmethod
    def epoch_hash(self) -> EpochHash:
        """In which epoch it was made."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """`AMENDMENT`."""

    @abstractmethod
    def check_proof(self, terms: WalletTerms, roster: Roster, keys: Keys) -> None:
        """Raises: BadInput, InvalidSignature: whoever may give it that key has not."""

    @property
    def change(self) -> Change:
        """Whose key takes the place of which, whoever has signed it and how often."""
        return self.index, self.known_key.to_bytes(), self.identity_key.to_bytes()

    @staticmethod
    def from_bytes(source: bytes) -> Amendment:
        """Inverse of `to_bytes`; `BadEncoding` or `BadInput` for anything else."""
        reader = Reader(source, "amendment")
        form = reader.u8()
        amendment: Amendment
        if form == _BY_REPAIR:
            amendment = Repaired(RepairOrder.from_bytes(reader.lv32()), reader.lv32())
        elif form == _BY_ROTATION:
            amendment = Rotated(Rotate.from_bytes(reader.lv32()))
        else:
            raise BadEncoding("amendment: it is of an unknown form")
        reader.end()
        return amendment

    def check(self, terms: WalletTerms, roster: Roster, keys: Keys) -> None:
        """That it amends this roster of the wallet, under `keys`. It is good in whichever epoch.

        Raises:
            BadInput, InvalidSignature: it does not hold.
        """
        if any(self.identity_key in known for known in keys.values()):
            raise BadInput("amendment: a holder has that key, or had it")
        self.check_proof(terms, roster, keys)


@dataclass(frozen=True, slots=True)
class Repaired(Amendment):
    """Its share was repaired onto another HSM (step 6.7.2)."""

    order: RepairOrder
    """With the signatures of all helpers."""
    ack: bytes
    """What the holder has said with its new key, once its share was sealed."""

    @property
    def index(self) -> int:
        """r."""
        return self.order.lost

    @property
    def known_key(self) -> VerifyingKey:
        """Of the lost HSM."""
        return self.order.known_key

    @property
    def identity_key(self) -> VerifyingKey:
        """Of the other one."""
        return self.order.identity_key

    @property
    def epoch_hash(self) -> EpochHash:
        """h."""
        return self.order.epoch_hash

    def to_bytes(self) -> bytes:
        """`AMENDMENT` of form 1."""
        return u8(_BY_REPAIR) + lv32(self.order.to_bytes()) + lv32(self.ack)

    def check_proof(self, terms: WalletTerms, roster: Roster, keys: Keys) -> None:
        """Every helper has ordered it, and the holder has answered with its new key.

        Raises:
            BadInput, InvalidSignature: they have not.
        """
        order = self.order
        check_offer(order, Predecessor(terms, order.epoch_hash))
        check_helpers(order, keys)
        after = KeyBook(roster.with_key(order.lost, order.identity_key), {})
        expected = expected_in_repair(REPAIR_ACK, order, (order.lost,))
        said = RepairAck.from_bytes(signed_by_identity(self.ack, expected, after).payload)
        acknowledged = (said.epoch_hash, said.acknowledgement.kek_digest)
        if acknowledged != (order.epoch_hash, order.kek_digest):
            raise BadInput("amendment: another share was acknowledged than the ordered one")
        check_acknowledgement(said.epoch_hash, order.lost, said.acknowledgement, after.roster)


@dataclass(frozen=True, slots=True)
class Rotated(Amendment):
    """Its operator has given it another key in the same HSM (step 6.7.9)."""

    rotate: Rotate

    @property
    def index(self) -> int:
        """i."""
        return self.rotate.index

    @property
    def known_key(self) -> VerifyingKey:
        """The old one."""
        return self.rotate.known_key

    @property
    def identity_key(self) -> VerifyingKey:
        """The new one."""
        return self.rotate.identity_key

    @property
    def epoch_hash(self) -> EpochHash:
        """h."""
        return self.rotate.epoch_hash

    def to_bytes(self) -> bytes:
        """`AMENDMENT` of form 2."""
        return u8(_BY_ROTATION) + lv32(self.rotate.to_bytes())

    def check_proof(self, terms: WalletTerms, roster: Roster, keys: Keys) -> None:
        """Both keys have signed it, for this wallet; whose the old one is, their order tells.

        Raises:
            BadInput, InvalidSignature: they have not.
        """
        rotate = self.rotate
        if rotate.wallet_id != terms.wallet_id:
            raise BadInput("rotate: of another wallet")
        rotate.check_signatures()


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
        roster = roster.with_key(amendment.index, amendment.identity_key)
    return tuple(ordered), roster


def _in_order(parsed: Mapping[bytes, Amendment], roster: Roster) -> dict[bytes, Amendment]:
    """By holder, and of one holder each behind the one whose key it replaces."""
    replacing = {(each.index, each.known_key): s for s, each in parsed.items()}
    ordered: dict[bytes, Amendment] = {}
    for index, member in enumerate(roster.members, 1):
        key = member.key
        while (source := replacing.pop((index, key), None)) is not None:
            ordered[source] = parsed[source]
            key = parsed[source].identity_key
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
                keys[each.index].append(each.identity_key)
        waiting = left
