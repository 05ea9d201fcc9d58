"""The ASN.1 module HsmMpcBlob (step 1.11.5), and the parameters of GCM that asn1crypto lacks.

    HsmMpcBlob { joint-iso-itu-t(2) uuid(25) 298699290725979074011751856269835687507 0 }
    DEFINITIONS EXPLICIT TAGS ::= BEGIN

Ranges are those of `Context`, `Pair` and `RecipientFields`, which every decoded value passes.
"""

from __future__ import annotations

from typing import ClassVar, Final

from asn1crypto import core

ARC: Final = "2.25.298699290725979074011751856269835687507"
ID_CONTEXT: Final = f"{ARC}.1"
ID_PAIR: Final = f"{ARC}.2"
ID_ORI: Final = f"{ARC}.3"


class Context(core.Sequence):  # type: ignore[misc]
    """What the content is bound to; `created` is YYYYMMDDHHMMSSZ."""

    _fields: ClassVar = [
        ("version", core.Integer),
        ("wallet_id", core.OctetString),
        ("holder", core.Integer),
        ("scheme", core.Integer),
        ("epoch", core.Integer),
        ("threshold", core.Integer),
        ("epoch_hash", core.OctetString),
        ("created", core.GeneralizedTime),
    ]


class Pair(core.Sequence):  # type: ignore[misc]
    """The peer and generation of a pair state."""

    _fields: ClassVar = [("peer", core.Integer), ("generation", core.Integer)]


class RecipientFields(core.Sequence):  # type: ignore[misc]
    """The part of a `KeyRecipient` that is authenticated to the device."""

    _fields: ClassVar = [
        ("mechanism", core.Integer),
        ("key_uri", core.UTF8String),
        ("key_version", core.UTF8String),
        ("iv", core.OctetString),
    ]


class KeyRecipient(core.Sequence):  # type: ignore[misc]
    """The oriValue of a recipient."""

    _fields: ClassVar = [("fields", RecipientFields), ("wrapped", core.OctetString)]


class GcmParameters(core.Sequence):  # type: ignore[misc]
    """GCMParameters of RFC 5084 section 3.2."""

    _fields: ClassVar = [
        ("nonce", core.OctetString),
        ("icv_length", core.Integer, {"default": 12}),
    ]
