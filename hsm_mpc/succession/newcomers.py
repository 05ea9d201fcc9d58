"""New holders in a resharing: what each says before it is dealt to, and once it has its share.

They are numbered in the new roster, and send as 0x4000 + k (step 6.8.1): who is in both rosters
acts under both numbers, each in its own part. HELLO' is

    nonce[32] ‖ V'_k ‖ kek_digest'_k
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.done import Done
from hsm_mpc.certificates.resharing import Resharing
from hsm_mpc.certificates.terms import read_point
from hsm_mpc.encoding import Reader
from hsm_mpc.errors import BadInput
from hsm_mpc.groups.base import Group
from hsm_mpc.succession.addresses import Replaced, expected_in, signed_by_identity
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.envelope import parse_envelope
from hsm_mpc.wire.rounds import FIRST_NEW_HOLDER, NEW_DONE, NEW_HELLO


@dataclass(frozen=True, slots=True)
class NewHello:
    """Payload of HELLO'_k."""

    nonce: bytes
    delivery_key: bytes
    """V'_k, under which its share is dealt."""
    kek_digest: bytes
    """Of its wrapping key, which is there already."""

    def to_bytes(self) -> bytes:
        """The payload."""
        return self.nonce + self.delivery_key + self.kek_digest

    @classmethod
    def from_bytes(cls, source: bytes, group: Group) -> NewHello:
        """Inverse of `to_bytes`; `BadEncoding` for anything else, an invalid point included."""
        reader = Reader(source, "hello of a new holder")
        hello = cls(reader.take(32), read_point(reader, group), reader.take(32))
        reader.end()
        return hello


@dataclass(frozen=True, slots=True)
class Newcomers:
    """All n' new holders, ready to be dealt to."""

    resharing: Resharing
    hellos: tuple[NewHello, ...]
    """In the order of the new roster."""

    @property
    def delivery_keys(self) -> tuple[bytes, ...]:
        """V'_1..V'_n'."""
        return tuple(hello.delivery_key for hello in self.hellos)


def newcomers_in(
    sources: Sequence[bytes],
    resharing: Resharing,
    replaced: Replaced,
    attempt: Attempt,
    keys: KeyBook,
) -> Newcomers:
    """The HELLO' of every new holder in an attempt, each signed by its HSM.

    Raises:
        BadInput, InvalidSignature: one is missing, or is not that; or two show one delivery key,
            under which two shares would go out under one pad.
    """
    n, book = resharing.roster.n, keys.of_new_holders(resharing.roster)
    if len(sources) != n:
        raise BadInput(f"propose: {len(sources)} hellos of {n} new holders")
    hellos = []
    for k, source in enumerate(sources, 1):
        expected = expected_in(NEW_HELLO, replaced, attempt, (FIRST_NEW_HOLDER + k,))
        payload = signed_by_identity(source, expected, book).payload
        hellos.append(NewHello.from_bytes(payload, replaced.terms.group))
    newcomers = Newcomers(resharing, tuple(hellos))
    if len(set(newcomers.delivery_keys)) != n:
        raise BadInput("propose: two new holders have one delivery key")
    return newcomers


def arrival_in(source: bytes, replaced: Replaced, keys: KeyBook) -> tuple[int, Done]:
    """Which new holder has its share of the successor of `replaced`, and what it says of it.

    Args:
        keys: of the new holders (`KeyBook.of_new_holders`).

    Raises:
        BadInput, InvalidSignature: it is no DONE of a new holder in an attempt to replace it.
    """
    payload, n = parse_envelope(source).payload, keys.roster.n
    done = Done.from_bytes(payload, replaced.terms.group)
    senders = range(FIRST_NEW_HOLDER + 1, FIRST_NEW_HOLDER + n + 1)
    message = signed_by_identity(
        source, expected_in(NEW_DONE, replaced, done.attempt, senders), keys
    )
    return message.address.sender - FIRST_NEW_HOLDER, done
