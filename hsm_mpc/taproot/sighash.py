"""What a taproot input signs: hash type DEFAULT, key path, no annex (BIP 341, section 5.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.encoding import u8, u32le, u64le
from hsm_mpc.errors import BadInput
from hsm_mpc.tags import Tag, tagged_hash


def with_compact_size(script: bytes) -> bytes:
    """`script` behind its length as Bitcoin writes it."""
    length = len(script)
    if length < 253:
        return u8(length) + script
    if length < 2**16:
        return b"\xfd" + length.to_bytes(2, "little") + script
    return b"\xfe" + u32le(length) + script


@dataclass(frozen=True, slots=True)
class SpentOutput:
    """One input with the output that it spends. txid is 32 bytes in the order of hashing.

    Raises:
        BadInput: from the constructor, for a txid of another length.
    """

    txid: bytes
    vout: int
    amount: int
    script_pubkey: bytes
    sequence: int

    def __post_init__(self) -> None:
        if len(self.txid) != 32:
            raise BadInput("a transaction id has 32 bytes")


@dataclass(frozen=True, slots=True)
class NewOutput:
    """One output of the transaction; amounts are in satoshi."""

    amount: int
    script_pubkey: bytes

    def to_bytes(self) -> bytes:
        """As the transaction carries it."""
        return u64le(self.amount) + with_compact_size(self.script_pubkey)


@dataclass(frozen=True, slots=True)
class Spend:
    """A transaction as far as its signatures cover it. `version` is its four bytes, unsigned."""

    version: int
    lock_time: int
    inputs: Sequence[SpentOutput]
    outputs: Sequence[NewOutput]

    def signature_hash(self, position: int) -> bytes:
        """The digest, 32 bytes, that the key of input `position` (from 0) signs.

        Raises:
            BadInput: there is no such input, or a value does not fit its field.
        """
        if not 0 <= position < len(self.inputs):
            raise BadInput(f"input {position} of a transaction with {len(self.inputs)}")
        previous = b"".join(spent.txid + u32le(spent.vout) for spent in self.inputs)
        amounts = b"".join(u64le(spent.amount) for spent in self.inputs)
        scripts = b"".join(with_compact_size(spent.script_pubkey) for spent in self.inputs)
        sequences = b"".join(u32le(spent.sequence) for spent in self.inputs)
        outputs = b"".join(output.to_bytes() for output in self.outputs)
        parts = (previous, amounts, scripts, sequences, outputs)
        message = (
            b"\0\0"  # epoch of the signature hash; hash type DEFAULT
            + u32le(self.version)
            + u32le(self.lock_time)
            + b"".join(hashlib.sha256(part).digest() for part in parts)
            + b"\0"  # key path, no annex
            + u32le(position)
        )
        return tagged_hash(Tag.TAP_SIGHASH, message)
