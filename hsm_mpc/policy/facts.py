"""What a request is, read from its bytes and never from what the client calls it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hsm_mpc.errors import Refused
from hsm_mpc.policy.rules import Permission
from hsm_mpc.requests import Request, RequestType

_SIGHASH_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be signed, and which permission that takes."""

    permission: Permission
    message: bytes
    """What BIP 340 signs: the message itself, of any length, or a digest of 32 bytes."""


def facts_of(request: Request) -> Facts:
    """The facts of a request that passed its own checks (step 3.2.1).

    A message of exactly 32 bytes may be the signature hash of a transaction, so it counts as raw.

    Raises:
        Refused: `request-type`: nothing here reads such a transaction.
    """
    content = request.content
    if content.kind not in (RequestType.MESSAGE, RequestType.DIGEST):
        raise Refused("request-type", f"requests of type {content.kind} are not signed here")
    raw = content.kind == RequestType.DIGEST or len(content.content) == _SIGHASH_BYTES
    return Facts(Permission.RAW if raw else Permission.MESSAGE, content.content)
