"""What a profile changes, on a real module that departs from the standard as the profile says."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.capabilities import Capabilities, Wrapping
from hsm_mpc.hsm.cryptoki import Attribute
from hsm_mpc.hsm.giveaways import giveaways
from hsm_mpc.hsm.profiles import STANDARD
from hsm_mpc.hsm.selftest import require_capabilities
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import Algorithm
from tests.faults.shim import Shim
from tests.faults.using import WALLET

LABEL = keys.wrapping_label(WALLET)


@pytest.mark.parametrize("kind", [Attribute.MODIFIABLE, Attribute.COPYABLE])
def test_attributes_that_the_module_does_not_take_are_left_out_of_every_template(
    ordered: Token, shim: Shim, monkeypatch: pytest.MonkeyPatch, kind: Attribute
) -> None:
    shim.take_no(kind)
    with pytest.raises(BackendError, match="CKR_ATTRIBUTE_VALUE_INVALID"):
        keys.generate_wrapping_key(ordered, os.urandom(20), LABEL)
    without = replace(STANDARD, leaves_out=frozenset({kind}))
    monkeypatch.setattr(ordered.module, "profile", without)
    assert require_capabilities(ordered) == Capabilities(Wrapping.AES_GCM, Algorithm.P256)
    assert giveaways(ordered) == ()
    keys.generate_wrapping_key(ordered, os.urandom(20), LABEL)
    keys.generate_identity_key(ordered)
