"""ROTATE: a holder has another identity key in the same HSM; the old one signs the new (6.7.9)."""

from __future__ import annotations

from dataclasses import dataclass

from hsm_mpc.encoding import Reader, lv16, lv32, u16be, u64be
from hsm_mpc.errors import BadInput
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag


@dataclass(frozen=True, slots=True)
class Rotate:
    """Of one holder in one wallet. Without signatures it is a plan (step 1.6.7).

    What stands in it and not in the specification: `known_key`, without which nobody could tell
    whose place the new one takes but by trying keys; and `deadline`, which bounds the consents.
    """

    wallet_id: WalletId
    epoch_hash: EpochHash
    """The epoch in which it was asked for; it is good in whichever."""
    index: int
    known_key: VerifyingKey
    """Of that holder, in the roster in force."""
    identity_key: VerifyingKey
    """The one that takes its place."""
    deadline: int
    """Seconds since 1970 UTC."""
    old_signature: bytes = b""
    new_signature: bytes = b""

    @property
    def terms(self) -> bytes:
        """All before the signatures: what both keys sign, and what is consented to."""
        return (
            self.wallet_id
            + self.epoch_hash
            + u16be(self.index)
            + self.known_key.to_bytes()
            + self.identity_key.to_bytes()
            + u64be(self.deadline)
        )

    def check_signatures(self) -> None:
        """Both keys have signed it: whoever has the HSM wants it, and has both.

        Raises:
            InvalidSignature: one of them has not.
        """
        self.known_key.verify(Tag.ROTATE, self.terms, self.old_signature)
        self.identity_key.verify(Tag.ROTATE, self.terms, self.new_signature)

    def to_bytes(self) -> bytes:
        """`ROTATE`."""
        return self.terms + lv16(self.old_signature) + lv16(self.new_signature)

    @classmethod
    def from_bytes(cls, source: bytes) -> Rotate:
        """Inverse of `to_bytes`; `BadEncoding` or `BadInput` for anything else."""
        reader = Reader(source, "rotate")
        rotate = cls(*_read_terms(reader), reader.lv16(), reader.lv16())
        reader.end()
        return rotate

    @classmethod
    def from_terms(cls, source: bytes) -> Rotate:
        """One without signatures, of its `terms`; `BadEncoding` or `BadInput` for anything else."""
        reader = Reader(source, "rotate")
        rotate = cls(*_read_terms(reader))
        reader.end()
        return rotate


def _read_terms(
    reader: Reader,
) -> tuple[WalletId, EpochHash, int, VerifyingKey, VerifyingKey, int]:
    return (
        WalletId(reader.take(16)),
        EpochHash(reader.take(32)),
        reader.u16be(),
        VerifyingKey.read(reader),
        VerifyingKey.read(reader),
        reader.u64be(),
    )


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a holder that has another identity key writes down: which, and what it tells others."""

    known_key: VerifyingKey
    identity_key: VerifyingKey
    rotates: tuple[Rotate, ...]
    """One of each wallet, ascending by its id."""

    def to_bytes(self) -> bytes:
        """`u8(alg) ‖ LV16(old key) ‖ u8(alg) ‖ LV16(new key) ‖ Σ LV32(ROTATE)`."""
        rotates = b"".join(lv32(each.to_bytes()) for each in self.rotates)
        return self.known_key.to_bytes() + self.identity_key.to_bytes() + rotates

    @classmethod
    def from_bytes(cls, source: bytes) -> Rotation:
        """Inverse of `to_bytes`; `BadEncoding` or `BadInput` for anything else."""
        reader = Reader(source, "rotation")
        keys = VerifyingKey.read(reader), VerifyingKey.read(reader)
        rotates = []
        while reader.consumed < len(source):
            rotates.append(Rotate.from_bytes(reader.lv32()))
        rotation = cls(*keys, tuple(rotates))
        if any((each.known_key, each.identity_key) != keys for each in rotates):
            raise BadInput("rotation: it tells a wallet of other keys")
        return rotation
