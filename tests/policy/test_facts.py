"""What a request is, whatever its client calls it (steps 1.6.8 and 3.2.1)."""

from __future__ import annotations

import pytest

from hsm_mpc.errors import Refused
from hsm_mpc.ids import Scheme, WalletId
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
    request = asked(RequestType.MESSAGE, content)
    assert facts_of(request, Scheme.TAPROOT) == Facts(Permission.MESSAGE, content)


def test_a_message_that_could_be_a_signature_hash_is_raw() -> None:
    content = b"m" * 32
    request = asked(RequestType.MESSAGE, content)
    assert facts_of(request, Scheme.TAPROOT) == Facts(Permission.RAW, content)


@pytest.mark.parametrize("content", [b"", b"pay nobody", b"m" * 31, b"m" * 33, b"m" * 1000])
def test_an_ed25519_message_is_a_message(content: bytes) -> None:
    request = asked(RequestType.MESSAGE, content)
    assert facts_of(request, Scheme.ED25519) == Facts(Permission.MESSAGE, content)


def test_an_ed25519_message_that_is_more_is_raw() -> None:
    """tests/policy/test_plain_text.py: which those are."""
    request = asked(RequestType.MESSAGE, b"SSHSIG\0\0\0\4file")
    assert facts_of(request, Scheme.ED25519).permission is Permission.RAW
    assert facts_of(request, Scheme.TAPROOT).permission is Permission.MESSAGE


@pytest.mark.parametrize("scheme", [Scheme.TAPROOT, Scheme.ED25519])
def test_a_digest_is_raw(scheme: Scheme) -> None:
    content = b"d" * 32
    assert facts_of(asked(RequestType.DIGEST, content), scheme) == Facts(Permission.RAW, content)


@pytest.mark.parametrize("kind", [0, RequestType.PSBT, 4, 5, 6, 255])
def test_what_nothing_here_reads_is_refused(kind: int) -> None:
    with pytest.raises(Refused, match="not signed here") as refused:
        facts_of(asked(kind, b""), Scheme.TAPROOT)
    assert refused.value.rule == "request-type"
