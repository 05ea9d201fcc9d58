"""What is agreed about a wallet before its key exists and never changes without a new epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hsm_mpc.certificates.quorum import QuorumSizes
from hsm_mpc.encoding import Reader, lv16, u8
from hsm_mpc.errors import BadEncoding, BadInput
from hsm_mpc.groups.base import Group
from hsm_mpc.groups.proofs import COCKTAIL_ED25519, COCKTAIL_SECP256K1, PublicSuite
from hsm_mpc.ids import Scheme, WalletId, checked_name
from hsm_mpc.tags import Tag, tagged_hash

PROTOCOL_VERSION: Final = 1

_SUITES: Final[Mapping[Scheme, PublicSuite]] = MappingProxyType(
    {Scheme.TAPROOT: COCKTAIL_SECP256K1, Scheme.ED25519: COCKTAIL_ED25519}
)


def suite_of(scheme: Scheme) -> PublicSuite:
    """How keys of `scheme` are generated, else `BadInput`: not a scheme that is built."""
    if scheme not in _SUITES:
        raise BadInput(f"scheme {scheme} is not built")
    return _SUITES[scheme]


def wallet_id_of(name: str, nonce: bytes) -> WalletId:
    """A wallet's id: fixed by its name and the nonce of its PROPOSAL (step 1.6.5)."""
    if len(nonce) != 32:
        raise BadInput("the nonce of a proposal has 32 bytes")
    return WalletId(tagged_hash(Tag.WALLET, lv16(name.encode("ascii")) + nonce)[:16])


def read_version(reader: Reader, what: str) -> None:
    """Refuse any protocol version but ours (step 1.7.10), with `BadEncoding`."""
    version = reader.u8()
    if version != PROTOCOL_VERSION:
        raise BadEncoding(f"{what}: protocol version {version} is unknown")


def read_scheme(reader: Reader) -> Scheme:
    """`u8(scheme)` of a scheme that is built (step 1.6.4), else `BadEncoding`."""
    number = reader.u8()
    if number not in _SUITES:
        raise BadEncoding(f"scheme {number} is unknown")
    return Scheme(number)


def read_point(reader: Reader, group: Group) -> bytes:
    """A validated point of `group`; it carries its parsed form. Else `BadEncoding`."""
    return group.parse_point(reader.take(group.point_length))


@dataclass(frozen=True, slots=True)
class WalletTerms:
    """The fields that the epoch body, ext and the proposal have in common; equal or refused.

    Raises:
        BadInput: from the constructor: a bad name, a scheme that is not built, a wrong length.
    """

    wallet_id: WalletId
    name: str
    scheme: Scheme
    sizes: QuorumSizes
    roster_hash: bytes
    policy_hash: bytes

    def __post_init__(self) -> None:
        checked_name(self.name, "wallet")
        suite_of(self.scheme)
        lengths = (len(self.wallet_id), len(self.roster_hash), len(self.policy_hash))
        if lengths != (16, 32, 32):
            raise BadInput("a wallet has an id of 16 bytes and hashes of 32")

    @property
    def group(self) -> Group:
        """The group of the wallet's keys."""
        return suite_of(self.scheme).group

    def head(self) -> bytes:
        """`wallet_id ‖ LV16(name) ‖ u8(scheme)`."""
        return self.wallet_id + lv16(self.name.encode("ascii")) + u8(self.scheme)

    def tail(self) -> bytes:
        """`u16be(n) ‖ u16be(t) ‖ u16be(J) ‖ u16be(W) ‖ roster_hash ‖ policy_hash`."""
        return self.sizes.to_bytes() + self.roster_hash + self.policy_hash
