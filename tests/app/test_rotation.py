"""`holder rotate-identity` and the plans of others, as operators see them (step 6.7.9)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from hsm_mpc.app import checkpoint, consents, rotation
from hsm_mpc.app.acting import at_work
from hsm_mpc.audit import Line, Sign, verify
from hsm_mpc.audit_keys import KeyChain, keys_in
from hsm_mpc.certificates.rotate import Rotate
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.store.audit_log import AuditLog, open_to_read
from hsm_mpc.wire.rounds import ROTATE
from tests.agent.repairing import rule_of
from tests.agent.simulate import NOTHING, World, Worlds, made_wallet
from tests.app.test_acting import known, opened


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(2)


def test_how_far_a_rotation_has_come(world: World, tmp_path: Path) -> None:
    run_shielded(lambda: made_wallet(world))
    desks = run_shielded(lambda: at_work(opened(world, tmp_path, **known(world))))
    old = desks.holder.identity.key.encoded.hex()
    offered = run_shielded(lambda: rotation.rotated(desks))
    assert (offered.name, offered.state, offered.old_key) == ("h1", "offered", old)
    assert offered.wallets == ("treasury",)
    run_shielded(desks.rotations.turn)
    turned = run_shielded(lambda: rotation.rotated(desks))
    assert (turned.state, turned.identity_key) == ("turned", offered.identity_key)
    assert desks.holder.identity.key.encoded.hex() == turned.identity_key
    desks.close()


def test_a_rotation_waits_to_be_admitted_with_both_keys(world: World, tmp_path: Path) -> None:
    run_shielded(lambda: made_wallet(world))
    asking = opened(world, tmp_path, admit="ask", **known(world))
    desks = run_shielded(lambda: at_work(asking))
    run_shielded(world.parties[2].rotations.begin)
    _, source = run_shielded(world.parties[2].rotations.offered)
    rotate = Rotate.from_bytes(source)
    said = world.said(ROTATE, rotate.wallet_id, NOTHING, rotate.epoch_hash, source)
    assert run_shielded(lambda: desks.repairs.consider_rotation(said)) is False
    (plan,) = consents.of(desks.ceremonies.consents).plans
    assert (plan.kind, plan.wallet, plan.consented) == ("rotate", "treasury", False)
    assert (plan.create, plan.destroy, plan.repair) == (None, None, None)
    assert plan.rotate == consents.PlannedRotation(
        "taproot",
        0,
        "h2",
        rotate.identity_key.encoded.hex(),
        rotate.known_key.encoded.hex(),
    )
    decided = run_shielded(lambda: consents.agreed(desks.ceremonies.consents, plan.digest))
    assert (decided.kind, decided.consented) == ("rotate", True)
    assert run_shielded(lambda: desks.repairs.consider_rotation(said)) is True
    run_shielded(lambda: consents.declined(desks.ceremonies.consents, plan.digest))
    rule = run_shielded(lambda: rule_of(lambda: desks.repairs.consider_rotation(said)))
    assert rule == "declined"
    desks.close()


def test_a_checkpoint_is_signed_by_the_key_of_the_moment(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rotation may come between: behind the new key's checkpoints the old key's do not count."""
    holder = opened(world, tmp_path, **known(world))
    desks = run_shielded(lambda: at_work(holder))
    honest = holder.store.audit.checkpoint

    def later(moment: datetime, sign: Sign) -> Line:
        monkeypatch.undo()
        run_shielded(desks.rotations.begin)
        return honest(moment, sign)

    monkeypatch.setattr(AuditLog, "checkpoint", lambda log, moment, sign: later(moment, sign))
    old = desks.holder.identity.key
    run_shielded(lambda: checkpoint.sign_end(holder))
    assert desks.holder.identity.key != old
    log, floor = open_to_read(holder.store._folder / "audit")
    with log:
        keys = KeyChain(keys_in(log, desks.holder.identity.key, floor))
        log.seek(0)
        verify(log, keys.verify, floor, keys.learn)
        keys.require_end(desks.holder.identity.key)
    desks.close()
