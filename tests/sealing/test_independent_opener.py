"""Others read our blobs: a reader of a few lines that shares no code with ours, and OpenSSL."""

from __future__ import annotations

import hashlib
import struct
import subprocess
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hsm_mpc.secure.arena import Arena
from tests.programs import program
from tests.sealing.blobs import CONTEXT, NOW, PAIR_CONTEXT, SHARE, sealed_by
from tests.wrapping.software import DeviceIvKey, RsaSoftwareKey, SoftwareKey

# The arc of step 1.11.5 and the number of its third node, as DER contents written by hand.
ARC: Final = bytes.fromhex("6983c1b7b283bdf7f293b79f9494f7c0a283ac53")
ID_DATA: Final = bytes.fromhex("2a864886f70d010701")
ID_CONTENT_TYPE: Final = bytes.fromhex("2a864886f70d010903")
ID_AUTH_ENVELOPED: Final = bytes.fromhex("2a864886f70d0109100117")
ID_AES256_GCM: Final = bytes.fromhex("60864801650304012e")

Element = tuple[int, bytes, bytes]
"""Tag, contents, and the element whole."""


def elements(encoded: bytes) -> list[Element]:
    """The DER elements that stand one after the other in `encoded`."""
    found = []
    while encoded:
        length, header = encoded[1], 2
        if length & 0x80:
            width = length & 0x7F
            length, header = int.from_bytes(encoded[2 : 2 + width], "big"), 2 + width
        found.append((encoded[0], encoded[header : header + length], encoded[: header + length]))
        encoded = encoded[header + length :]
    return found


def inside(element: Element, tag: int) -> list[Element]:
    assert element[0] == tag
    return elements(element[1])


def opened_by_hand(encoded: bytes, wrapping_key: bytes) -> tuple[list[bytes], bytes]:
    """The attributes' values and the content of a blob with one `ori` recipient."""
    (info,) = elements(encoded)
    content_type, wrapped_body = inside(info, 0x30)
    assert content_type[1] == ID_AUTH_ENVELOPED
    (body,) = inside(wrapped_body, 0xA0)
    version, recipients, content, attributes, mac = inside(body, 0x30)
    assert version[1] == b"\0"

    (recipient,) = inside(recipients, 0x31)
    ori_type, ori_value = inside(recipient, 0xA4)
    assert ori_type[1] == ARC + b"\x03"
    fields, wrapped = inside(ori_value, 0x30)
    mechanism, _uri, _key_version, iv = inside(fields, 0x30)
    assert mechanism[1] in (b"\x01", b"\x04")
    bound = fields[2]
    if mechanism[1] == b"\x04":  # the device made the IV: what is bound has an empty one
        without_iv = fields[1][: -len(iv[2])] + b"\x04\x00"
        bound = bytes((0x30, len(without_iv))) + without_iv

    set_of_attributes = b"\x31" + attributes[2][1:]
    parts = (set_of_attributes, bound)
    associated = hashlib.sha256(b"".join(struct.pack(">I", len(p)) + p for p in parts)).digest()
    data_key = AESGCM(wrapping_key).decrypt(iv[1], wrapped[1], associated)

    data_type, algorithm, ciphertext = inside(content, 0x30)
    assert data_type[1] == ID_DATA
    algorithm_id, parameters = inside(algorithm, 0x30)
    assert algorithm_id[1] == ID_AES256_GCM
    nonce, tag_length = inside(parameters, 0x30)
    assert tag_length[1] == b"\x10"
    plaintext = AESGCM(data_key).decrypt(nonce[1], ciphertext[1] + mac[1], set_of_attributes)
    return [attribute[1] for attribute in inside(attributes, 0xA1)], plaintext


