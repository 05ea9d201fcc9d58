"""A lab on several kinds of tokens."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import coincurve
import pytest
from nacl.signing import VerifyKey

from hsm_mpc.app import lab as lab_app
from hsm_mpc.errors import BadConfig, BadInput, Tampered
from hsm_mpc.lab.folder import LabFolder, LabState
from hsm_mpc.lab.holder_folder import make_holder_folder
from hsm_mpc.lab.kind import Kind
from hsm_mpc.lab.kinds import KINDS
from hsm_mpc.lab.nss import NSS
from hsm_mpc.lab.opencryptoki import OPENCRYPTOKI
from hsm_mpc.lab.softhsm import SOFTHSM
from hsm_mpc.secure.arena import Arena
from tests.lab.labs import Lab

STATE = LabState(("h1", "h2", "h3"), made=True, sockets="", kinds=("softhsm", "nss"))


def silently(_: str) -> None:
    """Nothing needs to be said."""


def test_holders_stand_on_the_kinds_in_turn() -> None:
    assert [STATE.kind(name) for name in STATE.holders] == [SOFTHSM, NSS, SOFTHSM]


def test_a_lab_has_a_holder_of_each_kind_unless_a_number_is_given(tmp_path: Path) -> None:
    kinds = ("softhsm", "nss", "opencryptoki", "p11kit")
    for given, count in ((None, 4), (3, 3)):
        lab = LabFolder(tmp_path / str(count))
        lab_app._claim(lab, given, kinds)
        assert len(lab.load().holders) == count


def test_a_lab_remembers_its_kinds(tmp_path: Path) -> None:
    lab = LabFolder(tmp_path)
    lab.save(STATE)
    assert lab.load() == STATE
    mark = tmp_path / "lab.json"
    mark.write_text(mark.read_text().replace("nss", "abacus"))
    with pytest.raises(Tampered):
        lab.load()


def test_an_unknown_kind_is_bad_input_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'abacus': softhsm, nss, p11kit, opencryptoki"):
        lab_app.up(tmp_path / "lab", 3, silently, ["softhsm", "abacus"])
    with pytest.raises(BadInput, match="abacus"):
        lab_app.prepare_holder(tmp_path / "h1", "h1", "abacus")
    assert list(tmp_path.iterdir()) == []


def test_a_lab_stays_on_its_kinds(tmp_path: Path) -> None:
    LabFolder(tmp_path).save(STATE)
    with pytest.raises(BadInput, match="a lab on softhsm,nss"):
        lab_app.up(tmp_path, None, silently, ["softhsm"])


def test_a_module_that_was_left_out_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsm_mpc.lab.kind.ROOT", tmp_path)
    (tmp_path / ".local" / "nss").mkdir(parents=True)
    (tmp_path / ".local" / "nss" / "left-out").write_text("no network\n")
    with pytest.raises(
        BadConfig, match=r"module of nss is known \(no network\): run scripts/setup"
    ):
        NSS.module()
    with pytest.raises(BadConfig, match="HSM_MPC_OPENCRYPTOKI_MODULE"):
        OPENCRYPTOKI.module()
    monkeypatch.setenv("HSM_MPC_NSS_MODULE", "/mine.so")
    assert NSS.module() == "/mine.so"


@pytest.mark.parametrize("kind", list(KINDS.values()), ids=list(KINDS))
def test_each_kind_gets_a_holder_folder_of_its_own(
    tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kind.variable, "/module.so")
    folder, arena = tmp_path / "h1", Arena(16 * 1024)
    if kind.wrapper is not None:
        program, state = kind.before(folder)
        Path(state).mkdir(parents=True)
        assert Path(program).is_file()
    made = make_holder_folder(folder, "h1", kind, arena)
    assert made.config == folder / "holder.yaml"
    for pin in ("pin", "so-pin"):
        assert len((folder / pin).read_bytes()) == kind.pin_characters
        assert (folder / pin).stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadInput, match="already there"):
        make_holder_folder(folder, "h1", kind, arena)
    arena.close()


# Real processes


@pytest.mark.long
@pytest.mark.xdist_group("lab")
def test_any_three_of_four_holders_on_four_modules_sign(mixed: Lab, message: Path) -> None:
    assert [each["hsm"] for each in mixed.holders().values()] == list(KINDS)
    mixed.well("wallet", "create", "treasury", "--scheme", "taproot", "--threshold", "3")
    quorums = []
    for absent in ("h4", "h3", "h2", "h1"):
        mixed.lab("stop-holder", absent)
        signed = mixed.well("sign", "treasury", "--message", str(message))
        key = coincurve.PublicKeyXOnly(bytes.fromhex(signed["public_key"]))
        assert key.verify(bytes.fromhex(signed["signature"]), message.read_bytes())
        quorums.append(tuple(signed["signers"]))
        mixed.lab("start-holder", absent)
    everybody = ("h1", "h2", "h3", "h4")
    assert quorums == list(combinations(everybody, 3))
    mixed.well("wallet", "create", "sol", "--scheme", "ed25519", "--threshold", "4")
    signed = mixed.well("sign", "sol", "--message", str(message))
    VerifyKey(bytes.fromhex(signed["public_key"])).verify(
        message.read_bytes(), bytes.fromhex(signed["signature"])
    )
    assert _accepted(mixed, "h2") == ["key-not-local", "non-extractable-is-wrapped"]
    _reaches_its_token_while_it_is_down(mixed, "h3")


def _accepted(lab: Lab, holder: str) -> list[str]:
    """What `doctor` warns of while that holder is down."""
    lab.lab("stop-holder", holder)
    told = lab.ran("--config", str(lab.folder / holder / "holder.yaml"), "doctor")
    assert told.code == 0
    findings = told.document["findings"]
    assert {"level": "ok", "message": "as labels of secret keys"}.items() <= next(
        found.items() for found in findings if found["check"] == "registers"
    )
    warned = [found for found in findings if found["check"] == "giveaway"]
    assert {found["level"] for found in warned} == {"warn"}
    return [found["message"].partition(", accepted: ")[0] for found in warned]


def _reaches_its_token_while_it_is_down(lab: Lab, holder: str) -> None:
    """`doctor` starts the server that else the signer has."""
    lab.lab("stop-holder", holder)
    told = lab.ran("--config", str(lab.folder / holder / "holder.yaml"), "doctor")
    assert told.code == 0
    levels = {found["check"]: found["level"] for found in told.document["findings"]}
    assert (levels["token"], levels["login"], levels["peers"]) == ("ok", "ok", "ok")
