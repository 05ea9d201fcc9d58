"""A holder's verbs as its operator meets them: what works, and what each mishap answers."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hsm_mpc.card import Card
from hsm_mpc.config import load_holder
from hsm_mpc.roster import FIRST_PREDECESSOR, Member, Roster
from tests.cli.conftest import Run
from tests.software_identity import p256_key


def edited(config: Path, before: str, after: str) -> Path:
    text = config.read_text("utf-8")
    assert before in text
    config.write_text(text.replace(before, after), "utf-8")
    return config


def test_holder_init_writes_a_card_that_verifies(holder: Path) -> None:
    card = Card.from_bytes((holder / "store" / "card").read_bytes())
    assert (card.content.name, card.content.lab) == ("h1", True)


def test_holder_init_again_changes_nothing(run: Run, holder: Path) -> None:
    card = (holder / "store" / "card").read_bytes()
    assert run("holder", "init", config=holder / "holder.yaml").code == 0
    assert (holder / "store" / "card").read_bytes() == card


def test_holder_init_says_by_which_profile_it_takes_the_token(run: Run, holder: Path) -> None:
    config = holder / "holder.yaml"
    assert run("--json", "holder", "init", config=config).document["profile"] == "softhsm"
    edited(config, "hsm:", "hsm:\n  profile: utimaco")
    ran = run("--json", "holder", "init", config=config)
    assert ran.document["profile"] == "utimaco, untested on hardware"


def test_doctor_finds_nothing_wrong_with_a_fresh_holder(run: Run, holder: Path) -> None:
    ran = run("doctor", "--json", config=holder / "holder.yaml")
    assert ran.code == 0
    levels = {finding["level"] for finding in ran.document["findings"]}
    assert levels <= {"ok", "warn"}


def test_status_of_a_fresh_holder_is_ready(run: Run, holder: Path) -> None:
    ran = run("status", "--json", config=holder / "holder.yaml")
    assert (ran.code, ran.document["state"]) == (0, "ready")


def test_inventory_lists_the_keys_that_init_made(run: Run, holder: Path) -> None:
    ran = run("inventory", "--json", config=holder / "holder.yaml")
    assert ran.code == 0
    purposes = sorted(key["purpose"] for key in ran.document["keys"])
    assert purposes == ["canary", "identity", "identity"]
    assert {key["verdict"] for key in ran.document["keys"]} == {"ok"}


def test_a_wrong_pin_is_tried_once_and_then_not_again(run: Run, holder: Path) -> None:
    config, pin = holder / "holder.yaml", holder / "pin"
    right = pin.read_bytes()
    pin.write_bytes(b"wrong")
    first = run("--json", "holder", "init", config=config)
    assert (first.code, first.document["error"]["kind"]) == (4, "pin")
    assert first.document["error"]["retryable"] is False
    assert (holder / "store" / "refused-pin").exists()
    second = run("--json", "holder", "init", config=config)
    assert (second.code, second.document["error"]["kind"]) == (4, "pin")
    assert "refused this PIN before" in second.document["error"]["message"]
    pin.write_bytes(right)
    assert run("holder", "init", config=config).code == 0
    assert not (holder / "store" / "refused-pin").exists()


@pytest.mark.long
def test_holder_login_tries_a_refused_pin_once_more(run: Run, holder: Path) -> None:
    config, pin = holder / "holder.yaml", holder / "pin"
    right = pin.read_bytes()
    pin.write_bytes(b"wrong")
    assert run("holder", "init", config=config).code == 4
    state = pin.stat()
    pin.write_bytes(right)
    os.utime(pin, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert run("holder", "init", config=config).code == 4
    assert run("holder", "login", config=config).code == 0
    assert run("holder", "init", config=config).code == 0


def test_a_pin_file_that_others_may_read_is_refused(run: Run, holder: Path) -> None:
    (holder / "pin").chmod(0o644)
    ran = run("--json", "status", config=holder / "holder.yaml")
    assert ran.code == 2
    assert "chmod 600" in ran.document["message"]


def test_a_token_that_is_not_there_is_retryable(run: Run, holder: Path) -> None:
    config = edited(holder / "holder.yaml", "token: h1", "token: other")
    ran = run("--json", "holder", "init", config=config)
    assert (ran.code, ran.document["error"]["kind"]) == (4, "unavailable")
    assert ran.document["error"]["retryable"] is True


def test_a_token_label_found_twice_is_refused(run: Run, holder: Path) -> None:
    other = edited(holder / "holder.yaml", "token: h1", "token: h2")
    assert run("token", "init", "--so-pin-source", f"file:{holder}/so-pin", config=other).code == 0
    serials = [path for path in (holder / "tokens").iterdir() if path.is_dir()]
    assert len(serials) == 2
    for folder in serials:
        token = folder / "token.object"
        token.write_bytes(token.read_bytes().replace(b"h2 ", b"h1 "))
    config = edited(other, "token: h2", "token: h1")
    ran = run("--json", "holder", "init", config=config)
    assert (ran.code, ran.document["error"]["kind"]) == (2, "bad-config")
    assert "serial" in ran.document["error"]["message"]


def test_a_module_that_cannot_be_loaded_is_unavailable(run: Run, holder: Path) -> None:
    text = (holder / "holder.yaml").read_text("utf-8")
    module = next(line for line in text.splitlines() if "module:" in line)
    config = edited(holder / "holder.yaml", module, "  module: /nowhere/libnothing.so")
    ran = run("--json", "holder", "init", config=config)
    assert (ran.code, ran.document["error"]["kind"]) == (4, "unavailable")


def test_a_missing_identity_key_is_not_ready(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "h2"
    assert run("lab", "holder", "--dir", str(folder), "--name", "h2").code == 0
    ran = run("--json", "status", config=folder / "holder.yaml")
    assert (ran.code, ran.document["state"]) == (2, "bad-config")
    assert "holder init" in ran.document["message"]


@pytest.mark.parametrize("spoiled", ["store/card", "store/audit/log", "store/audit/state"])
def test_a_file_of_the_store_with_a_wrong_mode_is_found(
    run: Run, holder: Path, spoiled: str
) -> None:
    (holder / spoiled).chmod(0o644)
    ran = run("--json", "audit", "verify", config=holder / "holder.yaml")
    assert (ran.code, ran.document["error"]["kind"]) == (6, "tampered")
    assert "chmod" in ran.document["error"]["message"]


def test_a_changed_audit_line_is_found(run: Run, holder: Path) -> None:
    log = holder / "store" / "audit" / "log"
    log.write_bytes(log.read_bytes().replace(b'"name":"h1"', b'"name":"h2"'))
    ran = run("--json", "audit", "verify", config=holder / "holder.yaml")
    assert (ran.code, ran.document["error"]["kind"]) == (6, "tampered")


def test_an_export_is_the_verified_log(run: Run, holder: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    assert run("audit", "export", "--out", str(out), config=holder / "holder.yaml").code == 0
    assert out.read_bytes() == (holder / "store" / "audit" / "log").read_bytes()
    again = run("--json", "audit", "export", "--out", str(out), config=holder / "holder.yaml")
    assert again.code == 2


def test_an_identity_key_is_rotated(run: Run, holder: Path) -> None:
    """With a roster and no wallet nobody has to be told; the log leads from the roster's key on."""
    config, card = holder / "holder.yaml", holder / "store" / "card"
    old = Card.from_bytes(card.read_bytes())
    pinned = load_holder(config).roster
    assert pinned is not None
    roster = Roster(True, 1, FIRST_PREDECESSOR, (old.member, Member("h2", p256_key(7).public)))
    pinned.write_bytes(roster.to_bytes())
    asked = run("--json", "--no-input", "holder", "rotate-identity", config=config)
    assert asked.code != 0
    assert Card.from_bytes(card.read_bytes()) == old
    ran = run("--json", "--yes", "holder", "rotate-identity", config=config)
    assert ran.code == 0, ran.out
    assert (ran.document["state"], ran.document["wallets"]) == ("done", [])
    new = Card.from_bytes(card.read_bytes())
    assert ran.document["old_key"] == old.content.key.encoded.hex()
    assert ran.document["identity_key"] == new.content.key.encoded.hex()
    assert new.content == replace(old.content, key=new.content.key)
    assert run("--json", "audit", "verify", config=config).code == 0
    out = holder / "exported"
    assert run("audit", "export", "--out", str(out), config=config).code == 0
    inventory = run("--json", "inventory", config=config)
    assert (inventory.code, inventory.document["missing"]) == (0, [])
    said = run("doctor", "--json", config=config).document["findings"]
    (found,) = [each for each in said if each["check"] == "roster"]
    assert (found["level"], "another identity key" in found["message"]) == ("warn", True)
    stranger = replace(old.member, key=p256_key(9).public)
    other = Roster(True, 1, FIRST_PREDECESSOR, (stranger, roster.member(2)))
    pinned.write_bytes(other.to_bytes())
    assert run("--json", "audit", "verify", config=config).code == 6


