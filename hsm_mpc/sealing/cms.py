"""The sealed blob as AuthEnvelopedData (RFC 5083) in one canonical DER form (step 1.11.1).

A blob is exactly what `encode` gives for some `Blob`. `decode` reads the values, encodes them anew
and refuses what differs in a single byte: another version, originatorInfo, other or more
attributes, unauthenticated attributes, other algorithms, a BER length, an unsorted SET.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from asn1crypto import algos, cms

from hsm_mpc.encoding import lv32
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.ids import EpochHash, HolderIndex, WalletId
from hsm_mpc.sealing import asn1
from hsm_mpc.sealing.context import Context, Pair
from hsm_mpc.wrapping.recipients import (
    KEY_ID_BYTES,
    RSA_WRAPPED_BYTES,
    KeyRecipient,
    Mechanism,
    OaepHash,
    Recipient,
    RecipientFields,
    RsaRecipient,
)

SHARE_BYTES: Final = 64
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
MOST_RECIPIENTS: Final = 8
SHARE_CAP: Final = 16 * 1024
PAIR_CAP: Final = 32 * 1024
_VERSION: Final = 1
_TIMES: Final = range(int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()) + 1)


@dataclass(frozen=True, slots=True)
class Blob:
    """The values of a sealed blob. Everything in it is public."""

    context: Context
    created: int
    """Seconds since 1970 UTC."""
    recipients: tuple[Recipient, ...]
    """1 to 8, of different keys, in the order of their encodings."""
    nonce: bytes
    ciphertext: bytes
    """64 bytes for a share (step 1.11.2), at least one for a pair state."""
    tag: bytes

    def __post_init__(self) -> None:
        _require(self.created in _TIMES, "created lies between the years 1970 and 9999")
        _require(1 <= len(self.recipients) <= MOST_RECIPIENTS, "it has 1 to 8 recipients")
        names = {recipient.name for recipient in self.recipients}
        _require(len(names) == len(self.recipients), "its recipients are different keys")
        _require(len(self.nonce) == NONCE_BYTES, "its nonce is 12 bytes")
        _require(len(self.tag) == TAG_BYTES, "its tag is 16 bytes")
        if self.context.pair is None:
            _require(len(self.ciphertext) == SHARE_BYTES, "the content of a share is 64 bytes")
        else:
            _require(len(self.ciphertext) > 0, "the content of a pair state is not empty")


def encode(blob: Blob) -> bytes:
    """The one DER encoding of `blob`.

    Raises:
        BadInput: longer than 16 KiB (a pair state: 32 KiB).
    """
    encoded: bytes = cms.ContentInfo(
        {
            "content_type": "authenticated_enveloped_data",
            "content": {
                "version": "v0",
                "recipient_infos": [_recipient_info(each) for each in blob.recipients],
                "auth_encrypted_content_info": {
                    "content_type": "data",
                    "content_encryption_algorithm": {
                        "algorithm": "aes256_gcm",
                        "parameters": asn1.GcmParameters(
                            {"nonce": blob.nonce, "icv_length": TAG_BYTES}
                        ),
                    },
                    "encrypted_content": blob.ciphertext,
                },
                "auth_attrs": _attributes(blob.context, blob.created),
                "mac": blob.tag,
            },
        }
    ).dump()
    cap = SHARE_CAP if blob.context.pair is None else PAIR_CAP
    _require(len(encoded) <= cap, f"it is at most {cap} bytes long")
    return encoded


def decode(encoded: bytes) -> Blob:
    """The values of a sealed blob.

    Raises:
        BadEncoding: anything but what `encode` gives; nothing else, whatever the bytes are.
    """
    if len(encoded) > PAIR_CAP:
        raise BadEncoding(f"sealed blob: {len(encoded)} bytes are more than {PAIR_CAP}")
    try:
        blob = _read(encoded)
        canonical = encode(blob)
    except BadInput as broken:
        raise BadEncoding(str(broken)) from broken
    except Exception as unreadable:  # asn1crypto raises whatever one of its steps raised
        raise BadEncoding(
            "sealed blob: the bytes are no AuthEnvelopedData of its profile"
        ) from unreadable
    if canonical != encoded:
        raise BadEncoding("sealed blob: the bytes are not the canonical DER of its profile")
    return blob


def authenticated(context: Context, created: int) -> bytes:
    """DER of the authAttrs as SET OF, tag 31: the content's associated data (RFC 5083 2.2)."""
    encoded: bytes = _attributes(context, created).dump()
    return encoded


def binding(authenticated_attributes: bytes, fields: RecipientFields) -> bytes:
    """What a device authenticates when it wraps the data key, 32 bytes (step 1.11.4)."""
    encoded_fields = asn1.RecipientFields(_fields(fields.bound)).dump()
    return hashlib.sha256(lv32(authenticated_attributes) + lv32(encoded_fields)).digest()


