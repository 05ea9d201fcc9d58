"""A Solana runtime in this process: the judge of our Ed25519 signatures.

The only importer of solders (extra `demo`).
"""

from __future__ import annotations

from typing import Final

from hsm_mpc.errors import BadConfig

try:
    from solders.litesvm import LiteSVM
    from solders.message import Message
    from solders.pubkey import Pubkey
    from solders.signature import Signature
    from solders.system_program import TransferParams, transfer
    from solders.transaction import VersionedTransaction
    from solders.transaction_metadata import TransactionMetadata
except ImportError as missing:
    raise BadConfig("the second chain needs solders: pip install 'hsm-mpc[demo]'") from missing

SOL: Final = 1_000_000_000
"""Lamports."""
FEE: Final = 5_000
"""Lamports that a signature costs its payer."""


class SolanaChain:
    """Accounts that hold lamports; each is a public key of 32 bytes."""

    def __init__(self) -> None:
        self._runtime = LiteSVM()

    def give(self, account: bytes, lamports: int) -> None:
        """From nowhere."""
        self._runtime.airdrop(Pubkey(account), lamports)

    def balance(self, account: bytes) -> int:
        """Lamports."""
        return self._runtime.get_balance(Pubkey(account)) or 0

    def transfer(self, payer: bytes, target: bytes, lamports: int) -> bytes:
        """The message of a transaction, as its payer signs it."""
        instruction = transfer(
            TransferParams(from_pubkey=Pubkey(payer), to_pubkey=Pubkey(target), lamports=lamports)
        )
        latest = self._runtime.latest_blockhash()
        return bytes(Message.new_with_blockhash([instruction], Pubkey(payer), latest))

    def execute(self, message: bytes, signature: bytes) -> bool:
        """Offer the transaction; whether the runtime executed it."""
        signed = VersionedTransaction.populate(Message.from_bytes(message), [Signature(signature)])
        return isinstance(self._runtime.send_transaction(signed), TransactionMetadata)
