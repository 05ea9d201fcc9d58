"""The constants are those of the standard, as python-pkcs11 also has them."""

from __future__ import annotations

from enum import IntEnum

import pkcs11
import pytest

from hsm_mpc.hsm import cryptoki


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (cryptoki.Attribute, pkcs11.Attribute),
        (cryptoki.KeyType, pkcs11.KeyType),
        (cryptoki.Mechanism, pkcs11.Mechanism),
        (cryptoki.ObjectClass, pkcs11.ObjectClass),
        (cryptoki.TokenFlag, pkcs11.TokenFlag),
        (cryptoki.User, pkcs11.UserType),
    ],
)
def test_every_constant_has_the_value_that_another_library_knows(
    ours: type[IntEnum], theirs: type[IntEnum]
) -> None:
    assert {entry.name: int(entry) for entry in ours} == {
        entry.name: int(theirs[entry.name]) for entry in ours
    }


def test_the_token_info_has_the_size_of_the_standards_structure() -> None:
    characters, numbers, versions = 32 + 32 + 16 + 16 + 16, 11 * 8, 2 * 2
    assert cryptoki.ffi.sizeof("CK_TOKEN_INFO") == -(-(characters + numbers + versions) // 8) * 8
