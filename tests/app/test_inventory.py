"""Each kind of key that `inventory` tells apart."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hsm_mpc.agent.wallets import HeldEpoch
from hsm_mpc.app import inventory
from hsm_mpc.app.holder import OpenHolder
from hsm_mpc.hsm import attributes, keys
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.cryptoki import Attribute, ObjectClass
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.secure.process import run_shielded
from tests.agent.simulate import World, Worlds, made_wallet
from tests.app.test_acting import opened
from tests.rsa_pairs import brought_in

LABEL = keys.wrapping_label(bytes(16))


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(2)


@pytest.fixture
def holder(world: World, tmp_path: Path) -> OpenHolder:
    return opened(world, tmp_path)


def wallet_of(world: World) -> HeldEpoch:
    """A wallet of both holders."""
    run_shielded(lambda: made_wallet(world))
    (held,) = world.parties[1].wallets.all()
    return held


def verdicts(holder: OpenHolder) -> list[str]:
    """Of wrapping keys and strangers; those of `holder init` are well."""
    taken = inventory.of(holder).keys
    assert {each.verdict for each in taken if each.purpose in ("identity", "canary")} == {"ok"}
    return [each.verdict for each in taken if each.purpose not in ("identity", "canary")]


def wrapping_key(holder: OpenHolder, held: HeldEpoch) -> Key:
    key_id = KeyUri.parse(held.record.kek_uri).key_id
    return keys.wrapping_key(holder.token, key_id, keys.wrapping_label(held.wallet_id))


def test_a_wallets_key_is_well(world: World, holder: OpenHolder) -> None:
    wallet_of(world)
    taken = inventory.of(holder)
    assert verdicts(holder) == [inventory.OK]
    assert (taken.missing, taken.exit_code) == ((), 0)


def test_a_key_without_a_name_of_ours_is_unknown(holder: OpenHolder) -> None:
    keys.generate_wrapping_key(holder.token, os.urandom(20), "payroll")
    assert verdicts(holder) == [inventory.UNKNOWN]
    assert inventory.of(holder).exit_code == 0


def test_an_old_wrapping_key_that_no_record_names_is_orphaned(
    world: World, holder: OpenHolder
) -> None:
    """Of a wallet that is there, and of one that is gone."""
    held = wallet_of(world)
    for label in (keys.wrapping_label(held.wallet_id), LABEL):
        keys.generate_wrapping_key(holder.token, os.urandom(20), label)
    assert sorted(verdicts(holder)) == [inventory.OK, inventory.ORPHANED, inventory.ORPHANED]
    assert inventory.of(holder).exit_code == 0


def test_the_id_of_a_recorded_key_under_another_wallets_label_is_orphaned(
    world: World, holder: OpenHolder
) -> None:
    key_id = KeyUri.parse(wallet_of(world).record.kek_uri).key_id
    keys.generate_wrapping_key(holder.token, key_id, LABEL)
    assert sorted(verdicts(holder)) == [inventory.OK, inventory.ORPHANED]


def test_a_recorded_key_that_is_gone_is_missing(world: World, holder: OpenHolder) -> None:
    held = wallet_of(world)
    keys.destroy(holder.token, wrapping_key(holder, held))
    taken = inventory.of(holder)
    (missing,) = taken.missing
    assert held.wallet_id.hex() in missing
    assert taken.exit_code == 6


def test_a_key_on_its_way_in_or_out_is_neither_missing_nor_orphaned(
    world: World, holder: OpenHolder
) -> None:
    """A rewrap that was interrupted: the record names a key that no blob is sealed for."""
    held = wallet_of(world)
    key_id, label = os.urandom(20), keys.wrapping_label(held.wallet_id)
    leaving = (keys.key_uri(holder.token, key_id),)
    epochs = world.parties[1].acting.epochs(held.wallet_id)
    epochs.change(replace(held.record, extra_uris=leaving))
    assert (inventory.of(holder).missing, verdicts(holder)) == ((), [inventory.OK])
    keys.generate_wrapping_key(holder.token, key_id, label)
    assert (inventory.of(holder).missing, verdicts(holder)) == ((), [inventory.OK] * 2)


def test_a_record_of_another_token_makes_its_key_missing(
    world: World, holder: OpenHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration names the wrong token; a key of that name is even there."""
    wallet_of(world)
    recorded = holder.token.label
    monkeypatch.setattr(holder.token, "label", "another")
    monkeypatch.setattr(type(holder.token), "require_sight", lambda token: None)
    taken = inventory.of(holder)
    (missing,) = taken.missing
    assert missing.endswith(f"of token {recorded!r}")
    assert taken.exit_code == 6


def test_identity_and_canary_are_missing_by_name(holder: OpenHolder) -> None:
    pair, canary = keys.find_identity_key(holder.token), keys.find_canary_key(holder.token)
    assert pair is not None
    assert canary is not None
    holder.token.canary = None  # as after a start without it
    for key in (pair.private, pair.public, canary):
        keys.destroy(holder.token, key)
    taken = inventory.of(holder)
    assert taken.missing == (
        "hsm-mpc/identity (private key)",
        "hsm-mpc/identity (public key)",
        "hsm-mpc/canary",
    )
    assert (taken.keys, taken.exit_code) == ((), 6)


def test_the_second_identity_key_is_missing_by_its_name(holder: OpenHolder) -> None:
    """While one takes the place of the other both are there; of what is there both halves are."""
    second = keys.generate_identity_key(holder.token, label=keys.SECOND_IDENTITY)
    assert inventory.of(holder).missing == ()
    assert {key.verdict for key in inventory.of(holder).keys} == {"ok"}
    keys.destroy_identity_key(holder.token, keys.IDENTITY)
    assert inventory.of(holder).missing == ()
    keys.destroy(holder.token, second.public)
    assert inventory.of(holder).missing == ("hsm-mpc/identity/2 (public key)",)
    keys.destroy(holder.token, second.private)


def test_two_keys_of_one_name_are_duplicates(world: World, holder: OpenHolder) -> None:
    key = wrapping_key(holder, wallet_of(world))
    keys._generate_wrapping(holder.token, key.key_id, key.label, Wrapping.AES_GCM)
    assert verdicts(holder) == [inventory.DUPLICATE, inventory.DUPLICATE]
    assert inventory.of(holder).exit_code == 2


def test_a_wrapping_key_of_either_class_is_a_duplicate(
    world: World, holder: OpenHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An RSA pair beside the AES key of a record: which is meant, nobody could tell."""
    key = wrapping_key(holder, wallet_of(world))
    with administration(holder.token) as session:
        brought_in(session, 0, key.key_id, key.label)
    monkeypatch.setattr(attributes, "WRAPPING", {kind: {} for kind in ObjectClass})
    assert sorted(verdicts(holder)) == [inventory.DUPLICATE, inventory.DUPLICATE]


def test_other_attributes_than_they_must_be_are_told(
    world: World, holder: OpenHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet_of(world)
    wanted = {**attributes.WRAPPING_KEY, Attribute.WRAP: b"\1"}
    monkeypatch.setattr(attributes, "WRAPPING", {ObjectClass.SECRET_KEY: wanted})
    taken = inventory.of(holder)
    different = [each for each in taken.keys if each.verdict == inventory.DIFFERENT]
    assert {each.purpose for each in different} == {"kek", "canary"}
    assert {each.differences for each in different} == {("CKA_WRAP is false",)}
    assert taken.exit_code == 6
