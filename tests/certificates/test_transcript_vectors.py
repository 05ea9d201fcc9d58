"""The transcripts of COCKTAIL-DKG's own vectors, rebuilt, parsed and verified (section 2.5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hsm_mpc.certificates.transcript import Transcript
from hsm_mpc.errors import InvalidSignature
from hsm_mpc.groups.proofs import COCKTAIL_SECP256K1, context_of, verify
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.groups.sharing import sum_of_commitments


def transcript_of(vector: dict[str, Any]) -> Transcript:
    dealings = vector["round1"]
    return Transcript(
        suite=COCKTAIL_SECP256K1,
        context=bytes.fromhex(vector["context"]),
        threshold=vector["t"],
        static_keys=tuple(map(bytes.fromhex, vector["config"]["static_public_keys"])),
        commitments=tuple(
            tuple(map(bytes.fromhex, dealing["vss_commitment"])) for dealing in dealings
        ),
        possessions=tuple(bytes.fromhex(dealing["pop"]) for dealing in dealings),
        ephemeral_keys=tuple(
            bytes.fromhex(dealing["ephemeral_public_key"]) for dealing in dealings
        ),
        extension=bytes.fromhex(vector["extension"]),
    )


def test_the_four_transcripts_are_reproduced_and_every_signature_verifies(vectors: Path) -> None:
    """Steps 2.2.4, 2.4.2, 2.5.2, 2.5.10 and 2.5.12."""
    file = vectors / "cocktail-dkg" / "cocktail-dkg-secp256k1-sha256.json"
    cases = json.loads(file.read_bytes())["vectors"]
    assert [(case["t"], case["n"]) for case in cases] == [(2, 3), (3, 5), (7, 14), (2, 3)]
    for case in cases:
        transcript = transcript_of(case)
        source = transcript.to_bytes()
        assert Transcript.from_bytes(source, COCKTAIL_SECP256K1) == transcript
        assert transcript.hash.hex() == case["round3"]["transcript_hash"]
        session = bytes.fromhex(case["session_tag"])
        context = context_of(COCKTAIL_SECP256K1, session, transcript.static_keys)
        assert context == transcript.context
        key, *_ = sum_of_commitments(SECP256K1, transcript.commitments)
        assert key.hex() == case["group_public_key"]
        for index, signed in enumerate(case["round3"]["signatures"], 1):
            possession = transcript.possessions[index - 1]
            constant = transcript.commitments[index - 1][0]
            message = transcript.possession_message(index)
            verify(COCKTAIL_SECP256K1, possession, constant, message)
            signature = bytes.fromhex(signed["signature"])
            static_key = transcript.static_keys[index - 1]
            verify(COCKTAIL_SECP256K1, signature, static_key, source)
            with pytest.raises(InvalidSignature):
                verify(COCKTAIL_SECP256K1, signature, static_key, message)
