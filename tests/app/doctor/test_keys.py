"""What `doctor` says of keys, and of who this holder and its peers are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm_mpc.app.acting import at_work
from hsm_mpc.app.doctor import keys, module, peers
from hsm_mpc.app.doctor.diagnosis import digest, of_running
from hsm_mpc.app.doctor.findings import Finding, fail, ok
from hsm_mpc.app.holder import OpenHolder
from hsm_mpc.app.status import of_running as status_of
from hsm_mpc.card import Card, UnsignedCard
from hsm_mpc.hsm import attributes
from hsm_mpc.hsm import keys as token_keys
from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.cryptoki import Attribute, ObjectClass
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.tags import Tag
from hsm_mpc.wire.channels import KeyBook
from tests.agent.simulate import World, Worlds, made_wallet
from tests.app.test_acting import opened
from tests.software_identity import p256_key


@pytest.fixture
def world(worlds: Worlds) -> World:
    return worlds(2)


@pytest.fixture
def holder(world: World, tmp_path: Path) -> OpenHolder:
    """The first of two, with its card."""
    holder = opened(world, tmp_path)
    identity = holder.identity()
    unsigned = UnsignedCard(True, "h1", identity.key, "")
    holder.store.keep_card(Card(unsigned, identity.sign(Tag.CARD, unsigned.to_bytes())).to_bytes())
    return holder


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    return found


def new_key(holder: OpenHolder, label: str, key_id: bytes | None = None) -> token_keys.Key:
    return token_keys.generate_wrapping_key(holder.token, key_id or os.urandom(20), label)


def test_keys_that_are_missing_twice_or_silent_are_failures(holder: OpenHolder) -> None:
    token = holder.token
    assert only(keys.identity(token)).level == only(keys.canary(token)).level == "ok"
    canary, encrypted = token_keys.find_canary_key(token), token.canary
    assert canary is not None
    token.canary = None  # as after a start without it
    token_keys.destroy(token, canary)
    absent = only(keys.canary(token))
    assert (absent.level, absent.exit_code, "not made" in absent.message) == ("fail", 2, True)
    token_keys.generate_canary_key(token)
    token.canary = encrypted
    silent = only(keys.canary(token))  # another key than the one that encrypted
    token.canary = None
    assert (silent.level, silent.exit_code) == ("fail", 4)
    token_keys._generate_wrapping(
        token, token_keys.CANARY.encode(), token_keys.CANARY, Wrapping.AES_GCM
    )
    twice = only(keys.canary(token))
    assert (twice.level, twice.exit_code, "2 keys" in twice.message) == ("fail", 2, True)
    pair = token_keys.find_identity_key(token)
    assert pair is not None
    token_keys.destroy(token, pair.public)
    half = only(keys.identity(token))
    assert (half.level, half.exit_code, "public half" in half.message) == ("fail", 2, True)
    token_keys.destroy(token, pair.private)
    assert "not made yet" in only(keys.identity(token)).message
    token_keys.generate_identity_key(token, label=token_keys.SECOND_IDENTITY)
    assert "hsm-mpc/identity/2: found" in only(keys.identity(token)).message


def test_a_key_that_no_record_names_is_a_warning(holder: OpenHolder) -> None:
    assert levels(keys.in_token(holder)) == {"attributes": "ok", "inventory": "ok"}
    orphan = new_key(holder, token_keys.wrapping_label(bytes(16)))
    found = keys.in_token(holder)
    assert levels(found) == {"attributes": "ok", "inventory": "warn"}
    assert "(orphaned)" in found[1].message
    token_keys.destroy(holder.token, orphan)


def test_a_missing_wrapping_key_is_a_failure(world: World, holder: OpenHolder) -> None:
    run_shielded(lambda: made_wallet(world))
    (record,) = run_shielded(lambda: world.parties[1].wallets.all())
    assert levels(keys.in_token(holder))["inventory"] == "ok"
    label = token_keys.wrapping_label(record.wallet_id)
    key_id = KeyUri.parse(record.record.kek_uri).key_id
    token_keys.destroy(holder.token, token_keys.wrapping_key(holder.token, key_id, label))
    found = keys.in_token(holder)
    assert levels(found) == {"attributes": "ok", "inventory": "fail"}
    assert record.wallet_id.hex() in found[1].message


def test_a_key_with_other_attributes_and_one_that_is_there_twice_are_failures(
    holder: OpenHolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = token_keys.find_canary_key(holder.token)
    assert canary is not None
    wanted = dict(attributes.WRAPPING[ObjectClass.SECRET_KEY])
    wanted[Attribute.WRAP] = b"\1"
    monkeypatch.setattr(attributes, "WRAPPING", {ObjectClass.SECRET_KEY: wanted})
    found = keys.in_token(holder)
    assert levels(found) == {"attributes": "fail", "inventory": "ok"}
    assert "CKA_WRAP is false" in found[0].message
    monkeypatch.undo()
    name, label = os.urandom(20), token_keys.wrapping_label(bytes(16))
    new_key(holder, label, name)
    token_keys._generate_wrapping(holder.token, name, label, Wrapping.AES_GCM)
    found = keys.in_token(holder)
    assert levels(found) == {"attributes": "ok", "inventory": "fail"}
    assert "2 keys share a name" in found[1].message


# Card, roster, peers


def test_a_card_that_says_something_else_is_a_failure(holder: OpenHolder) -> None:
    assert only(peers.card(holder)).level == "ok"
    changed = holder.config.model_copy(update={"address": "elsewhere"})
    moved = OpenHolder(changed, holder.arena, holder.entropy, holder.token, holder.store)
    assert "another name, address" in only(peers.card(moved)).message


def test_a_holder_without_a_card_is_not_made_yet(world: World, tmp_path: Path) -> None:
    holder = opened(world, tmp_path)
    (holder.store._folder / "card").unlink()
    found = only(peers.card(holder))
    assert (found.level, found.mend) == ("fail", "hsm-mpc holder init")


def test_without_a_roster_wallets_are_out_of_use(world: World, holder: OpenHolder) -> None:
    assert holder.config.roster is not None
    assert world.roster.hash.hex() in only(peers.roster(holder)).message
    run_shielded(lambda: made_wallet(world))
    holder.config.roster.unlink()
    assert only(peers.roster(holder)).level == "fail"


def test_a_labs_roster_outside_of_a_lab_is_a_failure(world: World, tmp_path: Path) -> None:
    found = only(peers.roster(opened(world, tmp_path, lab=False)))
    assert (found.level, "lab" in found.message) == ("fail", True)


def test_a_holder_on_another_hsm_is_told_so(world: World, holder: OpenHolder) -> None:
    assert holder.config.roster is not None
    assert (only(peers.roster(holder)).level, holder.is_replaced()) == ("ok", False)
    first = Roster(True, 1, FIRST_PREDECESSOR, world.roster.members)
    before = first.with_key(1, p256_key(77).public)
    holder.config.roster.write_bytes(before.to_bytes())
    found = only(peers.roster(holder))
    assert (found.level, "another identity key" in found.message) == ("warn", True)
    assert "hsm-mpc wallet repair WALLET --holder h1, for each wallet" in found.mend


def test_a_peer_agrees_as_far_as_its_hsm_has_signed(world: World, holder: OpenHolder) -> None:
    before = only(peers.agreement(holder, None))
    assert (before.level, "signed by h2 is here yet" in before.message) == ("warn", True)
    run_shielded(lambda: made_wallet(world))
    after = only(peers.agreement(holder, None))
    assert (after.level, "h2: its HSM has signed" in after.message) == ("ok", True)
    assert "heard" not in after.message
    unheard = only(peers.agreement(holder, {}))
    assert unheard.message.endswith("; not heard since this signer started")
    heard = peers.heard(world.parties[1].acting)
    assert list(heard) == ["h2"]
    assert "heard under its key" in only(peers.agreement(holder, heard)).message


def test_a_wallet_of_some_holders_says_nothing_of_the_others(
    world: World, holder: OpenHolder
) -> None:
    certificate = run_shielded(lambda: made_wallet(world))
    members = (*world.roster.members, Member("h3", p256_key(77).public))
    assert holder.config.roster is not None
    holder.config.roster.write_bytes(Roster(True, 1, FIRST_PREDECESSOR, members).to_bytes())
    assert only(peers.agreement(holder, None)).level == "fail"
    terms = certificate.body.terms
    pinned = KeyBook(Roster(True, 1, FIRST_PREDECESSOR, members), {})
    began = Lineage.of((), (), terms, pinned.under(world.roster)).to_bytes()
    holder.store.repairs(terms.wallet_id).put_lineage(began)
    signed, silent = peers.agreement(holder, None)
    assert (signed.level, "h2: its HSM has signed" in signed.message) == ("ok", True)
    assert (silent.level, "signed by h3 is here yet" in silent.message) == ("warn", True)


def test_a_wallet_under_another_roster_is_a_failure(world: World, holder: OpenHolder) -> None:
    run_shielded(lambda: made_wallet(world))
    other = Roster(True, 2, world.roster.hash, world.roster.members)
    assert other.predecessor != FIRST_PREDECESSOR
    assert holder.config.roster is not None
    holder.config.roster.write_bytes(other.to_bytes())
    found = only(peers.agreement(holder, None))
    assert (found.level, world.roster.hash.hex() in found.message) == ("fail", True)
    assert "treasury" in found.message


# A signer that runs


@pytest.fixture
def told(
    world: World, holder: OpenHolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Finding]]:
    monkeypatch.setattr(module, "module", lambda _: [ok("token", "there")])
    desks = run_shielded(lambda: at_work(holder))
    state, asked_under = status_of(holder, None), digest(holder.config.model_copy())
    found = of_running(holder, desks.holder, state, tmp_path / "holder.yaml", asked_under)
    yield list(found.findings)
    run_shielded(desks.close)


def test_a_signer_that_runs_looks_at_itself(told: list[Finding]) -> None:
    found = {finding.check: finding for finding in told}
    assert {"capability", "room", "key", "channel", "peers", "time", "clock"} <= found.keys()
    assert (found["configuration"].level, found["channel"].level) == ("ok", "ok")
    assert "KiB of it free" in found["memory"].message
    assert (found["signer"].level, found["signer"].exit_code) == ("fail", 4)
    assert "the front does not listen" in found["signer"].message
    assert "login" not in found


def test_a_configuration_that_was_changed_meanwhile_is_warned_of(
    world: World, holder: OpenHolder, tmp_path: Path
) -> None:
    changed = digest(holder.config.model_copy(update={"workers": 3}))
    acting, ready = world.parties[1].acting, status_of(holder, 4711)
    told = of_running(holder, acting, ready, tmp_path / "holder.yaml", changed)
    found = {finding.check: finding for finding in told.findings}
    assert (found["configuration"].level, found["configuration"].mend) == (
        *("warn", "restart the signer"),
    )
    assert found["signer"].level == "ok"


def test_a_signer_whose_token_is_away_says_so_once(
    world: World, holder: OpenHolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = fail("token", "C_GetSlotList answered CKR_DEVICE_ERROR", "start its server", 4)
    monkeypatch.setattr(module, "module", lambda _: [away])
    acting, ready = world.parties[1].acting, status_of(holder, 4711)
    told = of_running(holder, acting, ready, tmp_path / "x", digest(holder.config))
    found = {finding.check: finding for finding in told.findings}
    of_hsm = [each for each in told.findings if each.check not in ("process", "store")]
    assert [each.check for each in of_hsm if each.level == "fail"] == ["token"]
    assert (found["login"].level, found["login"].mend) == ("warn", "first token")
    assert "capability" not in found


def test_a_channel_that_ends_soon_is_warned_of(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is renewed long before, so this says that the HSM did not sign."""
    acting = world.parties[1].acting
    assert only(peers.channel(acting)).level == "ok"
    signer = acting.channel.signer(acting.clock())
    monkeypatch.setattr(type(acting.channel), "signer", lambda *_: signer)
    world.now[0] = signer.channel.content.not_after - 599
    assert only(peers.channel(acting)).level == "warn"
