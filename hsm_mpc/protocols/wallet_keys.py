"""Which scheme makes which `WalletKey`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.ids import EpochHash, Scheme
from hsm_mpc.protocols.ed25519_key import Ed25519Key
from hsm_mpc.protocols.taproot_key import TaprootKey
from hsm_mpc.protocols.wallet_key import WalletKey

_KEYS: Final[Mapping[Scheme, type[TaprootKey] | type[Ed25519Key]]] = MappingProxyType(
    {Scheme.TAPROOT: TaprootKey, Scheme.ED25519: Ed25519Key}
)


def wallet_key_of(body: EpochBody, first: EpochHash) -> WalletKey:
    """The key of a certified epoch, of nothing but its body and h_0 (steps 1.6.6 and 5.1.2)."""
    kind, n = _KEYS[body.terms.scheme], body.terms.sizes.n
    made: WalletKey = kind(body.hash, n, body.commitments, first)
    return made
