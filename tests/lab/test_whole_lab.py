"""A whole wallet on one machine, by the command line alone: real processes, tokens and kills."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import coincurve
import pytest
import yaml
from nacl.signing import VerifyKey

from hsm_mpc.app import lab as lab_app
from hsm_mpc.app import signing, wallet
from hsm_mpc.demo.blocks import SUBSIDY, Transaction
from hsm_mpc.demo.chain import MATURITY, RegtestChain
from hsm_mpc.errors import BadInput
from hsm_mpc.taproot.sighash import NewOutput, Spend
from hsm_mpc.wire.calls import Call, CoordinatorMethod, answer_of
from hsm_mpc.wire.grpc_transport import COORDINATOR, GrpcServer, GrpcTransport
from tests.agent.processes import until
from tests.lab.labs import Answer, Lab, kill, temporary_lab

pytestmark = pytest.mark.xdist_group("lab")


def check(signed: dict[str, Any], message: bytes = b"pay the baker") -> None:
    """An independent verifier agrees."""
    key = coincurve.PublicKeyXOnly(bytes.fromhex(signed["public_key"]))
    assert key.verify(bytes.fromhex(signed["signature"]), message)


def sign(lab: Lab, message: Path, *more: str) -> dict[str, Any]:
    signed: dict[str, Any] = lab.well("sign", "treasury", "--message", str(message), *more)
    check(signed)
    return signed


# The shapes that scripts depend on


def test_lab_up_says_what_runs_where(lab: Lab) -> None:
    told = lab.lab("up")
    assert told["dir"] == str(lab.folder)
    assert told["client_config"] == str(lab.folder / "client.yaml")
    assert told["coordinator"]["address"].startswith("unix:")
    assert [holder["name"] for holder in told["holders"]] == ["h1", "h2", "h3"]
    pids = [told["supervisor_pid"], told["coordinator"]["pid"]]
    for holder in told["holders"]:
        assert holder["config"] == str(lab.folder / holder["name"] / "holder.yaml")
        assert holder["store"] == str(lab.folder / holder["name"] / "store")
        assert (holder["token"], holder["state"]) == (holder["name"], "ready")
        assert Path(holder["module"]).is_absolute()
        pids += [holder["signer_pid"], holder["front_pid"]]
    assert len(set(pids)) == 8
    for pid in pids:
        os.kill(pid, 0)


def test_lab_up_again_leaves_everything_as_it_is(lab: Lab) -> None:
    again = lab.ran("lab", "up", "--dir", str(lab.folder), "--holders", "3")
    assert again.code == 0
    assert again.document == lab.lab("up") == lab.lab("status")


def test_a_wallet_is_shown_with_all_that_it_is(lab: Lab) -> None:
    shown = lab.well("wallet", "show", "treasury")
    assert list(shown) == [
        "name",
        "scheme",
        "threshold",
        "holders",
        "epoch",
        "since",
        "public_key",
        "internal_key",
        "addresses",
        "certificate_sha256",
        "policy_sha256",
        "xpub",
        "descriptor",
        "retired",
        "destroyed",
    ]
    assert (shown["name"], shown["scheme"], shown["threshold"]) == ("treasury", "taproot", 2)
    assert (shown["holders"], shown["epoch"]) == (["h1", "h2", "h3"], 0)
    assert shown["addresses"]["bitcoin"].startswith("bc1p")
    assert shown["addresses"]["bitcoin_testnet"].startswith("tb1p")
    assert shown["addresses"]["bitcoin_regtest"].startswith("bcrt1p")
    assert shown["descriptor"].startswith(f"tr({shown['xpub']}/<0;1>/*)#")
    (listed,) = lab.well("wallet", "list")["wallets"]
    assert (listed["name"], listed["public_key"]) == ("treasury", shown["public_key"])


def test_a_signature_says_who_signed_what(lab: Lab, message: Path, tmp_path: Path) -> None:
    signed = sign(lab, message, "--out", str(tmp_path / "signature"))
    assert list(signed) == [
        "request_id",
        "wallet",
        "epoch",
        "signature",
        "public_key",
        "signers",
        "digest",
        "elapsed_ms",
    ]
    assert signed["digest"] is None
    assert len(signed["signers"]) == 2
    assert (tmp_path / "signature").read_bytes().hex() == signed["signature"]
    good = ("verify", "treasury", "--message", str(message), "--signature")
    assert lab.well(*good, signed["signature"])["valid"] is True
    assert lab.client(*good, "00" * 64).code == 8
    assert lab.client(*good, signed["signature"], "--path", "m/0/1").code == 8


def test_a_digest_and_an_empty_message_are_signed(lab: Lab, tmp_path: Path) -> None:
    digest = "ab" * 32
    signed = lab.well("sign", "treasury", "--digest", digest, "--path", "m/1/7")
    check(signed, bytes.fromhex(digest))
    assert signed["digest"] == digest
    (tmp_path / "empty").write_bytes(b"")
    check(lab.well("sign", "treasury", "--message", str(tmp_path / "empty")), b"")


def test_a_coin_is_spent_on_bitcoin_cores_own_code(lab: Lab, tmp_path: Path) -> None:
    chain = RegtestChain(tmp_path / "chain")
    pays = b"\x51\x20" + bytes.fromhex(lab.well("wallet", "show", "treasury")["public_key"])
    coin = chain.mine(pays)
    while chain.height < MATURITY:
        chain.mine(pays)
    spend = Spend(2, 0, (coin,), (NewOutput(SUBSIDY - 500, pays),))
    signed = lab.well("sign", "treasury", "--digest", spend.signature_hash(0).hex())
    chain.mine(pays, [Transaction(spend, ((bytes.fromhex(signed["signature"]),),))])
    assert chain.height == MATURITY + 1


# Bad input


@pytest.mark.long
def test_an_ed25519_wallet_has_one_key_and_one_address(lab: Lab, message: Path) -> None:
    made = lab.well("wallet", "create", "sol", "--scheme", "ed25519", "--threshold", "2")
    assert (made["scheme"], list(made["addresses"])) == ("ed25519", ["solana"])
    assert made["internal_key"] is made["xpub"] is made["descriptor"] is None
    assert lab.well("wallet", "show", "sol") == made
    config = str(lab.folder / "h1" / "holder.yaml")
    shown = lab.ran("--json", "--config", config, "share", "inspect", "sol")
    assert (shown.code, shown.document["context"]["scheme"]) == (0, "ed25519")
    signed = lab.well("sign", "sol", "--message", str(message))
    key = VerifyKey(bytes.fromhex(made["public_key"]))
    assert key.verify(message.read_bytes(), bytes.fromhex(signed["signature"]))
    verify = ("verify", "sol", "--message", str(message), "--signature")
    assert lab.well(*verify, signed["signature"])["valid"] is True
    other = lab.well("sign", "treasury", "--message", str(message))["signature"]
    assert lab.client(*verify, other).code == 8
    for words in (["sign", "sol", "--message", str(message)], [*verify, signed["signature"]]):
        child = lab.client(*words, "--path", "m/0/1")
        assert (child.code, child.error["kind"]) == (2, "bad-input")
        assert "one key" in child.error["message"]


def test_bad_input_is_exit_2_and_names_what_is_wrong(lab: Lab) -> None:
    create = ("wallet", "create", "treasury", "--scheme", "taproot", "--threshold")
    for arguments, kind, word in (
        ((*create, "2"), "name-taken", "treasury"),
        ((*create, "4"), "bad-input", "4-of-3"),
        (("sign", "treasury"), "bad-input", "--digest"),
    ):
        answer = lab.client(*arguments)
        assert (answer.code, answer.error["kind"]) == (2, kind)
        assert word in answer.error["message"]


@pytest.mark.parametrize(
    ("name", "scheme", "threshold"),
    [("w", "taproot", 1), ("w", "rsa", 2), ("w", "ecdsa", 2), ("W", "taproot", 2)],
)
def test_a_wallet_that_cannot_be_is_refused(
    lab: Lab, name: str, scheme: str, threshold: int
) -> None:
    with pytest.raises(BadInput):
        wallet.create(lab.client_config, name, scheme, threshold, None, None)


@pytest.mark.parametrize(
    ("path", "signers"),
    [("m/0/0h", ()), ("m/2/0", ()), ("m/0/0", ("h1", "h9")), ("m/0/0", ("h1", "h1"))],
)
def test_a_signature_that_cannot_be_is_refused(
    lab: Lab, path: str, signers: tuple[str, ...]
) -> None:
    with pytest.raises(BadInput):
        signing.sign(lab.client_config, "treasury", b"x", digest=False, signers=signers, path=path)


def test_a_wallet_that_is_not_there_is_refused(lab: Lab) -> None:
    with pytest.raises(BadInput, match="no wallet called 'nothing'"):
        wallet.show(lab.client_config, "nothing")


def test_some_holders_have_a_wallet_and_share_it_with_all(lab: Lab, message: Path) -> None:
    create = ("wallet", "create", "few", "--scheme", "taproot", "--threshold", "2")
    answer = lab.client(*create, "--holders", "h1,h9")
    assert (answer.code, answer.error["kind"]) == (2, "bad-input")
    made = lab.well(*create, "--holders", "h2,h1")
    assert made["holders"] == ["h1", "h2"]
    assert lab.well("sign", "few", "--message", str(message))["signers"] == ["h1", "h2"]
    shared = lab.well("wallet", "reshare", "few", "--threshold", "2", "--holders", "h1,h2,h3")
    assert (shared["epoch"], shared["public_key"]) == (1, made["public_key"])
    assert shared["holders"] == ["h1", "h2", "h3"]
    assert shared["retired"]["state"] == "done"
    lab.well("sign", "few", "--message", str(message))


@pytest.mark.long
def test_a_policy_that_allows_nothing_refuses_with_its_rule(
    lab: Lab, message: Path, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\npermissions: [raw]\n")
    create = ("wallet", "create", "strict", "--scheme", "taproot", "--threshold", "2")
    lab.well(*create, "--policy", str(policy))
    refused = lab.client("sign", "strict", "--message", str(message))
    assert refused.code == 3
    assert refused.error["rule"] == "permission"
    lab.well("sign", "strict", "--digest", "00" * 32)
    policy.write_text("version: 9\n")
    bad = lab.client("wallet", "create", "other", *create[3:], "--policy", str(policy))
    assert (bad.code, bad.error["kind"]) == (2, "bad-config")


def test_of_two_creates_of_one_name_at_once_one_is_refused(lab: Lab) -> None:
    create = ("wallet", "create", "same", "--scheme", "taproot", "--threshold", "3")
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: lab.client(*create), range(2)))
    assert sorted(answer.code for answer in answers) == [0, 2]


# Bad days


@pytest.mark.long
def test_the_certificate_of_another_wallet_is_exit_6(
    lab: Lab, message: Path, tmp_path: Path
) -> None:
    """A coordinator that answers every `show` with another wallet of the same holders."""
    lab.well("wallet", "create", "decoy", "--scheme", "taproot", "--threshold", "2")
    settings = yaml.safe_load(lab.client_config.read_text())
    real = GrpcTransport(COORDINATOR, f"unix:{settings['coordinator']}")

    def lie(source: bytes) -> bytes:
        call = Call.from_bytes(source)
        wanted = [b"decoy"] if call.method == CoordinatorMethod.SHOW else call.parts
        return answer_of(real.call(call.method, wanted, 30))

    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        server = GrpcServer(COORDINATOR, f"unix:{folder}/c.sock", lie, 4)
        config = tmp_path / "client.yaml"
        for name in ("key", "roster"):
            settings[name] = str(lab.folder / settings[name])
        config.write_text(yaml.safe_dump({**settings, "coordinator": f"{folder}/c.sock"}))
        for verb in (("wallet", "show"), ("sign", "--message", str(message))):
            answer = lab.ran("--config", str(config), *verb, "treasury")
            assert (answer.code, answer.error["kind"]) == (6, "tampered")
            assert "another wallet's" in answer.error["message"]
        assert lab.ran("--config", str(config), "wallet", "show", "decoy").code == 0
        server.stop()
    real.close()


def test_what_is_killed_is_started_again_and_signing_goes_on(battered: Lab, message: Path) -> None:
    lab = battered
    before = lab.holders()
    kill(before["h1"]["signer_pid"])
    sign(lab, message)
    kill(before["h2"]["front_pid"])
    sign(lab, message, "--signers", "h2,h3")
    kill(lab.lab("status")["coordinator"]["pid"])
    sign(lab, message)
    lab.lab("up")
    after = lab.holders()
    assert after["h1"]["signer_pid"] != before["h1"]["signer_pid"]
    assert after["h2"]["signer_pid"] == before["h2"]["signer_pid"]
    assert after["h2"]["front_pid"] != before["h2"]["front_pid"]
    sign(lab, message, "--signers", "h1,h2")


def test_an_operator_who_is_asked_admits_a_wallet_before_it_is_made(battered: Lab) -> None:
    config = battered.folder / "h1" / "holder.yaml"
    before = config.read_text()
    create = ("wallet", "create", "asked", "--scheme", "taproot", "--threshold", "2")

    def of_h1(*verb: str) -> Answer:
        return battered.ran("--config", str(config), *verb)

    def restarted(content: str) -> None:
        config.write_text(content)
        battered.lab("stop-holder", "h1")
        battered.lab("start-holder", "h1")

    restarted(f"{before}admit: ask\n")
    try:
        waits = battered.client(*create)
        assert (waits.code, waits.error["kind"]) == (7, "not-ready")
        assert waits.error["waiting_for"] == ["h1"]
        (plan,) = of_h1("holder", "admit").document["plans"]
        assert (plan["kind"], plan["wallet"], plan["consented"]) == ("create", "asked", False)
        assert (plan["create"]["threshold"], plan["destroy"]) == (2, None)
        assert f"hsm-mpc holder admit {plan['digest']}" in waits.error["message"]
        assert of_h1("--no-input", "holder", "admit", plan["digest"][:16]).code == 2
        assert battered.client(*create).code == 7
        admitted = of_h1("--yes", "holder", "admit", plan["digest"])
        assert admitted.document["digest"] == plan["digest"]
        assert battered.well(*create)["name"] == "asked"
        assert of_h1("holder", "admit").document["plans"] == []
        destroyed_after_consent(battered, of_h1)
    finally:
        restarted(before)


def destroyed_after_consent(lab: Lab, of_h1: Callable[..., Answer]) -> None:
    """The wallet called `asked` goes, and its name is not given again."""
    destroy = ("--yes", "wallet", "destroy", "asked", "--reason", "it was a test")
    assert lab.client("--no-input", *destroy[1:]).code == 2
    waits = lab.client(*destroy)
    assert (waits.code, waits.error["waiting_for"]) == (7, ["h1"])
    (plan,) = of_h1("holder", "admit").document["plans"]
    assert (plan["kind"], plan["destroy"]["reason"]) == ("destroy", "it was a test")
    of_h1("--yes", "holder", "admit", plan["digest"])
    assert lab.well(*destroy) == {
        "name": "asked",
        "destroyed": ["h1", "h2", "h3"],
        "waiting_for": [],
        "final": True,
    }
    assert lab.well("wallet", "show", "asked")["destroyed"] == ["h1", "h2", "h3"]
    create = ("wallet", "create", "asked", "--scheme", "taproot", "--threshold", "2")
    assert lab.client(*create).error["kind"] == "name-taken"
    assert "asked" not in str(of_h1("share", "list").document)


@pytest.mark.long
def test_below_the_threshold_nothing_is_signed(battered: Lab, message: Path) -> None:
    lab = battered
    stopped = {holder["name"]: holder for holder in lab.lab("stop-holder", "h3")["holders"]}
    assert (stopped["h3"]["state"], stopped["h3"]["signer_pid"]) == ("stopped", None)
    sign(lab, message)
    lab.lab("stop-holder", "h1")
    answer = lab.client("sign", "treasury", "--message", str(message))
    assert answer.code == 4
    assert answer.error == {
        "kind": "unavailable",
        "message": "1 of 2 needed holders answer; missing: h1, h3",
        "retryable": True,
        "waiting_for": ["h1", "h3"],
    }
    create = lab.client("wallet", "create", "later", "--scheme", "taproot", "--threshold", "2")
    assert (create.code, create.error["waiting_for"]) == (4, ["h1", "h3"])
    started = {holder["name"]: holder for holder in lab.lab("start-holder", "h1")["holders"]}
    assert started["h1"]["state"] == "ready"
    sign(lab, message)
    lab.lab("start-holder", "h3")
    lab.well("wallet", "create", "later", "--scheme", "taproot", "--threshold", "2")


@pytest.mark.long
def test_every_wallet_signs_after_the_lab_was_down(battered: Lab, message: Path) -> None:
    lab = battered
    down = lab.lab("down")
    assert down["supervisor_pid"] is None
    assert {holder["state"] for holder in down["holders"]} == {"down"}
    assert lab.lab("down") == down
    assert lab.client("wallet", "list").code == 4
    assert lab.ran("lab", "stop-holder", "h1", "--dir", str(lab.folder)).code == 7
    lab.lab("up")
    sign(lab, message)
    for each in wallet.every(lab.client_config).wallets:
        if each.destroyed:
            continue
        signing.sign(lab.client_config, each.name, bytes(32), digest=True, signers=(), path="m/0/0")


@pytest.mark.long
def test_a_supervisor_that_was_killed_takes_all_with_it_and_up_mends_it(
    battered: Lab, message: Path
) -> None:
    lab = battered
    kill(lab.lab("status")["supervisor_pid"])
    lab.lab("up")
    sign(lab, message)


@pytest.mark.long
def test_a_coordinator_that_lost_its_registry_finds_everything(
    battered: Lab, message: Path
) -> None:
    """One wallet after the other, as the holders answer."""
    lab = battered
    names = lab.well("wallet", "list")
    lab.lab("down")
    for file in (lab.folder / "coordinator").glob("registry*"):
        file.unlink()
    lab.lab("up")
    sign(lab, message)
    until(lambda: lab.well("wallet", "list") == names, "every wallet")


# What leaves other wallets of the lab without a share of h2


def test_a_holder_that_lost_its_store_gets_its_share_again(battered: Lab, message: Path) -> None:
    folder = battered.folder / "h2"
    before = battered.well("wallet", "show", "treasury")
    battered.lab("stop-holder", "h2")
    shutil.rmtree(folder / "store")
    made = battered.ran("--config", str(folder / "holder.yaml"), "holder", "init")
    assert made.code == 0
    battered.lab("start-holder", "h2")
    only_h2 = ("sign", "treasury", "--message", str(message), "--signers", "h1,h2")
    assert battered.client(*only_h2).code == 3
    after = battered.well("wallet", "repair", "treasury", "--holder", "h2")
    assert after["epoch"] == before["epoch"] + 1
    assert after["public_key"] == before["public_key"]
    assert after["retired"]["state"] == "done"
    sign(battered, message, "--signers", "h1,h2")
    again = battered.client("wallet", "repair", "treasury", "--holder", "h2")
    assert (again.code, again.error["rule"]) == (3, "share-opens")
    assert battered.well("wallet", "history", "treasury")["epochs"]


def test_a_holder_of_a_lab_has_another_identity_key(softhsm_module: str, message: Path) -> None:
    """Its signer is killed between the operator's call and the refresh."""
    with temporary_lab(softhsm_module) as lab:
        lab.well("wallet", "create", "treasury", "--scheme", "taproot", "--threshold", "2")
        rotated(lab, message)


