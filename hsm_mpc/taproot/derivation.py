"""Keys below the threshold key, as BIP 32 derives public ones (steps 5.1.2 to 5.1.5)."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from hsm_mpc.encoding import u8, u32be
from hsm_mpc.errors import BadInput
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.ids import EpochHash
from hsm_mpc.tags import Tag, tagged_hash
from hsm_mpc.taproot.encodings import Network, base58check, with_checksum
from hsm_mpc.taproot.ripemd160 import ripemd160

_FIRST_HARDENED: Final = 2**31
_PATH: Final = re.compile(r"m/(0|1)/(0|[1-9][0-9]{0,9})")


class Tweak(NamedTuple):
    """What is added to a key: 32 bytes, and whether to the x-only key (BIP 445)."""

    value: bytes
    x_only: bool


@dataclass(frozen=True, slots=True)
class Path:
    """`m/change/index` below the threshold key (step 5.1.3); m/0/0 unless a caller says otherwise.

    Raises:
        BadInput: from the constructor: change is not 0 or 1, or the index is hardened.
    """

    change: int = 0
    index: int = 0

    def __post_init__(self) -> None:
        if self.change not in (0, 1) or not 0 <= self.index < _FIRST_HARDENED:
            raise BadInput(
                f"path m/{self.change}/{self.index}: change is 0 or 1, and the index below 2^31 "
                "and not hardened"
            )

    def __str__(self) -> str:
        return f"m/{self.change}/{self.index}"

    @classmethod
    def parse(cls, text: str) -> Path:
        """`m/CHANGE/INDEX`, else `BadInput`."""
        match = _PATH.fullmatch(text)
        if match is None:
            raise BadInput(f"path {text!r}: m/CHANGE/INDEX is wanted, CHANGE 0 or 1")
        return cls(int(match[1]), int(match[2]))


def chain_code_of(first_epoch: EpochHash) -> bytes:
    """The chain code of a wallet, 32 bytes: fixed by h_0, kept for good (step 5.1.2).

    Public, but whoever has it links all addresses of the wallet.
    """
    return tagged_hash(Tag.CHAINCODE, first_epoch)


def _hmac_sha512(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha512")


class Derived(NamedTuple):
    """A child: its compressed key of 33 bytes, its chain code of 32, and the tweak to it."""

    key: bytes
    chain_code: bytes
    tweak: Tweak


def derived(key: bytes, chain_code: bytes, index: int) -> Derived:
    """The non-hardened child `index` of a compressed key (step 5.1.4).

    Raises:
        BadInput: a hardened index, or one that has no child: it is never skipped silently.
    """
    if not 0 <= index < _FIRST_HARDENED:
        raise BadInput(f"child {index}: an index is below 2^31 and not hardened")
    digest = _hmac_sha512(chain_code, key + u32be(index))
    tau = int.from_bytes(digest[:32], "big")
    if tau >= SECP256K1.order:
        raise BadInput(f"child {index} of this key does not exist")
    child = SECP256K1.multiply_with_base(key, 1, tau)
    if child is None:
        raise BadInput(f"child {index} of this key does not exist")
    return Derived(child, digest[32:], Tweak(digest[:32], x_only=False))


@dataclass(frozen=True, slots=True)
class ExtendedKey:
    """A compressed key of 33 bytes with its chain code of 32, and where it stands in the tree."""

    key: bytes
    chain_code: bytes
    depth: int = 0
    parent_fingerprint: bytes = bytes(4)
    child_number: int = 0

    @property
    def fingerprint(self) -> bytes:
        """4 bytes that name this key in its children (step 5.1.5)."""
        return ripemd160(hashlib.sha256(self.key).digest())[:4]

    def child(self, index: int) -> ExtendedKey:
        """The non-hardened child `index`; `BadInput` as `derived`."""
        key, chain_code, _ = derived(self.key, self.chain_code, index)
        return ExtendedKey(key, chain_code, self.depth + 1, self.fingerprint, index)

    def xpub(self, network: Network) -> str:
        """The extended public key as text, with one prefix for all test networks (step 5.1.5)."""
        prefix = bytes.fromhex("0488b21e" if network is Network.MAIN else "043587cf")
        return base58check(
            prefix
            + u8(self.depth)
            + self.parent_fingerprint
            + u32be(self.child_number)
            + self.chain_code
            + self.key
        )

    def descriptor(self, network: Network) -> str:
        """All receiving and change addresses below this key, for other software (step 5.1.5)."""
        return with_checksum(f"tr({self.xpub(network)}/<0;1>/*)")
