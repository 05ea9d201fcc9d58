"""The operations of libsodium on the group of Ed25519.

All points go in and come out encoded: there is no other form of them at this library's face.
"""

from __future__ import annotations

import os
from typing import Any, Final

from hsm_mpc.bench.measure import Batch
from hsm_mpc.bench.operation import Operation, calls
from hsm_mpc.bench.operations import filled
from hsm_mpc.secure import sodium
from hsm_mpc.secure import sodium_ed25519 as library

# Below the face that the product calls lies the library itself.
_sodium: Final[Any] = sodium
_lib: Final = _sodium.lib


def _scalar() -> Any:
    scalar = filled(library.SCALAR_BYTES)
    _lib.crypto_core_ed25519_scalar_reduce(scalar, os.urandom(library.WIDE_BYTES))
    return scalar


def _point() -> Any:
    point = filled(library.POINT_BYTES)
    _lib.crypto_scalarmult_ed25519_base_noclamp(point, _scalar())
    return point


def _scalars(function: Any) -> Batch:
    scalar = _scalar()
    return calls((function, scalar, scalar, bytes(_scalar())))


# On secrets and on public values: there are no faster functions for these

BASE: Final = Operation(
    "scalar · B",
    "crypto_scalarmult_ed25519_base_noclamp",
    lambda: calls((_lib.crypto_scalarmult_ed25519_base_noclamp, _point(), _scalar())),
)
PRODUCT: Final = Operation(
    "scalar · point",
    "crypto_scalarmult_ed25519_noclamp",
    lambda: calls((_lib.crypto_scalarmult_ed25519_noclamp, _point(), _scalar(), bytes(_point()))),
)

# On secrets

REDUCE: Final = Operation(
    "64 secret bytes modulo the order",
    "crypto_core_ed25519_scalar_reduce",
    lambda: calls((_lib.crypto_core_ed25519_scalar_reduce, _scalar(), filled(library.WIDE_BYTES))),
)
MULTIPLY_SCALAR: Final = Operation(
    "secret scalar · public one",
    "crypto_core_ed25519_scalar_mul",
    lambda: _scalars(_lib.crypto_core_ed25519_scalar_mul),
)
ADD_SCALAR: Final = Operation(
    "secret scalar + secret scalar",
    "crypto_core_ed25519_scalar_add",
    lambda: _scalars(_lib.crypto_core_ed25519_scalar_add),
)

# On public values

TEST_POINT: Final = Operation(
    "test of a point",
    "crypto_core_ed25519_is_valid_point",
    lambda: calls((_lib.crypto_core_ed25519_is_valid_point, bytes(_point()))),
)
SUM: Final = Operation(
    "sum of two points",
    "crypto_core_ed25519_add",
    lambda: calls((_lib.crypto_core_ed25519_add, total := _point(), total, bytes(_point()))),
)
