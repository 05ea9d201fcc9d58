from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from hsm_mpc.errors import BadInput
from hsm_mpc.groups.secp256k1 import verify_bip340
from hsm_mpc.taproot.sighash import NewOutput, Spend, SpentOutput, with_compact_size

SPEND = Spend(
    version=2,
    lock_time=0,
    inputs=(
        SpentOutput(b"\x01" * 32, 0, 100_000, b"\x51\x20" + b"\x02" * 32, 0xFFFFFFFD),
        SpentOutput(b"\x03" * 32, 7, 50_000, b"\x51\x20" + b"\x04" * 32, 0xFFFFFFFF),
    ),
    outputs=(NewOutput(120_000, b"\x51\x20" + b"\x05" * 32), NewOutput(1_000, b"\x6a")),
)


def spend_of(given: dict[str, Any]) -> Spend:
    """Reads the unsigned transaction of the vectors; no script in it is longer than 252 bytes."""
    source = BytesIO(bytes.fromhex(given["rawUnsignedTx"]))

    def number(length: int) -> int:
        return int.from_bytes(source.read(length), "little")

    version = number(4)
    inputs = []
    for spent in given["utxosSpent"][: number(1)]:
        txid, vout = source.read(32), number(4)
        assert number(1) == 0
        script = bytes.fromhex(spent["scriptPubKey"])
        inputs.append(SpentOutput(txid, vout, spent["amountSats"], script, number(4)))
    outputs = []
    for _ in range(number(1)):
        amount = number(8)
        outputs.append(NewOutput(amount, source.read(number(1))))
    return Spend(version, number(4), inputs, outputs)


def test_the_default_hash_of_bip_341_is_reproduced_and_its_signature_verifies(
    vectors: Path,
) -> None:
    """Section 5.2: of the vectors' hash types only DEFAULT is ours."""
    document = json.loads((vectors / "bips" / "bip-0341-wallet-test-vectors.json").read_bytes())
    (case,) = document["keyPathSpending"]
    spend = spend_of(case["given"])
    checked = 0
    for signed in case["inputSpending"]:
        if signed["given"]["hashType"] != 0:
            continue
        position = signed["given"]["txinIndex"]
        digest = spend.signature_hash(position)
        assert digest.hex() == signed["intermediary"]["sigHash"]
        output_key = spend.inputs[position].script_pubkey[2:]
        verify_bip340(output_key, digest, bytes.fromhex(signed["expected"]["witness"][0]))
        checked += 1
    assert checked >= 1


@pytest.mark.parametrize(
    "changed",
    [
        replace(SPEND, version=1),
        replace(SPEND, lock_time=1),
        replace(SPEND, inputs=SPEND.inputs[:1]),
        replace(SPEND, inputs=SPEND.inputs[::-1]),
        replace(SPEND, outputs=SPEND.outputs[:1]),
        replace(SPEND, outputs=SPEND.outputs[::-1]),
    ]
    + [
        replace(SPEND, inputs=(SPEND.inputs[0], replace(SPEND.inputs[1], **change)))
        for change in (
            {"txid": b"\x09" * 32},
            {"vout": 8},
            {"amount": 50_001},
            {"script_pubkey": b"\x51"},
            {"sequence": 0},
        )
    ]
    + [
        replace(SPEND, outputs=(SPEND.outputs[0], replace(SPEND.outputs[1], **change)))
        for change in ({"amount": 1_001}, {"script_pubkey": b"\x6a\x00"})
    ],
)
def test_every_field_of_the_transaction_is_signed(changed: Spend) -> None:
    """Also those of other inputs."""
    assert changed.signature_hash(0) != SPEND.signature_hash(0)


def test_every_input_signs_another_hash() -> None:
    assert SPEND.signature_hash(0) != SPEND.signature_hash(1)


@pytest.mark.parametrize("position", [-1, 2])
def test_an_input_that_is_not_there_is_refused(position: int) -> None:
    with pytest.raises(BadInput, match="input"):
        SPEND.signature_hash(position)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_transaction_id_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(BadInput, match="32 bytes"):
        replace(SPEND.inputs[0], txid=bytes(length))


@pytest.mark.parametrize(
    "length, prefix",
    [(0, "00"), (252, "fc"), (253, "fdfd00"), (0xFFFF, "fdffff"), (0x10000, "fe00000100")],
)
def test_a_script_stands_behind_its_compact_size(length: int, prefix: str) -> None:
    """Step 5.1.6."""
    assert with_compact_size(bytes(length)) == bytes.fromhex(prefix) + bytes(length)