def _attributes(context: Context, created: int) -> Any:
    moment = datetime.fromtimestamp(created, UTC).strftime("%Y%m%d%H%M%SZ")
    encoded_context = asn1.Context(
        {
            "version": _VERSION,
            "wallet_id": context.wallet_id,
            "holder": context.holder,
            "scheme": int(context.scheme),
            "epoch": context.epoch,
            "threshold": context.threshold,
            "epoch_hash": context.epoch_hash,
            "created": moment,
        }
    )
    attributes: list[dict[str, Any]] = [
        {"type": "content_type", "values": ["data"]},
        {"type": asn1.ID_CONTEXT, "values": [encoded_context]},
    ]
    if context.pair is not None:
        pair = {"peer": context.pair.peer, "generation": context.pair.generation}
        attributes.append({"type": asn1.ID_PAIR, "values": [asn1.Pair(pair)]})
    return cms.CMSAttributes(attributes)


def _fields(fields: RecipientFields) -> dict[str, Any]:
    return {
        "mechanism": int(fields.mechanism),
        "key_uri": fields.key_uri,
        "key_version": fields.key_version,
        "iv": fields.iv,
    }


def _recipient_info(recipient: Recipient) -> Any:
    if isinstance(recipient, KeyRecipient):
        value = asn1.KeyRecipient(
            {"fields": _fields(recipient.fields), "wrapped": recipient.wrapped}
        )
        ori = {"ori_type": asn1.ID_ORI, "ori_value": value}
        return cms.RecipientInfo("ori", cms.OtherRecipientInfo(ori))
    hash_algorithm = {"algorithm": recipient.oaep_hash.value}
    parameters = algos.RSAESOAEPParams(
        {
            "hash_algorithm": hash_algorithm,
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": hash_algorithm},
        }
    )
    ktri = {
        "version": "v2",
        "rid": cms.RecipientIdentifier("subject_key_identifier", recipient.key_id),
        "key_encryption_algorithm": {"algorithm": "rsaes_oaep", "parameters": parameters},
        "encrypted_key": recipient.wrapped,
    }
    return cms.RecipientInfo("ktri", cms.KeyTransRecipientInfo(ktri))


def _read(encoded: bytes) -> Blob:
    body = cms.ContentInfo.load(encoded, strict=True)["content"]
    content = body["auth_encrypted_content_info"]
    parameters = content["content_encryption_algorithm"]["parameters"].parse(asn1.GcmParameters)
    context, created = _read_attributes(body["auth_attrs"])
    return Blob(
        context=context,
        created=created,
        recipients=tuple(_read_recipient(each) for each in body["recipient_infos"]),
        nonce=parameters["nonce"].native,
        ciphertext=content["encrypted_content"].native,
        tag=body["mac"].native,
    )


def _read_attributes(attributes: Any) -> tuple[Context, int]:
    values = {attribute["type"].dotted: attribute["values"][0] for attribute in attributes}
    read = values[asn1.ID_CONTEXT].parse(asn1.Context).native
    pair = None
    if asn1.ID_PAIR in values:
        read_pair = values[asn1.ID_PAIR].parse(asn1.Pair).native
        pair = Pair(HolderIndex(read_pair["peer"]), read_pair["generation"])
    context = Context(
        wallet_id=WalletId(read["wallet_id"]),
        holder=HolderIndex(read["holder"]),
        scheme=read["scheme"],
        epoch=read["epoch"],
        threshold=read["threshold"],
        epoch_hash=EpochHash(read["epoch_hash"]),
        pair=pair,
    )
    return context, int(read["created"].timestamp())


def _read_recipient(info: Any) -> Recipient:
    recipient = info.chosen
    if info.name == "ori":
        value = recipient["ori_value"].parse(asn1.KeyRecipient).native
        fields = value["fields"]
        mechanism = Mechanism(fields["mechanism"])
        return KeyRecipient(
            RecipientFields(mechanism, fields["key_uri"], fields["key_version"], fields["iv"]),
            value["wrapped"],
        )
    parameters = recipient["key_encryption_algorithm"]["parameters"]
    return RsaRecipient(
        recipient["rid"].native,
        OaepHash(parameters["hash_algorithm"]["algorithm"].native),
        recipient["encrypted_key"].native,
    )


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise BadInput(f"sealed blob: {rule}")


def _make_tables() -> None:
    """asn1crypto makes the tables of a class when it is first used, and another thread that uses it
    meanwhile finds half of them: sound bytes would be none. So they are made here, before there is
    a second thread.
    """
    context = Context(
        WalletId(bytes(16)), HolderIndex(1), 1, 0, 1, EpochHash(bytes(32)), Pair(HolderIndex(2), 1)
    )
    recipients = (
        KeyRecipient(RecipientFields(Mechanism.AES_GCM, "pkcs11:", "", b""), bytes(1)),
        RsaRecipient(bytes(KEY_ID_BYTES), OaepHash.SHA256, bytes(RSA_WRAPPED_BYTES.start)),
    )
    decode(encode(Blob(context, 0, recipients, bytes(NONCE_BYTES), bytes(1), bytes(TAG_BYTES))))
    binding(authenticated(context, 0), recipients[0].fields)


_make_tables()
