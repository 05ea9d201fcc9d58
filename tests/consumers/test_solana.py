"""A Solana runtime moves what a quorum's signature spends, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest
from solders.litesvm import LiteSVM
from solders.message import Message, MessageV0, to_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import TransferParams, transfer
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata, TransactionMetadata
from solders.transaction_status import TransactionErrorFieldless

from hsm_mpc.errors import Declined
from hsm_mpc.groups.ed25519 import verify_ed25519
from hsm_mpc.taproot.encodings import base58
from tests.consumers.wallet import Wallet

FUNDS: Final = 1_000_000_000
PAID: Final = 300_000_000
FEE: Final = 5000
BAKER: Final = Pubkey(bytes([2] * 32))

Payment = Message | MessageV0
Form = Callable[[Pubkey, LiteSVM], Payment]


def legacy(payer: Pubkey, chain: LiteSVM) -> Payment:
    pay = transfer(TransferParams(from_pubkey=payer, to_pubkey=BAKER, lamports=PAID))
    return Message.new_with_blockhash([pay], payer, chain.latest_blockhash())


def version_0(payer: Pubkey, chain: LiteSVM) -> Payment:
    pay = transfer(TransferParams(from_pubkey=payer, to_pubkey=BAKER, lamports=PAID))
    return MessageV0.try_compile(payer, [pay], [], chain.latest_blockhash())


forms = pytest.mark.parametrize("form", [legacy, version_0])


def address(wallet: Wallet) -> Pubkey:
    return Pubkey.from_string(base58(wallet.public_key))


def funded(wallet: Wallet) -> LiteSVM:
    """A chain on which the wallet's address has funds."""
    chain = LiteSVM()
    assert isinstance(chain.airdrop(address(wallet), FUNDS), TransactionMetadata)
    return chain


def sent(
    chain: LiteSVM, payment: Payment, signature: bytes
) -> TransactionMetadata | FailedTransactionMetadata:
    """What the chain says of it."""
    return chain.send_transaction(VersionedTransaction.populate(payment, [Signature(signature)]))


@forms
def test_a_payment_from_the_wallets_address_is_executed(raw_wallet: Wallet, form: Form) -> None:
    chain = funded(raw_wallet)
    payment = form(address(raw_wallet), chain)
    signature = raw_wallet.sign(to_bytes_versioned(payment))
    assert isinstance(sent(chain, payment, signature), TransactionMetadata)
    assert chain.get_balance(BAKER) == PAID
    assert chain.get_balance(address(raw_wallet)) == FUNDS - PAID - FEE


@forms
@pytest.mark.parametrize("bit", [0, 255, 256, 511])
def test_a_flipped_bit_of_the_signature_is_refused(
    raw_wallet: Wallet, form: Form, bit: int
) -> None:
    chain = funded(raw_wallet)
    payment = form(address(raw_wallet), chain)
    forged = bytearray(raw_wallet.sign(to_bytes_versioned(payment)))
    forged[bit // 8] ^= 1 << bit % 8
    told = sent(chain, payment, bytes(forged))
    assert isinstance(told, FailedTransactionMetadata)
    assert told.err() == TransactionErrorFieldless.SignatureFailure
    assert chain.get_balance(BAKER) is None
    assert chain.get_balance(address(raw_wallet)) == FUNDS


@forms
def test_holders_that_sign_only_messages_decline_a_payment(
    message_wallet: Wallet, form: Form
) -> None:
    payment = to_bytes_versioned(form(address(message_wallet), LiteSVM()))
    with pytest.raises(Declined) as declined:
        message_wallet.sign(payment)
    assert declined.value.rule == "permission"
    ordinary = b"pay the baker"
    verify_ed25519(message_wallet.public_key, ordinary, message_wallet.sign(ordinary))
