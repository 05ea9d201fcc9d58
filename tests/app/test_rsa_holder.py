"""A holder whose token has neither AES-GCM nor elliptic curves, among others: one wallet of all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import coincurve
import pytest

from hsm_mpc.app import doctor, inventory, shares
from hsm_mpc.app import holder as holder_app
from hsm_mpc.app import token as token_app
from hsm_mpc.card import Card
from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.wrapping_keys import kek_digest, rsa_description
from hsm_mpc.config import HolderConfig
from hsm_mpc.errors import ProtocolAbort
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.cryptoki import ObjectClass
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import Token
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.identity import Algorithm
from hsm_mpc.lab.holder_folder import make_holder_folder
from hsm_mpc.lab.softhsm import SOFTHSM
from hsm_mpc.secure.arena import Arena
from hsm_mpc.wrapping.pkcs11_rsa import Pkcs11RsaKey
from tests.agent.making import Making, keks, lied
from tests.agent.rounds import Round
from tests.agent.simulate import World
from tests.app.test_acting import opened
from tests.hsm.lying import rsa_only
from tests.rsa_pairs import bring_in_what_is_thrown_away
from tests.store.children import in_child

RSA_HOLDER = 1


@pytest.fixture(scope="module")
def rsa_world(
    hsm_module: Module, pin_arena: Arena, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("stores")
    with World.made(hsm_module, pin_arena, folder, 3, rsa_only={RSA_HOLDER}) as world:
        yield world


@pytest.mark.usefixtures("shielded")
def test_a_wallet_of_such_a_holder_and_others(rsa_world: World, tmp_path: Path) -> None:
    """From the roster to signatures before and after a restart, and what an operator sees."""
    algorithms = [member.key.algorithm for member in rsa_world.roster.members]
    assert algorithms == [Algorithm.RSA3072, Algorithm.P256, Algorithm.P256]
    certificate = Making.of(rsa_world).active()
    Certificate.from_bytes(certificate.to_bytes()).verify(rsa_world.roster)
    acknowledgement = certificate.acknowledgements[RSA_HOLDER - 1]
    assert len(acknowledgement.signature) == 384
    _signs(rsa_world, certificate, RSA_HOLDER, 2)

    party = rsa_world.parties[RSA_HOLDER]
    (held,) = party.wallets.all()
    named = KeyUri.parse(held.record.kek_uri)
    assert named.object_class is ObjectClass.PRIVATE_KEY
    key = keys.wrapping_key(
        party.acting.token,
        named.key_id,
        keys.wrapping_label(held.wallet_id),
        ObjectClass.PRIVATE_KEY,
    )
    public = Pkcs11RsaKey(party.acting.token, key).public_key_info()
    described = kek_digest(held.record.kek_uri, rsa_description(public))
    assert described == acknowledgement.kek_digest

    rsa_world.restarted(RSA_HOLDER)
    _signs(rsa_world, certificate, RSA_HOLDER, 2, 3)

    holder = opened(rsa_world, tmp_path)
    found = inventory.of(holder)
    assert (found.missing, found.exit_code) == ((), 0)
    assert [key.purpose for key in found.keys] == ["canary", "identity", "kek", "identity"]
    assert {key.verdict for key in found.keys} == {inventory.OK}
    (share,) = shares.of(holder).shares
    (recipient,) = share.recipients
    assert recipient.mechanism == "rsa-oaep-sha1"
    assert named.key_id.hex() in recipient.uri
    keys.destroy(party.acting.token, key)
    lost = inventory.of(holder)
    assert lost.exit_code == 6
    (missing,) = lost.missing
    assert held.wallet_id.hex() in missing


def _signs(world: World, certificate: Certificate, *signers: int) -> None:
    round_ = Round(world, certificate, os.urandom(40)).commit(*signers)
    signature, key = round_.signature({index: round_.sign(index) for index in signers})
    assert coincurve.PublicKeyXOnly(key).verify(signature, round_.message)


@pytest.mark.usefixtures("shielded")
def test_an_aborted_key_generation_leaves_no_rsa_key(rsa_world: World) -> None:
    making = Making.of(rsa_world, "aborted").greeted()
    party = rsa_world.parties[RSA_HOLDER]
    before = keks(party)
    assert len(before) == 1
    lied(making, 2, static_key=bytes(33))
    with pytest.raises(ProtocolAbort):
        making.deal(RSA_HOLDER)
    assert keks(party) == []


def test_holder_init_makes_it_and_doctor_says_so(
    softhsm_module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module.so"  # a copy: this process may have loaded the other
    shutil.copy(softhsm_module, module)
    monkeypatch.setenv("HSM_MPC_SOFTHSM_MODULE", str(module))
    arena = Arena(16 * 1024)
    make_holder_folder(tmp_path / "h1", "h1", SOFTHSM, arena)
    arena.close()
    config, honest = tmp_path / "h1" / "holder.yaml", holder_app.find_token

    def lacking(config: HolderConfig) -> Token:
        return rsa_only(honest(config))

    monkeypatch.setattr(holder_app, "find_token", lacking)
    bring_in_what_is_thrown_away(monkeypatch)

    def work() -> None:
        token_app.create(config, f"file:{tmp_path / 'h1' / 'so-pin'}", prompt=False)
        made = holder_app.init(config, prompt=False)
        assert (made.algorithm, made.wrapping) == ("RSA3072", "rsa-oaep-sha1")
        card = Card.from_bytes(made.card.read_bytes())
        assert card.content.key.algorithm is Algorithm.RSA3072
        assert holder_app.init(config, prompt=False) == made
        found = inventory.take(config, prompt=False)
        assert sorted(key.purpose for key in found.keys) == ["canary", "identity", "identity"]
        assert (found.missing, found.exit_code) == ((), 0)
        told = doctor.diagnose(config, prompt=False).findings
        assert not [finding for finding in told if finding.level == "fail" and _of_token(finding)]
        (wraps,) = [finding for finding in told if "OAEP with SHA-1 in" in finding.message]
        assert (wraps.check, wraps.level) == ("capability", "warn")
        assert "C_EncryptInit answered CKR_MECHANISM_INVALID" in wraps.message

    in_child(work)


def _of_token(finding: doctor.Finding) -> bool:
    return finding.check in ("capability", "key", "attributes")
