"""HELLO, and the session that all HELLOs together name (steps 2.6.2 and 2.6.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.terms import read_point
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadInput, ProtocolAbort
from hsm_mpc.groups.base import Group
from hsm_mpc.tags import Tag, tagged_hash


@dataclass(frozen=True, slots=True)
class Hello:
    """Payload of HELLO_i: a nonce, the one-time keys of i, and the digest of its wrapping key.

    static_key (P_i) lives for the session; delivery_key (V_i) for epoch 0.
    """

    nonce: bytes
    static_key: bytes
    delivery_key: bytes
    kek_digest: bytes

    def to_bytes(self) -> bytes:
        """`nonce[32] ‖ P ‖ V ‖ kek_digest[32]`."""
        return self.nonce + self.static_key + self.delivery_key + self.kek_digest

    @classmethod
    def from_bytes(cls, source: bytes, group: Group) -> Hello:
        """Inverse of `to_bytes`; `BadEncoding` for anything else, invalid points included."""
        reader = Reader(source, "hello")
        hello = cls(
            reader.take(32),
            read_point(reader, group),
            read_point(reader, group),
            reader.take(32),
        )
        reader.end()
        return hello


def check_hellos(hellos: Sequence[Hello], n: int) -> None:
    """All n HELLOs, in roster order, are fresh against each other (step 2.6.3).

    Raises:
        ProtocolAbort: two equal nonces, or two equal keys among the 2n. Who copied is not proven,
            so nobody is named, except a holder that shows one key in both places.
        BadInput: not n HELLOs.
    """
    if len(hellos) != n:
        raise BadInput(f"{len(hellos)} hellos of {n} holders")
    both_alike = [
        index for index, hello in enumerate(hellos, 1) if hello.static_key == hello.delivery_key
    ]
    if both_alike:
        raise ProtocolAbort("hello: one key in both places", culprits=both_alike)
    keys = [key for hello in hellos for key in (hello.static_key, hello.delivery_key)]
    if len(set(keys)) != 2 * n:
        raise ProtocolAbort("hello: two holders show one key")
    if len({hello.nonce for hello in hellos}) != n:
        raise ProtocolAbort("hello: two holders show one nonce")


def session_id_of(proposal_hash: bytes, hello_messages: Sequence[bytes]) -> bytes:
    """session_id, 32 bytes, from ph and the n whole HELLO messages with their signatures.

    No party alone determines it, and it never repeats while one honest nonce is fresh.
    """
    digests = (hashlib.sha256(message).digest() for message in hello_messages)
    return tagged_hash(Tag.SESSION, proposal_hash + b"".join(digests))
