from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc.certificates.clients import Client, ClientList
from hsm_mpc.encoding import lv16, lv32, u8, u16be, u32be, u64be
from hsm_mpc.errors import BadEncoding, BadInput, Refused
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.requests import Request, RequestType, UnsignedRequest
from hsm_mpc.tags import Tag, tagged_hash
from hsm_mpc.taproot.derivation import Path
from tests.software_identity import SoftwareKey, ed25519_key, p256_key

WALLET = WalletId(bytes(range(16)))
CLIENT = ed25519_key(b"\x01" * 32)
STRANGER = ed25519_key(b"\x02" * 32)
CLIENTS = ClientList(
    WALLET,
    1,
    bytes(32),
    (Client("till", CLIENT.public), Client("vault", p256_key(3).public)),
)
NOW = 1_700_000_000
DAY = 24 * 3600
CONTENT = UnsignedRequest(
    wallet_id=WALLET,
    kind=RequestType.MESSAGE,
    content=b"pay",
    paths=(Path(0, 7),),
    script_root=b"",
    policy_evidence=b"",
    not_after=NOW + 60,
    nonce=b"\x0d" * 32,
)


def signed(content: UnsignedRequest, key: SoftwareKey = CLIENT) -> Request:
    signature = key.sign(Tag.CLIENT, content.signed_message(key.public))
    return Request(content, key.public, signature)


REQUEST = signed(CONTENT)


def refusal_of(request: Request, *, now: int = NOW) -> str:
    with pytest.raises(Refused) as refusal:
        request.check(WALLET, CLIENTS, now)
    return refusal.value.rule


def test_the_bytes_of_a_request_are_those_of_the_specification() -> None:
    """Step 3.2.1, written out."""
    content = replace(CONTENT, script_root=b"\x05" * 32, policy_evidence=b"why")
    request = signed(content)
    unsigned = (
        u8(1)
        + WALLET
        + u8(1)
        + lv32(b"pay")
        + u16be(1)
        + u32be(0)
        + u32be(7)
        + lv16(b"\x05" * 32)
        + lv32(b"why")
        + u64be(NOW + 60)
        + b"\x0d" * 32
    )
    message = unsigned + u8(2) + lv16(CLIENT.public.encoded)
    assert content.to_bytes() == unsigned
    assert request.signature == CLIENT.sign_digest(tagged_hash(Tag.CLIENT, message))
    assert request.to_bytes() == message + lv16(request.signature)


def test_a_request_and_its_sessions_have_names_of_their_own() -> None:
    request_id = tagged_hash(Tag.REQUEST, REQUEST.to_bytes())
    epoch = EpochHash(b"\x0e" * 32)
    assert REQUEST.id == request_id
    assert REQUEST.session_id(epoch) == tagged_hash(Tag.SIGN, request_id + epoch)
    assert REQUEST.session_id(epoch) != REQUEST.session_id(EpochHash(bytes(32)))


@given(
    st.integers(0, 255),
    st.binary(max_size=300),
    st.lists(st.builds(Path, st.integers(0, 1), st.integers(0, 2**31 - 1)), max_size=3),
    st.sampled_from([b"", b"\x09" * 32]),
    st.binary(max_size=300),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=32, max_size=32),
)
def test_any_request_is_read_back_as_it_was_written(
    kind: int,
    content: bytes,
    paths: list[Path],
    script_root: bytes,
    evidence: bytes,
    not_after: int,
    nonce: bytes,
) -> None:
    request = signed(
        UnsignedRequest(
            WALLET, kind, content, tuple(paths), script_root, evidence, not_after, nonce
        )
    )
    assert Request.from_bytes(request.to_bytes()) == request


@pytest.mark.parametrize(
    "content",
    [
        CONTENT,
        replace(CONTENT, content=b""),
        replace(CONTENT, kind=RequestType.DIGEST, content=bytes(32)),
        replace(CONTENT, kind=RequestType.PSBT, paths=(), script_root=b"\x05" * 32),
        replace(CONTENT, not_after=NOW),
        replace(CONTENT, not_after=NOW + DAY),
    ],
)
def test_a_request_of_a_known_client_passes(content: UnsignedRequest) -> None:
    assert signed(content).check(WALLET, CLIENTS, NOW).name == "till"
    assert signed(content, p256_key(3)).check(WALLET, CLIENTS, NOW).name == "vault"


def test_a_request_of_other_wallet_is_refused() -> None:
    other = replace(CONTENT, wallet_id=WalletId(bytes(16)))
    assert refusal_of(signed(other)) == "other-wallet"


@pytest.mark.parametrize("kind", [0, 4, 5, 6, 7, 255])
def test_a_request_of_an_unknown_type_is_refused(kind: int) -> None:
    assert refusal_of(signed(replace(CONTENT, kind=kind))) == "request-type"


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_digest_of_another_length_is_refused(length: int) -> None:
    digest = replace(CONTENT, kind=RequestType.DIGEST, content=bytes(length))
    assert refusal_of(signed(digest)) == "digest-length"


