"""What a request is, whatever its client calls it (steps 1.6.8 and 3.2.1)."""

from __future__ import annotations

import pytest

from hsm_mpc.errors import Refused
from hsm_mpc.ids import WalletId
from hsm_mpc.policy.facts import Facts, facts_of
from hsm_mpc.policy.rules import Permission
from hsm_mpc.requests import Request, RequestType, UnsignedRequest
from hsm_mpc.taproot.derivation import Path
from tests.software_identity import ed25519_key


def asked(kind: int, content: bytes) -> Request:
    wallet = WalletId(b"wallet of a test")
    unsigned = UnsignedRequest(wallet, kind, content, (Path(),), b"", b"", 0, bytes(32))
    return Request(unsigned, ed25519_key(b"c" * 32).public, b"")


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64, 1000])
def test_a_message_is_a_message(length: int) -> None:
    content = bytes(length)
    assert facts_of(asked(RequestType.MESSAGE, content)) == Facts(Permission.MESSAGE, content)


def test_a_message_that_could_be_a_signature_hash_is_raw() -> None:
    content = b"m" * 32
    assert facts_of(asked(RequestType.MESSAGE, content)) == Facts(Permission.RAW, content)


def test_a_digest_is_raw() -> None:
    content = b"d" * 32
    assert facts_of(asked(RequestType.DIGEST, content)) == Facts(Permission.RAW, content)


@pytest.mark.parametrize("kind", [0, RequestType.PSBT, 4, 5, 6, 255])
def test_what_nothing_here_reads_is_refused(kind: int) -> None:
    with pytest.raises(Refused, match="not signed here") as refused:
        facts_of(asked(kind, b""))
    assert refused.value.rule == "request-type"
