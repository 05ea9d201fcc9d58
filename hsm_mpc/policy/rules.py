"""The policy of a wallet, version 1 (step 1.6.8): what kinds of request its holders sign.

The file's bytes are certified by their SHA-256; reading YAML is the shell's work (`config`), the
meaning of the document is here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hsm_mpc.errors import BadConfig, Refused
from hsm_mpc.identity import Algorithm, VerifyingKey

VERSION: Final = 1
LARGEST_FILE: Final = 64 * 1024
"""Bytes (step 2.6.1)."""


class Permission(str, Enum):
    """A class of requests. Holders class what they sign by its bytes, whatever the client says."""

    RAW = "raw"
    MESSAGE = "message"
    MESSAGE_PREFIXED = "message-prefixed"
    PSBT = "psbt"
    ETHEREUM_TX = "ethereum-tx"
    TYPED_DATA = "typed-data"
    SOLANA_TX = "solana-tx"


@dataclass(frozen=True, slots=True)
class Administrators:
    """Whose signatures overrule: any `threshold` of `keys`, which are counted from 0.

    Raises: BadConfig: from the constructor: no such number of different keys.
    """

    threshold: int
    keys: tuple[VerifyingKey, ...]

    def __post_init__(self) -> None:
        if len(set(self.keys)) != len(self.keys):
            raise BadConfig("policy: an administrator's key is listed twice")
        if not 1 <= self.threshold <= len(self.keys):
            raise BadConfig(f"policy: {self.threshold} of {len(self.keys)} administrators")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a wallet's holders sign. Without permissions they sign nothing."""

    permissions: frozenset[Permission]
    administrators: Administrators | None = None

    def require(self, permission: Permission) -> None:
        """Let a request of this class pass.

        Raises:
            Refused: `permission`, naming the class.
        """
        if permission not in self.permissions:
            raise Refused("permission", f"the policy does not allow {permission.value} requests")

    @classmethod
    def from_document(cls, document: object) -> Policy:
        """The policy in a parsed YAML document; an empty file allows nothing.

        Raises:
            BadConfig: another version, an unknown key or permission, or no possible administrators.
        """
        if document is None:
            return cls(frozenset())
        fields = _mapping(document, "policy", ("version", "permissions", "administrators"))
        version = fields.get("version")
        if version is not VERSION:
            raise BadConfig(f"policy: version {version!r}; this is version {VERSION}")
        administrators = None
        if "administrators" in fields:
            administrators = _administrators(fields["administrators"])
        return cls(_permissions(fields.get("permissions", [])), administrators)


def _mapping(document: object, what: str, known: Collection[str]) -> Mapping[str, object]:
    if not isinstance(document, Mapping):
        raise BadConfig(f"{what}: a mapping is wanted")
    unknown = sorted(str(key) for key in document if key not in known)
    if unknown:
        raise BadConfig(f"{what}: unknown key {unknown[0]}")
    return document


def _permissions(listed: object) -> frozenset[Permission]:
    if not isinstance(listed, list):
        raise BadConfig("policy: permissions are a list")
    known = {permission.value: permission for permission in Permission}
    for name in listed:
        if not isinstance(name, str) or name not in known:
            raise BadConfig(f"policy: unknown permission {name!r}")
    return frozenset(known[name] for name in listed)


def _administrators(document: object) -> Administrators:
    fields = _mapping(document, "policy: administrators", ("threshold", "keys"))
    threshold, listed = fields.get("threshold"), fields.get("keys")
    if type(threshold) is not int or not isinstance(listed, list):
        raise BadConfig("policy: administrators have a threshold, a number, and a list of keys")
    return Administrators(threshold, tuple(_key(each) for each in listed))


def _key(document: object) -> VerifyingKey:
    """`{alg: 1 to 3, key: lower-case hex}`, as in step 1.6.1."""
    fields = _mapping(document, "policy: an administrator", ("alg", "key"))
    algorithm, key = fields.get("alg"), fields.get("key")
    if type(algorithm) is not int or not isinstance(key, str):
        raise BadConfig("policy: an administrator has alg, a number, and key, in hex")
    try:
        administrator = VerifyingKey(Algorithm(algorithm), bytes.fromhex(key))
    except ValueError as refused:  # no such algorithm, no hex, no such key
        raise BadConfig(f"policy: the key of an administrator: {refused}") from refused
    if administrator.encoded.hex() != key:
        raise BadConfig("policy: the key of an administrator is not lower-case hex")
    return administrator
