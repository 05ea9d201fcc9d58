"""An opened holder made ready to act, and what its operator's verbs see of it."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from hsm_mpc.app import acting, agent, inventory, shares, status
from hsm_mpc.app.acting import at_work
from hsm_mpc.app.holder import OpenHolder
from hsm_mpc.config import HolderConfig, HsmConfig, KnownClient, KnownCoordinator
from hsm_mpc.errors import BadConfig, NotReady, Refused, Tampered
from hsm_mpc.hsm import attributes, keys, objects
from hsm_mpc.hsm.cryptoki import Attribute, ObjectClass
from hsm_mpc.identity import Algorithm
from hsm_mpc.protocols.leases import LIFETIME
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wire.rounds import FIRST_COORDINATOR
from tests.agent.simulate import World, Worlds, made_wallet


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(2)


def opened(world: World, folder: Path, **settings: object) -> OpenHolder:
    """Holder 1 of this world, as `app.holder.opened` would give it."""
    acting = world.parties[1].acting
    roster = folder / "roster"
    roster.write_bytes(world.roster.to_bytes())
    hsm = HsmConfig(module="m.so", token="t", pin_source="prompt")
    config = HolderConfig(
        version=1, name="h1", lab=True, store=folder / "store", roster=roster, hsm=hsm
    )
    config = config.model_copy(update=settings)
    return OpenHolder(config, acting.arena, acting.entropy, acting.token, acting.store)


def known(world: World) -> dict[str, object]:
    """What holder.yaml says of the coordinator and the client of this world."""
    coordinator, client = world.coordinator.public.encoded, world.client.public.encoded
    return {
        "coordinators": (KnownCoordinator(number=FIRST_COORDINATOR, key=coordinator.hex()),),
        "clients": (KnownClient(name="me", key=client.hex()),),
    }


def test_it_knows_the_coordinators_and_clients_of_its_configuration(
    world: World, tmp_path: Path
) -> None:
    desks = at_work(opened(world, tmp_path, **known(world)))
    assert desks.holder.clients == {world.client.public}
    assert desks.holder.keys.knows_coordinator(FIRST_COORDINATOR)
    assert not desks.holder.keys.knows_coordinator(FIRST_COORDINATOR + 1)
    assert desks.holder.me == 1
    free = desks.holder.arena.free_bytes
    desks.close()
    assert desks.holder.arena.free_bytes > free


def test_its_clock_wipes_nonces_that_nobody_came_back_for(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = [0.0]
    monkeypatch.setattr(acting, "time", SimpleNamespace(time=time.time, monotonic=lambda: ticks[0]))
    certificate = run_shielded(lambda: made_wallet(world))
    holder = opened(world, tmp_path, **known(world))
    before = holder.arena.free_bytes
    desks = at_work(holder)
    (expiry,) = (duty for duty in agent.duties(holder, desks) if duty.seconds == 1.0)
    empty = holder.arena.free_bytes
    run_shielded(lambda: desks.signing.request(world.requested(certificate, b"pay")[1]))
    assert holder.arena.free_bytes < empty
    ticks[0] += LIFETIME - 1
    expiry.work()
    assert holder.arena.free_bytes < empty
    ticks[0] += 1
    expiry.work()
    assert holder.arena.free_bytes == empty
    run_shielded(lambda: desks.signing.request(world.requested(certificate, b"pay")[1]))
    desks.close()
    assert holder.arena.free_bytes == before


def test_a_signer_signs_its_log_when_it_begins_and_wipes_its_keys_when_it_ends(
    world: World, tmp_path: Path
) -> None:
    holder = opened(world, tmp_path)
    free, lines = holder.arena.free_bytes, holder.store.audit.tail.seq
    with agent._at_work(holder):
        assert holder.arena.free_bytes < free
        assert holder.store.audit.tail.seq == lines + 1
    assert holder.arena.free_bytes == free


def test_what_a_dead_signer_was_making_is_ended_at_the_next_start(
    world: World, tmp_path: Path
) -> None:
    holder = opened(world, tmp_path)
    run_shielded(lambda: world.proposed(world.proposal("begun", 2)))
    assert holder.store.proposals.hashes()
    run_shielded(lambda: at_work(holder)).close()
    assert not holder.store.proposals.hashes()
    assert {key.purpose for key in inventory.of(holder).keys} == {"identity", "canary"}


def test_its_clock_signs_the_audit_log_every_hour(world: World, tmp_path: Path) -> None:
    holder = opened(world, tmp_path)
    desks = at_work(holder)
    (checkpoint,) = (duty for duty in agent.duties(holder, desks) if duty.seconds == 3600.0)
    before = holder.store.audit.tail.seq
    checkpoint.work()
    assert holder.store.audit.tail.seq == before + 1
    desks.close()


def test_a_key_that_is_none_is_refused(world: World, tmp_path: Path) -> None:
    wrong = KnownClient(name="me", key="00" * 32)
    with pytest.raises(BadConfig, match="client"):
        at_work(opened(world, tmp_path, clients=(wrong,)))


def test_a_labs_roster_is_refused_outside_a_lab(world: World, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        at_work(opened(world, tmp_path, lab=False))
    assert refused.value.rule == "lab-mark"


def test_nothing_is_begun_with_an_identity_key_that_is_not_as_it_was_made(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    required = dict(attributes.IDENTITY[Algorithm.P256])
    required[ObjectClass.PRIVATE_KEY] = {Attribute.DERIVE: objects.TRUE}
    monkeypatch.setitem(attributes.IDENTITY, Algorithm.P256, required)
    with pytest.raises(Refused) as refused:
        at_work(opened(world, tmp_path))
    assert refused.value.rule == "key-attributes"


def test_without_a_roster_it_is_not_ready(world: World, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="roster"):
        at_work(opened(world, tmp_path, roster=None))


def test_a_roster_in_which_it_does_not_stand_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="h9"):
        at_work(opened(world, tmp_path, name="h9"))
    holder = opened(world, tmp_path)
    (tmp_path / "roster").write_bytes(b"no roster")
    with pytest.raises(BadConfig, match="roster"):
        at_work(holder)


def test_shares_are_listed_by_their_wallets_names(world: World, tmp_path: Path) -> None:
    holder = opened(world, tmp_path)
    assert shares.of(holder).shares == ()
    run_shielded(lambda: made_wallet(world))
    (share,) = shares.of(holder).shares
    assert (share.wallet, share.scheme, share.epoch, share.state) == (
        "treasury",
        "taproot",
        0,
        "active",
    )
    assert Path(share.file).stat().st_size == share.sealed_bytes
    assert [recipient.mechanism for recipient in share.recipients] == ["aes-gcm"]


def test_a_share_is_rewrapped_by_its_wallets_name_or_id(world: World, tmp_path: Path) -> None:
    run_shielded(lambda: made_wallet(world))
    holder = opened(world, tmp_path)
    desks = run_shielded(lambda: at_work(holder))
    (before,) = shares.of(holder).shares
    done = run_shielded(lambda: shares.rewrapped(holder, desks, "treasury"))
    (after,) = shares.of(holder).shares
    assert (done.wallet, done.epoch) == ("treasury", 0)
    assert done.recipients == after.recipients
    assert after.recipients != before.recipients
    assert not Path(before.file).exists()
    again = run_shielded(lambda: shares.rewrapped(holder, desks, done.wallet_id))
    assert again.recipients != done.recipients
    with pytest.raises(Refused, match="nothing of a wallet 'savings'"):
        run_shielded(lambda: shares.rewrapped(holder, desks, "savings"))
    desks.close()


def test_the_key_of_a_generation_under_way_is_no_orphan(world: World, tmp_path: Path) -> None:
    holder = opened(world, tmp_path)

    def verdicts() -> dict[str, str]:
        return {key.purpose: key.verdict for key in inventory.of(holder).keys}

    run_shielded(lambda: world.proposed(world.proposal("begun", 2)))
    assert verdicts()["kek"] == inventory.OK
    keys.generate_wrapping_key(holder.token, bytes(20), f"{keys.WRAPPING_LABEL_PREFIX}x")
    assert inventory.ORPHANED in {key.verdict for key in inventory.of(holder).keys}


def test_a_damaged_proposal_is_found_and_one_that_ends_meanwhile_is_not_missed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = opened(world, tmp_path)
    run_shielded(lambda: world.proposed(world.proposal("begun", 2)))

    def damaged(*_: object) -> bytes:
        raise Tampered("not the proposal that its name says")

    proposals = type(holder.store.proposals)
    monkeypatch.setattr(proposals, "load", damaged)
    with pytest.raises(Tampered):
        inventory.of(holder)
    answers = [holder.store.proposals.hashes(), ()]
    monkeypatch.setattr(proposals, "hashes", lambda _: answers.pop(0))
    assert inventory.of(holder).exit_code == 0


def test_a_running_signer_says_what_stands_in_its_way(world: World, tmp_path: Path) -> None:
    holder = opened(world, tmp_path)
    ready = status.of_running(holder, 4711)
    assert (ready.state, ready.exit_code, ready.front_pid) == ("ready", 0, 4711)
    deaf = status.of_running(holder, None)
    assert (deaf.state, deaf.exit_code) == ("not-ready", 7)
    assert deaf.signer_pid == ready.signer_pid
    canary = keys.find_canary_key(holder.token)
    assert canary is not None
    keys.destroy(holder.token, canary)
    away = status.of_running(holder, 4711)
    assert (away.state, away.exit_code) == ("unavailable", 4)
