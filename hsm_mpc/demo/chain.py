"""A chain of Bitcoin Core's own consensus code, in this process: the judge of our signatures.

The only importer of py-bitcoinkernel (extra `demo`). It answers True for a block that it refuses,
so what counts is the height of the chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hsm_mpc.demo import blocks
from hsm_mpc.demo.blocks import SUBSIDY, Transaction
from hsm_mpc.errors import BadConfig
from hsm_mpc.taproot.sighash import SpentOutput

try:
    import pbk
except ImportError as missing:
    raise BadConfig(
        "the chain needs Bitcoin Core's consensus code: pip install 'hsm-mpc[demo]'"
    ) from missing

MATURITY: Final = 100
"""Blocks on top of a coinbase before it can be spent."""

_FIRST_TIME: Final = 1_700_000_000
_INTERVAL: Final = 600
_SEQUENCE: Final = 0xFFFFFFFD


class RegtestChain:
    """An empty chain of the network `regtest`, on which anybody mines."""

    def __init__(self, folder: Path) -> None:
        """Args: folder: where the kernel keeps its files; it is made."""
        self._manager = pbk.load_chainman(folder, pbk.ChainType.REGTEST)
        genesis = self._manager.get_active_chain().block_tree_entries[0]
        self._tip = bytes(genesis.block_hash)

    @property
    def height(self) -> int:
        """Of the last block that the consensus code accepted."""
        return int(self._manager.get_active_chain().height)

    def mine(self, script_pubkey: bytes, transactions: Sequence[Transaction] = ()) -> SpentOutput:
        """Offer one block with these transactions, whose subsidy goes to `script_pubkey`.

        Whether it was accepted, `height` says.

        Returns:
            The output of its coinbase.
        """
        height = self.height + 1
        first = blocks.coinbase(height, script_pubkey, transactions)
        time = _FIRST_TIME + height * _INTERVAL
        mined = blocks.block(self._tip, time, [first, *transactions])
        self._manager.process_block(pbk.Block(mined))
        if self.height == height:
            self._tip = blocks.double_sha256(mined[:80])
        return SpentOutput(first.txid, 0, SUBSIDY, script_pubkey, _SEQUENCE)
