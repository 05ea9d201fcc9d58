"""What a request is, read from its bytes and never from what the client calls it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import Refused
from hsm_mpc.ids import Scheme
from hsm_mpc.policy.plain_text import is_plain_text
from hsm_mpc.policy.rules import Permission
from hsm_mpc.requests import Request, RequestType

_SIGHASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be signed, and which permission that takes."""

    permission: Permission
    message: bytes
    """What the scheme signs: the message itself, of any length, or a digest of 32 bytes."""


def facts_of(request: Request, scheme: Scheme) -> Facts:
    """The facts of a request that passed its own checks (step 3.2.1).

    A taproot message of exactly 32 bytes may be the signature hash of a transaction, and an Ed25519
    message that is no text may be a transaction or a login itself: they count as raw.

    Raises:
        Refused: `request-type`: nothing here reads such a transaction.
    """
    content = request.content
    if content.kind not in (RequestType.MESSAGE, RequestType.DIGEST):
        raise Refused("request-type", f"requests of type {content.kind} are not signed here")
    raw = content.kind == RequestType.DIGEST or _may_be_more(content.content, scheme)
    return Facts(Permission.RAW if raw else Permission.MESSAGE, content.content)


def _may_be_more(message: bytes, scheme: Scheme) -> bool:
    if scheme is Scheme.ED25519:
        return not is_plain_text(message)
    return len(message) == _SIGHASH_BYTES
