"""A holder whose token has neither AES-GCM nor elliptic curves, among others: one wallet of all."""

from __future__ import annotations

import os
from collections.abc import Iterator

import coincurve
import pytest

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.hsm.module import Module
from hsm_mpc.identity import Algorithm
from hsm_mpc.secure.arena import Arena
from tests.agent.making import Making
from tests.agent.rounds import Round
from tests.agent.simulate import World

pytestmark = pytest.mark.usefixtures("shielded")

RSA_HOLDER = 2


@pytest.fixture(scope="module")
def rsa_world(
    hsm_module: Module, pin_arena: Arena, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("stores")
    with World.made(hsm_module, pin_arena, folder, 3, rsa_only={RSA_HOLDER}) as world:
        yield world


@pytest.fixture
def treasury(rsa_world: World) -> Certificate:
    """A 2-of-3 wallet of them all."""
    return Making.of(rsa_world, f"treasury-{os.urandom(4).hex()}").active()


def signed(world: World, certificate: Certificate, *signers: int) -> None:
    round_ = Round(world, certificate, os.urandom(40)).commit(*signers)
    signature, key = round_.signature({index: round_.sign(index) for index in signers})
    assert coincurve.PublicKeyXOnly(key).verify(signature, round_.message)


def test_it_makes_wallets_and_signs_with_the_others(
    rsa_world: World, treasury: Certificate
) -> None:
    algorithms = [member.key.algorithm for member in rsa_world.roster.members]
    assert algorithms == [Algorithm.P256, Algorithm.RSA3072, Algorithm.P256]
    Certificate.from_bytes(treasury.to_bytes()).verify(rsa_world.roster)
    assert len(treasury.acknowledgements[RSA_HOLDER - 1].signature) == 384
    signed(rsa_world, treasury, 1, RSA_HOLDER)
    signed(rsa_world, treasury, RSA_HOLDER, 3)
