"""Messages that are more than they seem: an Ed25519 key signs no digests, so the bytes of a message
may be a transaction, a login or a certificate. Whoever may only sign messages must not sign these.

Recognised too much rather than too little: whatever a Solana node or an SSH peer would accept as
theirs is found here, and some bytes that they would refuse.
"""

from __future__ import annotations

from typing import Final

from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadEncoding

_SSH_SIGNATURE: Final = b"SSHSIG"
_USERAUTH_REQUEST: Final = 50
_EXCHANGE_HASHES: Final = frozenset({20, 32, 48, 64})
"""Bytes of an exchange hash, which a server's host key signs as it is."""
_SOLANA_KEY_BYTES: Final = 32
_VERSIONED: Final = 0x80


def is_more_than_a_message(content: bytes) -> bool:
    """Whether an Ed25519 signature of these bytes may move funds or open a door."""
    return _is_solana_message(content) or _is_of_ssh(content)


def _is_of_ssh(content: bytes) -> bool:
    """What an SSH key signs: a signature's preamble, a login, a certificate, an exchange hash."""
    if content.startswith(_SSH_SIGNATURE) or len(content) in _EXCHANGE_HASHES:
        return True
    reader = Reader(content, "ssh")
    try:
        first = reader.lv32()
        return b"-cert-" in first or reader.u8() == _USERAUTH_REQUEST
    except BadEncoding:
        return False


def _is_solana_message(content: bytes) -> bool:
    """Whether all of it reads as a message of a Solana transaction, legacy or versioned."""
    reader = Reader(content, "solana message")
    try:
        first = reader.u8()
        versioned = first >= _VERSIONED
        signers = reader.u8() if versioned else first
        reader.take(2)  # how many of the keys are only read
        keys = _short_length(reader)
        reader.take(_SOLANA_KEY_BYTES * keys)
        reader.take(_SOLANA_KEY_BYTES)  # a recent block's hash, or a nonce
        for _ in range(_short_length(reader)):
            reader.take(1)  # the program
            reader.take(_short_length(reader))  # its accounts
            reader.take(_short_length(reader))  # its input
        if versioned:
            for _ in range(_short_length(reader)):
                reader.take(_SOLANA_KEY_BYTES)  # a table of addresses
                reader.take(_short_length(reader))
                reader.take(_short_length(reader))
        reader.end()
    except BadEncoding:
        return False
    return 1 <= signers <= keys


def _short_length(reader: Reader) -> int:
    """A length in one to three bytes, seven bits each, the lowest first."""
    length = 0
    for place in range(3):
        byte = reader.u8()
        length |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            break
    return length
