"""Whole rosters among what has amended that of a wallet.

u8(3) ‖ LV32(CERT payload)   a resharing, by the certificate of the epoch that it made (6.8.4)
u8(4) ‖ LV32(ROSTER)         the first one, where it is not all of the pinned one (2.6.1)
"""

from __future__ import annotations

from typing import Final

from hsm_mpc.encoding import Reader, lv32, u8
from hsm_mpc.errors import BadEncoding
from hsm_mpc.roster import Roster
from hsm_mpc.succession.successor import SharedAnew, SuccessorCertificate

_BY_RESHARING: Final = 3
_FIRST: Final = 4


def carried_by(certificate: SuccessorCertificate) -> bytes:
    """The resharing of this certificate."""
    return u8(_BY_RESHARING) + lv32(certificate.to_bytes())


def is_resharing(source: bytes) -> bool:
    """Whether this is one, or something else that amends a roster."""
    return source[:1] == u8(_BY_RESHARING)


def resharing_in(source: bytes) -> tuple[SuccessorCertificate, SharedAnew]:
    """Its certificate, parsed, and what that has of its own. Raises: BadEncoding: it is none."""
    reader = Reader(source, "amendment")
    if reader.u8() != _BY_RESHARING:
        raise BadEncoding("amendment: it is no resharing")
    certificate = SuccessorCertificate.from_bytes(reader.lv32())
    reader.end()
    if certificate.shared_anew is None:
        raise BadEncoding("amendment: the certificate is of no resharing")
    return certificate, certificate.shared_anew


def first_of(roster: Roster) -> bytes:
    """The roster that a wallet began with."""
    return u8(_FIRST) + lv32(roster.to_bytes())


def first_in(source: bytes) -> Roster | None:
    """That one; None: it is something else. Raises: BadEncoding: it does not parse."""
    if source[:1] != u8(_FIRST):
        return None
    reader = Reader(source[1:], "roster")
    roster = Roster.from_bytes(reader.lv32())
    reader.end()
    return roster
