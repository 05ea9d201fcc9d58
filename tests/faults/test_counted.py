"""What a good day costs: the PKCS#11 calls of a signature, counted, and no other."""

from __future__ import annotations

import os

import pytest

from hsm_mpc.bench.unseal import fill_token
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import Scheme
from tests.agent.making import Making
from tests.agent.rounds import Round
from tests.agent.simulate import World
from tests.crash.driving import BOTH, drive, signed
from tests.faults.conftest import Logins
from tests.faults.driving import ME, Starter
from tests.faults.shim import ANY, NUMBERS, Shim

UNSEAL = {"C_DecryptInit": 1, "C_Decrypt": 1}
SIGNATURES = 3
OTHER_WALLETS = 30

pytestmark = pytest.mark.usefixtures("shielded")


def counted(shim: Shim) -> dict[str, int]:
    """The calls since the last time, by function."""
    called = {name: count for name in NUMBERS if (count := shim.calls(name))}
    assert shim.calls(ANY) == sum(called.values())
    shim.obey_no_more()
    return called


def certified(world: World, scheme: Scheme) -> Certificate:
    making = Making.of(world, "counted", scheme=scheme)
    drive(making)
    return making.certificate()


@pytest.mark.parametrize("scheme", [Scheme.TAPROOT, Scheme.ED25519])
def test_a_signer_decrypts_once_in_each_round_and_draws_once(
    world: World, shim: Shim, scheme: Scheme
) -> None:
    certificate = certified(world, scheme)
    signed(world, certificate, b"opens a session and finds the key")
    shim.obey_no_more()
    for number in range(SIGNATURES):
        round_ = Round(world, certificate, b"%d" % number).commit(ME)
        assert counted(shim) == {**UNSEAL, "C_GenerateRandom": 1}
        round_.commit(*(index for index in BOTH if index != ME))
        round_.sign(ME)
        assert counted(shim) == UNSEAL


def test_the_second_unsealing_after_a_start_looks_for_no_key(
    world: World, logins: Logins, ordered: Token, shim: Shim
) -> None:
    """However many wallets the token holds."""
    certificate = certified(world, Scheme.TAPROOT)
    fill_token(ordered, OTHER_WALLETS)
    Starter(world, logins).start()
    shim.obey_no_more()
    Round(world, certificate, os.urandom(8)).commit(ME)
    assert "C_FindObjects" in counted(shim)
    Round(world, certificate, os.urandom(8)).commit(ME)
    assert counted(shim) == {**UNSEAL, "C_GenerateRandom": 1}
