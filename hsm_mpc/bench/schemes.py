"""The threshold signature schemes that are measured, and what differs between them here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hsm_mpc.bench import tables, tables_dkg, tables_ed25519
from hsm_mpc.bench.floor import Count
from hsm_mpc.bench.operation import Operation
from hsm_mpc.ids import Scheme
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.protocols.suite_ed25519 import CocktailEd25519
from hsm_mpc.protocols.suite_secp256k1 import CocktailSecp256k1
from hsm_mpc.secure.xaes import Xaes256Gcm


@dataclass(frozen=True, slots=True)
class MeasuredScheme:
    """One scheme, its floor tables and its peer."""

    scheme: Scheme
    suite: Suite
    signature: Callable[[int, int, Operation], tuple[Count, ...]]
    """`signature(t, message_bytes, window)`: its floor table."""
    curve: tables_dkg.Curve
    """Of the floor table of its key generation."""
    peer: str
    """The module of frost_rs on this curve."""

    @property
    def name(self) -> str:
        """How the names of its rows begin."""
        return self.scheme.name.lower()


TAPROOT: Final = MeasuredScheme(
    Scheme.TAPROOT,
    CocktailSecp256k1(Xaes256Gcm()),
    tables.signature,
    tables_dkg.ON_SECP256K1,
    "utility_secp256k1",
)
ED25519: Final = MeasuredScheme(
    Scheme.ED25519,
    CocktailEd25519(),
    tables_ed25519.signature,
    tables_dkg.ON_ED25519,
    "utility_ed25519",
)
ALL: Final = (TAPROOT, ED25519)
"""In the order of their rows."""