def rotated(lab: Lab, message: Path) -> None:
    of_h3 = ("--config", str(lab.folder / "h3" / "holder.yaml"))
    assert lab.ran("--no-input", *of_h3, "holder", "rotate-identity").code == 2
    offered = lab.ran("--yes", *of_h3, "holder", "rotate-identity")
    assert (offered.code, offered.document["state"]) == (0, "offered")
    again = lab.ran(*of_h3, "holder", "rotate-identity")
    assert again.document == offered.document
    kill(lab.holders()["h3"]["signer_pid"])
    lab.lab("start-holder", "h3")
    before = lab.well("wallet", "show", "treasury")
    after = lab.well("wallet", "refresh", "treasury")
    assert (after["epoch"], after["public_key"]) == (before["epoch"] + 1, before["public_key"])
    for pair in ("h1,h3", "h2,h3", "h1,h2"):
        sign(lab, message, "--signers", pair)
    labels = {key["label"] for key in lab.ran(*of_h3, "inventory").document["keys"]}
    assert "hsm-mpc/identity/2" in labels
    assert "hsm-mpc/identity" not in labels
    assert lab.ran(*of_h3, "audit", "verify").code == 0
    told = lab.well("wallet", "history", "treasury")
    assert [epoch["rotated"] for epoch in told["epochs"][-2:]] == [[], ["h3"]]


