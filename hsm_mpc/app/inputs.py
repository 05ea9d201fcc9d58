"""What a command line gives as bytes: in hex, or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hsm_mpc.errors import BadInput

DIGEST_BYTES: Final = 32
_LARGEST_MESSAGE: Final = 1 << 20


def digest_of(text: str) -> bytes:
    """32 bytes in hex, else `BadInput`."""
    digest = _from_hex(text, "digest")
    if len(digest) != DIGEST_BYTES:
        raise BadInput(f"a digest has {DIGEST_BYTES} bytes, not {len(digest)}")
    return digest


def signature_of(text: str) -> bytes:
    """Bytes in hex, else `BadInput`. Their number is for the verifier to judge."""
    return _from_hex(text, "signature")


def message_in(file: Path) -> bytes:
    """The bytes of a file, at most 1 MiB, else `BadInput`."""
    return content_of(file, _LARGEST_MESSAGE)


def content_of(file: Path, most: int) -> bytes:
    """The bytes of a file, at most so many, else `BadInput`."""
    try:
        with file.open("rb") as opened:
            content = opened.read(most + 1)
    except OSError as failure:
        raise BadInput(f"{file}: {failure.strerror}") from failure
    if len(content) > most:
        raise BadInput(f"{file}: larger than {most} bytes")
    return content


def _from_hex(text: str, what: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as wrong:
        raise BadInput(f"{what} {text!r} is not hexadecimal") from wrong