@pytest.mark.parametrize("make", [SoftwareKey, DeviceIvKey])
def test_a_reader_written_from_the_specification_alone_opens_a_share(
    arena: Arena, make: type[SoftwareKey]
) -> None:
    key = make()
    attributes, content = opened_by_hand(sealed_by(arena, key), key.key)
    assert content == SHARE
    content_type, context = (elements(attribute) for attribute in attributes)
    assert [each[1] for each in content_type[:1]] == [ID_CONTENT_TYPE]
    assert context[0][1] == ARC + b"\x01"
    (sequence,) = inside(context[1], 0x31)
    version, wallet, holder, scheme, epoch, threshold, epoch_hash, created = inside(sequence, 0x30)
    assert [version[1], holder[1], scheme[1], epoch[1], threshold[1]] == [
        bytes([number])
        for number in (1, CONTEXT.holder, CONTEXT.scheme, CONTEXT.epoch, CONTEXT.threshold)
    ]
    assert wallet[1] == CONTEXT.wallet_id
    assert epoch_hash[1] == CONTEXT.epoch_hash
    assert created[:2] == (0x18, b"20251122130000Z")
    assert NOW == 1_763_816_400


def test_a_reader_written_from_the_specification_alone_opens_a_pair_state(arena: Arena) -> None:
    key = SoftwareKey()
    encoded = sealed_by(arena, key, context=PAIR_CONTEXT, content=b"pair state")
    attributes, content = opened_by_hand(encoded, key.key)
    assert content == b"pair state"
    pair = elements(attributes[1])
    assert pair[0][1] == ARC + b"\x02"
    (sequence,) = inside(pair[1], 0x31)
    assert [each[1] for each in inside(sequence, 0x30)] == [b"\x02", b"\x07"]


# OpenSSL reads the authAttrs of AuthEnvelopedData since 3.0.22; older ones stop at the next field.
STOPS_AT_ATTRIBUTES: Final = "Field=mac, Type=CMS_AuthEnvelopedData"


def openssl(*arguments: str | Path) -> str | None:
    """What openssl prints, as Latin-1; None if it is too old to read beyond the authAttrs."""
    done = subprocess.run([program("openssl"), *arguments], capture_output=True, check=False)
    if STOPS_AT_ATTRIBUTES in done.stderr.decode():
        return None
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("latin-1")


def test_openssl_reads_the_structure(arena: Arena, tmp_path: Path) -> None:
    file = tmp_path / "blob"
    file.write_bytes(sealed_by(arena, SoftwareKey("first"), RsaSoftwareKey()))
    shown = openssl("asn1parse", "-inform", "DER", "-in", file)
    assert shown is not None
    for expected in (
        "id-smime-ct-authEnvelopedData",
        "rsaesOaep",
        "2.25.298699290725979074011751856269835687507.3",
        "software:first",
        "aes-256-gcm",
        "2.25.298699290725979074011751856269835687507.1",
        "20251122130000Z",
    ):
        assert expected in shown


def test_openssl_from_3_0_22_on_takes_it_for_a_message_of_its_own(
    arena: Arena, tmp_path: Path
) -> None:
    file = tmp_path / "blob"
    file.write_bytes(sealed_by(arena, SoftwareKey("first"), RsaSoftwareKey()))
    shown = openssl("cms", "-cmsout", "-print", "-inform", "DER", "-in", file)
    if shown is not None:
        assert "authEnvelopedData" in shown
        assert "unauthAttrs:\n      <ABSENT>" in shown


def test_openssl_from_3_0_22_on_opens_a_share_by_its_rsa_recipient(
    arena: Arena, tmp_path: Path
) -> None:
    key, file, pem = RsaSoftwareKey(), tmp_path / "blob", tmp_path / "key.pem"
    file.write_bytes(sealed_by(arena, SoftwareKey("first"), key))
    pem.write_bytes(
        key.private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    content = openssl("cms", "-decrypt", "-binary", "-inform", "DER", "-in", file, "-inkey", pem)
    assert content in (None, SHARE.decode("latin-1"))
