"""The policy of a wallet, version 1 (step 1.6.8): what kinds of request its holders sign.

The file's bytes are certified by their SHA-256; reading YAML is the shell's work (`config`), the
meaning of the document is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hsm_mpc.errors import BadConfig, Refused

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
class Policy:
    """What a wallet's holders sign. Without permissions they sign nothing."""

    permissions: frozenset[Permission]

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
            BadConfig: another version, an unknown key or permission.
        """
        if document is None:
            return cls(frozenset())
        if not isinstance(document, Mapping):
            raise BadConfig("policy: a mapping is wanted at the top")
        unknown = sorted(str(key) for key in document if key not in ("version", "permissions"))
        if unknown:
            raise BadConfig(f"policy: unknown key {unknown[0]}")
        version = document.get("version")
        if version is not VERSION:
            raise BadConfig(f"policy: version {version!r}; this is version {VERSION}")
        return cls(_permissions(document.get("permissions", [])))


def _permissions(listed: object) -> frozenset[Permission]:
    if not isinstance(listed, list):
        raise BadConfig("policy: permissions are a list")
    known = {permission.value: permission for permission in Permission}
    for name in listed:
        if not isinstance(name, str) or name not in known:
            raise BadConfig(f"policy: unknown permission {name!r}")
    return frozenset(known[name] for name in listed)