def test_two_processes_do_not_share_a_store(run: Run, holder: Path) -> None:
    import fcntl

    with (holder / "store" / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = run("--json", "holder", "init", config=holder / "holder.yaml")
    assert (ran.code, ran.document["error"]["retryable"]) == (4, True)


def test_a_holder_folder_is_made_only_once(run: Run, holder: Path) -> None:
    ran = run("--json", "lab", "holder", "--dir", str(holder))
    assert (ran.code, ran.document["error"]["kind"]) == (2, "bad-input")


def test_a_lost_key_is_found_by_inventory(run: Run, finished_story: Path) -> None:
    ran = run("--json", "inventory", config=finished_story / "holder.yaml")
    assert ran.code == 6
    assert len(ran.document["missing"]) == 1


def test_share_inspect_shows_context_and_recipients(run: Run, finished_story: Path) -> None:
    blob = next((finished_story / "store").rglob("blob-*"))
    ran = run("--json", "share", "inspect", str(blob))
    assert ran.code == 0
    assert ran.document["sha256"] == blob.name.removeprefix("blob-")
    assert ran.document["context"]["holder"] == 1
    assert ran.document["recipients"][0]["mechanism"] == "aes-gcm"


def test_share_inspect_refuses_a_flipped_bit_and_other_files(
    run: Run, finished_story: Path, tmp_path: Path
) -> None:
    blob = next((finished_story / "store").rglob("blob-*"))
    spoiled = tmp_path / "spoiled"
    shutil.copy(blob, spoiled)
    content = bytearray(spoiled.read_bytes())
    content[0] ^= 1
    spoiled.write_bytes(content)
    for file in (spoiled, finished_story / "holder.yaml"):
        ran = run("--json", "share", "inspect", str(file))
        assert (ran.code, ran.document["error"]["kind"]) == (2, "bad-encoding")


def test_help_is_there_without_a_configuration(run: Run) -> None:
    assert "holder" in run("--help").out
    assert run("no-such-verb").code == 2
    assert run("doctor").code == 2


def test_a_token_without_the_identity_key_of_the_card_is_tampering(run: Run, holder: Path) -> None:
    """As if the HSM were replaced by an empty one of the same label."""
    shutil.rmtree(holder / "tokens")
    (holder / "tokens").mkdir(mode=0o700)
    config = holder / "holder.yaml"
    so_pin = f"file:{holder}/so-pin"
    assert run("token", "init", "--so-pin-source", so_pin, config=config).code == 0
    ran = run("--json", "status", config=config)
    assert (ran.code, ran.document["state"]) == (6, "tampered")


def test_a_lost_identity_key_is_never_replaced_by_init(run: Run, holder: Path) -> None:
    """Somebody's empty token of the same label must not become this holder."""
    shutil.rmtree(holder / "tokens")
    (holder / "tokens").mkdir(mode=0o700)
    config, card = holder / "holder.yaml", (holder / "store" / "card").read_bytes()
    so_pin = f"file:{holder}/so-pin"
    assert run("token", "init", "--so-pin-source", so_pin, config=config).code == 0
    ran = run("--json", "holder", "init", config=config)
    assert (ran.code, ran.document["error"]["kind"]) == (6, "tampered")
    assert (holder / "store" / "card").read_bytes() == card


def test_a_damaged_card_is_tampering(run: Run, holder: Path) -> None:
    card = holder / "store" / "card"
    card.write_bytes(card.read_bytes()[:-1])
    ran = run("--json", "holder", "init", config=holder / "holder.yaml")
    assert (ran.code, ran.document["error"]["kind"]) == (6, "tampered")


def test_a_card_of_another_key_than_the_tokens_is_tampering(
    run: Run, holder: Path, finished_story: Path
) -> None:
    """A thief who writes log, state and card anew has another key."""
    card = next(finished_story.rglob("card"))
    (holder / "store" / "card").write_bytes(card.read_bytes())
    ran = run("--json", "status", config=holder / "holder.yaml")
    assert (ran.code, ran.document["state"]) == (6, "tampered")


@pytest.mark.parametrize("arguments", [("share", "inspect"), ("status", "--config")])
def test_a_pipe_in_place_of_a_file_is_refused_at_once(
    run: Run, tmp_path: Path, arguments: tuple[str, str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    given = (arguments[1], str(pipe), arguments[0]) if "--config" in arguments else arguments
    ran = run("--json", *given, *(() if "--config" in arguments else (str(pipe),)))
    assert ran.code == 2
    assert "not a regular file" in ran.document["error"]["message"]


def test_an_escape_sequence_in_a_name_does_not_reach_the_terminal(run: Run, tmp_path: Path) -> None:
    ran = run("share", "inspect", str(tmp_path / "\x1b[31mred"))
    assert ran.code == 2
    assert "\x1b" not in ran.err
    assert "\\x1b[31mred" in ran.err