def test_a_replaced_holder_of_a_lab_is_repaired(battered: Lab, message: Path) -> None:
    """Its folder and its token are gone."""
    before = battered.well("wallet", "show", "treasury")
    battered.lab("replace-holder", "h2")
    assert sign(battered, message)["signers"] == ["h1", "h3"]
    of_h2 = ("--config", str(battered.folder / "h2" / "holder.yaml"))
    assert battered.ran(*of_h2, "audit", "verify").code == 6
    after = battered.well("wallet", "repair", "treasury", "--holder", "h2")
    assert (after["epoch"], after["public_key"]) == (before["epoch"] + 1, before["public_key"])
    assert (after["retired"]["state"], after["retired"]["lost"]) == ("done", ["h2"])
    sign(battered, message, "--signers", "h1,h2")
    assert battered.ran(*of_h2, "audit", "verify").code == 0
    told = battered.well("wallet", "history", "treasury")
    assert [epoch["lost"] for epoch in told["epochs"][-2:]] == [["h2"], []]


# The folder


@pytest.mark.long
def test_a_folder_with_other_things_is_no_lab(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    for verb in ("up", "destroy"):
        answer = lab.ran("lab", verb, "--dir", str(tmp_path))
        assert (answer.code, answer.error["kind"]) == (2, "bad-input")
    assert (tmp_path / "mine").read_text() == "precious"
    assert lab.ran("lab", "up", "--dir", str(lab.folder), "--holders", "4").code == 2
    assert lab.ran("lab", "stop-holder", "h9", "--dir", str(lab.folder)).code == 2


@pytest.mark.parametrize("holders", [0, 1, 33])
def test_a_lab_has_two_to_thirty_two_holders(tmp_path: Path, holders: int) -> None:
    with pytest.raises(BadInput):
        lab_app.up(tmp_path / "lab", holders, lambda _: None)
    assert not (tmp_path / "lab" / "lab.json").exists()


def test_what_is_secret_in_a_lab_is_private(lab: Lab) -> None:
    for name in ("client.key", "coordinator/coordinator.key", "h1/pin", "h1/so-pin"):
        assert stat.S_IMODE((lab.folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(lab.folder.stat().st_mode) == 0o700


@pytest.mark.long
def test_a_holder_whose_folder_is_gone_is_a_failure_until_it_is_replaced(
    softhsm_module: str, tmp_path: Path, message: Path
) -> None:
    with temporary_lab(softhsm_module) as lab:
        lab.well("wallet", "create", "treasury", "--scheme", "taproot", "--threshold", "2")
        lab.lab("down")
        shutil.rmtree(lab.folder / "h2" / "store")
        answer = lab.ran("lab", "up", "--dir", str(lab.folder))
        assert (answer.code, answer.error["kind"]) == (6, "tampered")
        assert "lab replace-holder h2" in answer.error["message"]
        lab.lab("replace-holder", "h2")
        states = {holder["name"]: holder["state"] for holder in lab.lab("up")["holders"]}
        assert states == {"h1": "ready", "h2": "ready", "h3": "ready"}
        assert sign(lab, message)["signers"] == ["h1", "h3"]
        lab.well("wallet", "repair", "treasury", "--holder", "h2")
        lab.lab("replace-holder", "h2")
        lab.well("wallet", "repair", "treasury", "--holder", "h2")
        sign(lab, message, "--signers", "h2,h3")
