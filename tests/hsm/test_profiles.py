"""Named profiles: which there are, how one is chosen, and what none of them may do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from hsm_mpc.config import ProfileName
from hsm_mpc.hsm import attributes, profiles
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.profiles import NSS, OPENCRYPTOKI, PROFILES, SOFTHSM, STANDARD, UTIMACO, Profile
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import Algorithm
from tests.hsm.lying import Answer, lie

MAY_BE_LEFT_OUT = {Attribute.COPYABLE, Attribute.MODIFIABLE}


def test_the_configuration_knows_all_profiles_by_name() -> None:
    assert get_args(ProfileName) == tuple(profile.name for profile in PROFILES)
    assert [profiles.named(profile.name) for profile in PROFILES] == list(PROFILES)


@pytest.mark.parametrize(
    ("manufacturer", "profile"),
    [
        ("Mozilla Foundation", NSS),
        ("IBM", OPENCRYPTOKI),
        ("Utimaco IS GmbH", UTIMACO),
        ("SoftHSM project", SOFTHSM),
        ("", STANDARD),
    ],
)
def test_without_a_name_the_manufacturer_decides(manufacturer: str, profile: Profile) -> None:
    assert profiles.of_manufacturer(manufacturer) is profile


def test_what_the_configuration_names_comes_before_the_manufacturer(
    token: Token, hsm_module: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert token.profile is SOFTHSM
    monkeypatch.setattr(hsm_module, "profile", UTIMACO)
    assert token.profile is UTIMACO
    assert str(token.profile) == "utimaco, untested on hardware"


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_no_profile_leaves_out_what_keeps_a_key_inside_or_says_what_it_may_do(
    profile: Profile,
) -> None:
    assert profile.leaves_out <= MAY_BE_LEFT_OUT
    demanded = {
        kind
        for required in (
            *attributes.WRAPPING.values(),
            *attributes.IDENTITY[Algorithm.P256].values(),
        )
        for kind in required
    }
    assert demanded >= MAY_BE_LEFT_OUT


def test_what_a_profile_leaves_out_is_not_looked_at(
    token: Token, key: Key, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie(answer, token, Attribute.MODIFIABLE, b"\1")
    required = attributes.WRAPPING_KEY
    assert attributes.differences(token, key.handle, required) == ("CKA_MODIFIABLE is true",)
    without = replace(STANDARD, leaves_out=frozenset({Attribute.MODIFIABLE}))
    monkeypatch.setattr(token.module, "profile", without)
    assert attributes.differences(token, key.handle, required) == ()


@pytest.mark.parametrize(
    ("told", "most"), [(0, 16), ((1 << 64) - 1, 16), (100, 16), (9, 7), (3, 1), (2, 1), (1, 1)]
)
def test_no_more_sessions_work_than_the_token_allows(
    hsm_module: Module, token: Token, answer: Answer, told: int, most: int
) -> None:
    """Two are set aside: the one that logged in, and one that makes keys."""
    honest = hsm_module.calls.C_GetTokenInfo

    def bounded(slot: int, raw: Any) -> int:
        code: int = honest(slot, raw)
        raw.ulMaxRwSessionCount = told
        return code

    answer("C_GetTokenInfo", bounded)
    assert Token(hsm_module, hsm_module.find(token.label)).pool.most == most