def test_an_unknown_client_is_refused() -> None:
    assert refusal_of(signed(CONTENT, STRANGER)) == "unknown-client"


def test_a_bad_client_signature_is_refused() -> None:
    """Also a good one of another client, and one under another tag."""
    message = CONTENT.signed_message(CLIENT.public)
    for signature in (
        bytes(64),
        STRANGER.sign(Tag.CLIENT, message),
        CLIENT.sign(Tag.REQUEST, message),
        signed(replace(CONTENT, content=b"pay more")).signature,
        b"",
    ):
        assert refusal_of(Request(CONTENT, CLIENT.public, signature)) == "client-signature"


def test_every_byte_of_a_request_is_signed() -> None:
    source = REQUEST.to_bytes()
    for position in range(len(source)):
        changed = bytearray(source)
        changed[position] ^= 1
        with pytest.raises((BadEncoding, Refused)):
            Request.from_bytes(bytes(changed)).check(WALLET, CLIENTS, NOW)


def test_an_expired_request_is_refused() -> None:
    assert refusal_of(REQUEST, now=NOW + 61) == "request-expired"
    REQUEST.check(WALLET, CLIENTS, NOW + 60)


def test_a_request_whose_not_after_is_too_far_is_refused() -> None:
    assert refusal_of(signed(replace(CONTENT, not_after=NOW + DAY + 1))) == "request-too-far"


@pytest.mark.parametrize(
    "kind, paths",
    [
        (RequestType.MESSAGE, ()),
        (RequestType.MESSAGE, (Path(), Path(1, 1))),
        (RequestType.DIGEST, ()),
        (RequestType.PSBT, (Path(),)),
    ],
)
def test_another_number_of_paths_is_refused(kind: RequestType, paths: tuple[Path, ...]) -> None:
    content = replace(CONTENT, kind=kind, content=bytes(32), paths=paths)
    assert refusal_of(signed(content)) == "path-count"


@pytest.mark.parametrize("kind", [RequestType.MESSAGE, RequestType.DIGEST])
def test_a_script_root_is_refused_for_messages_and_digests(kind: RequestType) -> None:
    content = replace(CONTENT, kind=kind, content=bytes(32), script_root=b"\x05" * 32)
    assert refusal_of(signed(content)) == "script-root"


def test_the_checks_run_in_the_order_of_the_specification() -> None:
    """A request that is wrong everywhere names the first check; mended, the next one."""
    everything = replace(
        CONTENT,
        wallet_id=WalletId(bytes(16)),
        kind=9,
        content=b"short",
        paths=(),
        script_root=b"\x05" * 32,
        not_after=NOW - 1,
    )
    mended: list[dict[str, Any]] = [
        {"wallet_id": WALLET},
        {"kind": RequestType.DIGEST},
        {"content": bytes(32)},
        {},
        {},
        {"not_after": NOW + DAY + 1},
        {"not_after": NOW + 1},
        {"paths": (Path(),)},
        {"script_root": b""},
    ]
    wrong_signature = Request(everything, STRANGER.public, bytes(64))
    rules = []
    request = wrong_signature
    for change in mended:
        rules.append(refusal_of(request))
        content = replace(request.content, **change)
        if rules[-1] == "unknown-client":
            request = Request(content, CLIENT.public, bytes(64))
        elif len(rules) > 4:
            request = signed(content)
        else:
            request = replace(request, content=content)
    request.check(WALLET, CLIENTS, NOW)
    assert rules == [
        "other-wallet",
        "request-type",
        "digest-length",
        "unknown-client",
        "client-signature",
        "request-expired",
        "request-too-far",
        "path-count",
        "script-root",
    ]


@pytest.mark.parametrize(
    "changes, text",
    [
        ({"script_root": bytes(31)}, "script root"),
        ({"wallet_id": bytes(15)}, "wallet_id has 16"),
        ({"nonce": bytes(33)}, "nonce 32"),
    ],
)
def test_a_request_of_other_lengths_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(BadInput, match=text):
        replace(CONTENT, **changes)


def test_another_version_is_refused() -> None:
    with pytest.raises(BadEncoding, match="version 2"):
        Request.from_bytes(b"\x02" + REQUEST.to_bytes()[1:])


@pytest.mark.parametrize(
    "path", [u32be(2) + u32be(0), u32be(0) + u32be(2**31), u32be(2**31) + u32be(0)]
)
def test_a_hardened_index_in_a_request_is_a_bad_encoding(path: bytes) -> None:
    """Step 5.1.3."""
    source = REQUEST.to_bytes().replace(u32be(0) + u32be(7), path)
    with pytest.raises(BadEncoding, match="path m"):
        Request.from_bytes(source)
