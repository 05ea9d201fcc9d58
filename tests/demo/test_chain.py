"""The demo's chain is Bitcoin Core's own code: it takes what is right and refuses what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import coincurve
import pytest

from hsm_mpc.demo import blocks
from hsm_mpc.demo.blocks import SUBSIDY, Transaction
from hsm_mpc.demo.chain import MATURITY, RegtestChain
from hsm_mpc.taproot.sighash import NewOutput, Spend, SpentOutput

KEY = coincurve.PrivateKey(b"1" * 32)
PAYS = b"\x51\x20" + KEY.public_key.format()[1:]


@pytest.fixture
def chain(tmp_path: Path) -> RegtestChain:
    return RegtestChain(tmp_path / "chain")


@pytest.fixture
def coin(chain: RegtestChain) -> SpentOutput:
    """One that may be spent in the next block."""
    first = chain.mine(PAYS)
    while chain.height < MATURITY:
        chain.mine(PAYS)
    return first


def spend(coin: SpentOutput, amount: int = SUBSIDY - 1000) -> Spend:
    return Spend(2, 0, (coin,), (NewOutput(amount, PAYS),))


def signed(wanted: Spend) -> Transaction:
    signature = KEY.sign_schnorr(wanted.signature_hash(0))
    return Transaction(wanted, ((signature,),))


def test_blocks_are_mined_one_on_the_other(chain: RegtestChain) -> None:
    assert chain.height == 0
    for height in range(1, 20):
        chain.mine(PAYS)
        assert chain.height == height


def test_a_coin_of_ours_is_spent(chain: RegtestChain, coin: SpentOutput) -> None:
    chain.mine(PAYS, [signed(spend(coin))])
    assert chain.height == MATURITY + 1


def test_two_transactions_of_one_block_are_taken(chain: RegtestChain, coin: SpentOutput) -> None:
    one = signed(spend(coin))
    two = signed(spend(SpentOutput(one.txid, 0, SUBSIDY - 1000, PAYS, 0xFFFFFFFF), SUBSIDY - 2000))
    chain.mine(PAYS, [one, two])
    assert chain.height == MATURITY + 1


def test_a_false_signature_is_refused_and_the_chain_goes_on(
    chain: RegtestChain, coin: SpentOutput
) -> None:
    right = signed(spend(coin))
    flipped = bytes([right.witnesses[0][0][0] ^ 1]) + right.witnesses[0][0][1:]
    chain.mine(PAYS, [replace(right, witnesses=((flipped,),))])
    assert chain.height == MATURITY
    chain.mine(PAYS, [right])
    assert chain.height == MATURITY + 1


def test_more_than_there_is_cannot_be_spent(chain: RegtestChain, coin: SpentOutput) -> None:
    chain.mine(PAYS, [signed(spend(coin, SUBSIDY + 1))])
    assert chain.height == MATURITY


def test_a_coin_is_spent_once(chain: RegtestChain, coin: SpentOutput) -> None:
    chain.mine(PAYS, [signed(spend(coin))])
    chain.mine(PAYS, [signed(spend(coin, SUBSIDY - 5000))])
    assert chain.height == MATURITY + 1


def test_an_odd_row_of_hashes_pairs_its_last_with_itself() -> None:
    one, two, three = (bytes([number]) * 32 for number in (1, 2, 3))
    pair = blocks.double_sha256(one + two) + blocks.double_sha256(three + three)
    assert blocks.merkle_root([one, two, three]) == blocks.double_sha256(pair)
    assert blocks.merkle_root([one]) == one


@pytest.mark.parametrize(
    ("height", "script"),
    [(1, "51"), (16, "60"), (17, "0111"), (127, "017f"), (128, "028000"), (32768, "03008000")],
)
def test_a_height_is_pushed_as_scripts_push_numbers(height: int, script: str) -> None:
    made = blocks.coinbase(height, PAYS, ())
    assert made.script.hex() == script + "00"
