"""Transactions and blocks as Bitcoin's network carries them, for a chain of our own (regtest)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import u8, u32le
from hsm_mpc.taproot.sighash import NewOutput, Spend, SpentOutput, with_compact_size

SUBSIDY: Final = 50 * 100_000_000
"""What a miner of the first 150 blocks may give itself, in satoshi."""

_NOTHING: Final = bytes(32)
_EASIEST: Final = 0x207FFFFF
"""The target in a header of regtest: every second hash is below it."""
_TARGET: Final = 0x7FFFFF << 232
_FINAL: Final = 0xFFFFFFFF
_COMMITMENT: Final = bytes.fromhex("6a24aa21a9ed")
"""OP_RETURN and the mark of a commitment to witnesses (BIP 141)."""


def double_sha256(content: bytes) -> bytes:
    """Bitcoin's hash of transactions and headers, in the order of hashing."""
    return hashlib.sha256(hashlib.sha256(content).digest()).digest()


@dataclass(frozen=True, slots=True)
class Transaction:
    """`spend` with the witness stack of each input; `script` is that of a coinbase's input."""

    spend: Spend
    witnesses: Sequence[Sequence[bytes]]
    script: bytes = b""

    @property
    def txid(self) -> bytes:
        """Without witnesses, in the order of hashing."""
        spend = self.spend
        return double_sha256(u32le(spend.version) + self._body() + u32le(spend.lock_time))

    def to_bytes(self) -> bytes:
        """With witnesses (BIP 144)."""
        stacks = b"".join(
            u8(len(stack)) + b"".join(with_compact_size(item) for item in stack)
            for stack in self.witnesses
        )
        spend = self.spend
        return u32le(spend.version) + b"\0\1" + self._body() + stacks + u32le(spend.lock_time)

    def _body(self) -> bytes:
        inputs = b"".join(
            each.txid + u32le(each.vout) + with_compact_size(self.script) + u32le(each.sequence)
            for each in self.spend.inputs
        )
        outputs = b"".join(output.to_bytes() for output in self.spend.outputs)
        spend = self.spend
        return u8(len(spend.inputs)) + inputs + u8(len(spend.outputs)) + outputs


def coinbase(height: int, script_pubkey: bytes, others: Sequence[Transaction]) -> Transaction:
    """The first transaction of a block: the subsidy, and a commitment to all witnesses."""
    hashes = [_NOTHING, *(double_sha256(other.to_bytes()) for other in others)]
    commitment = _COMMITMENT + double_sha256(merkle_root(hashes) + _NOTHING)
    source = SpentOutput(_NOTHING, _FINAL, 0, b"", _FINAL)
    outputs = (NewOutput(SUBSIDY, script_pubkey), NewOutput(0, commitment))
    script = _pushed(height) + b"\0"  # BIP 34, and a second byte that every coinbase needs
    return Transaction(Spend(2, 0, (source,), outputs), ((_NOTHING,),), script)


def block(previous: bytes, time: int, transactions: Sequence[Transaction]) -> bytes:
    """A block with enough work for regtest."""
    root = merkle_root([transaction.txid for transaction in transactions])
    start = u32le(0x20000000) + previous + root + u32le(time) + u32le(_EASIEST)
    nonce = 0
    while int.from_bytes(double_sha256(start + u32le(nonce)), "little") > _TARGET:
        nonce += 1
    body = b"".join(transaction.to_bytes() for transaction in transactions)
    return start + u32le(nonce) + u8(len(transactions)) + body


def merkle_root(hashes: Sequence[bytes]) -> bytes:
    """The root over transaction hashes; an odd one is paired with itself."""
    row = list(hashes)
    while len(row) > 1:
        row += row[-1:] * (len(row) % 2)
        row = [double_sha256(one + other) for one, other in zip(row[::2], row[1::2], strict=True)]
    return row[0]


def _pushed(height: int) -> bytes:
    """A positive number as a script pushes it; up to 16 there is an opcode for it."""
    if height <= 16:
        return u8(0x50 + height)
    minimal = height.to_bytes(height.bit_length() // 8 + 1, "little")  # the sign bit stays clear
    return u8(len(minimal)) + minimal
