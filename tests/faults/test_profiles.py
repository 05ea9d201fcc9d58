"""What a profile changes, on a real module that departs from the standard as the profile says."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.capabilities import Capabilities, Wrapping
from hsm_mpc.hsm.cryptoki import Attribute, Mechanism
from hsm_mpc.hsm.giveaways import giveaways
from hsm_mpc.hsm.profiles import STANDARD
from hsm_mpc.hsm.selftest import require_capabilities
from hsm_mpc.hsm.token import Token
from hsm_mpc.identity import Algorithm
from tests.faults.shim import Shim
from tests.faults.using import WALLET
from tests.hsm.lying import lacking
from tests.rsa_pairs import bring_in_what_is_thrown_away

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


def test_every_key_has_id_and_label(
    ordered: Token, shim: Shim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the self-test too, and the public half that encrypts: some modules take no other."""
    bring_in_what_is_thrown_away(monkeypatch)
    lacks = lacking(ordered.calls, Mechanism.AES_GCM, Mechanism.ECDSA)
    for function in ("C_EncryptInit", "C_SignInit"):
        monkeypatch.setattr(ordered.calls, function, getattr(lacks, function))
    ordered.canary = None
    assert require_capabilities(ordered) == Capabilities(Wrapping.RSA_OAEP_SHA1, Algorithm.RSA3072)
    monkeypatch.undo()
    require_capabilities(ordered)
    giveaways(ordered)
    keys.generate_identity_key(ordered)
    made = ("C_GenerateKey", "C_GenerateKeyPair", "C_CreateObject")
    assert all(shim.calls(function) for function in made)
    assert shim.unnamed_keys == 0
