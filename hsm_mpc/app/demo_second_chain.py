"""The demo's second chain: the same holders, an Ed25519 wallet, Solana's own runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hsm_mpc.app.demo_story import Story
from hsm_mpc.app.wallet import LAB_POLICY
from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.demo.solana import SOL, SolanaChain
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.ids import Scheme
from hsm_mpc.requests import RequestType
from hsm_mpc.taproot.derivation import Path as KeyPath
from hsm_mpc.taproot.encodings import base58

_NAME: Final = "second-chain"
_TARGET: Final = bytes([7] * 32)
"""Somebody's account."""


def second_chain(
    story: Story, client: WalletClient, holders: Sequence[str], threshold: int
) -> VerifiedWallet:
    """What the target's account holds is the judge."""
    story.say("\nThe same holders, another curve, another chain")
    with story.clock.row(f"key generation on Ed25519, {threshold}-of-{len(holders)}"):
        wallet = client.create(_NAME, Scheme.ED25519, threshold, LAB_POLICY, holders)
    account = wallet.key.public_key(KeyPath())
    story.say(f"  Solana      {base58(account)}")
    chain = SolanaChain()
    chain.give(account, 2 * SOL)
    message = chain.transfer(account, _TARGET, SOL)
    chain.execute(message, bytes(63) + b"\1")
    story.say(f"  with a false signature:  refused, {chain.balance(_TARGET)} SOL arrive")
    with story.clock.row("one signature on Ed25519"):
        signed = client.sign(wallet, RequestType.MESSAGE, message, KeyPath(), ())
    chain.execute(message, signed.signature)
    story.lamports = chain.balance(_TARGET)
    if story.lamports != SOL:
        raise HsmMpcError("Solana's runtime refused a transfer of ours")
    by = ", ".join(client.roster.member(index).name for index in signed.signers)
    story.say(f"  with our signature, by {by}:  executed, 1 SOL arrives")
    return wallet
