"""What `doctor` says between the module's file and the login."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hsm_mpc.app.doctor import module
from hsm_mpc.app.doctor.findings import Finding
from hsm_mpc.config import HolderConfig, HsmConfig
from hsm_mpc.errors import BackendError, BadConfig
from hsm_mpc.hsm import profiles
from hsm_mpc.hsm.cryptoki import TokenFlag
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.token import TokenInfo

READY = TokenFlag.USER_PIN_INITIALIZED | TokenFlag.TOKEN_INITIALIZED


def token(flags: TokenFlag = READY, serial: bytes = b"7f00000000000001") -> TokenInfo:
    return TokenInfo(1, "t", serial, "maker", "model", flags, None, range(4, 9), None)


def config(path: str, source: str = "prompt") -> HolderConfig:
    hsm = HsmConfig(module=path, token="t", pin_source=source)
    return HolderConfig(version=1, name="h1", store=Path("/nowhere"), hsm=hsm)


@pytest.fixture
def given(softhsm_module: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """`given(token | error)`: what looking for the token comes to."""
    monkeypatch.setenv("MODULE", softhsm_module)

    def give(outcome: TokenInfo | Exception) -> None:
        def find(*_: object) -> TokenInfo:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        loaded = SimpleNamespace(
            find=find,
            slots=tuple,
            version=lambda: "Software 2.6",
            profile_of=lambda found: profiles.of_manufacturer(found.manufacturer),
        )
        monkeypatch.setattr(Module, "load", lambda *_: loaded)

    yield give


def told() -> dict[str, Finding]:
    return {finding.check: finding for finding in module.module(config(os.environ["MODULE"]))}


def test_a_token_that_is_well_is_five_good_lines(given: Callable[..., None]) -> None:
    given(token())
    assert {name: finding.level for name, finding in told().items()} == {
        "architecture": "ok",
        "module": "ok",
        "token": "ok",
        "profile": "ok",
        "pin": "ok",
    }


def test_the_version_and_the_profile_are_told(given: Callable[..., None]) -> None:
    given(token())
    assert told()["module"].message.startswith("Software 2.6: loaded")
    assert told()["profile"].message == "standard: docs/hsm/README.md"


def test_a_profile_that_was_never_tried_is_warned_of(given: Callable[..., None]) -> None:
    given(replace(token(), manufacturer="Utimaco IS GmbH"))
    assert told()["profile"].level == "warn"
    assert told()["profile"].message == "utimaco, untested on hardware: docs/hsm/utimaco.md"


def test_a_token_that_is_there_twice_is_a_failure(given: Callable[..., None]) -> None:
    given(BadConfig("2 token 't', serials 1, 2; mend: name one as `serial`"))
    found = told()["token"]
    assert (found.level, found.exit_code, found.mend) == ("fail", 2, "name one as `serial`")
    assert "mend" not in found.message
    assert "pin" not in told()


def test_a_module_that_lost_its_device_is_no_question_of_labels(
    softhsm_module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise BackendError("C_GetSlotList answered CKR_DEVICE_ERROR")

    monkeypatch.setattr(Module, "load", lambda *_: SimpleNamespace(slots=gone, version=str))
    found = module.module(config(softhsm_module))[-1]
    assert (found.check, found.level, found.exit_code) == ("token", "fail", 4)
    assert "daemon" in found.mend


def test_a_module_that_does_not_start_is_a_failure(
    softhsm_module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Module:
        raise BackendError("C_Initialize answered CKR_FUNCTION_FAILED")

    monkeypatch.setattr(Module, "load", refuse)
    found = module.module(config(softhsm_module))
    assert [finding.level for finding in found] == ["ok", "fail"]
    assert (found[1].check, found[1].exit_code) == ("module", 4)
    assert "daemon" in found[1].mend


@pytest.mark.parametrize("serial", [b"0000000000000000", b"123             "])
def test_a_serial_that_every_token_has_is_warned_of(
    given: Callable[..., None], serial: bytes
) -> None:
    given(token(serial=serial))
    assert told()["token"].level == "warn"
    assert "only the label" in told()["token"].message
    assert told()["pin"].level == "ok"


@pytest.mark.parametrize(
    ("flag", "level", "mend"),
    [
        (TokenFlag.USER_PIN_COUNT_LOW, "warn", "holder login"),
        (TokenFlag.USER_PIN_FINAL_TRY, "fail", "holder login"),
        (TokenFlag.USER_PIN_LOCKED, "fail", "security officer"),
        (TokenFlag.USER_PIN_INITIALIZED, "fail", "token init"),
    ],
)
def test_each_state_of_a_pin_has_its_mend(
    given: Callable[..., None], flag: TokenFlag, level: str, mend: str
) -> None:
    given(token(flags=READY ^ flag))
    found = told()["pin"]
    assert (found.level, found.exit_code) == (level, 4 if level == "fail" else 0)
    assert mend in found.mend
    assert told()["token"].level == "ok"


# Where the PIN comes from


def source(text: str, prompt: bool = False) -> Finding:
    (found,) = module.pin_source(config("/m.so", text), prompt)
    return found


def test_a_pin_that_only_a_start_has_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert (source("credential:pin").level, source("prompt").level) == ("warn", "warn")
    assert "LoadCredential=pin" in source("credential:pin").mend
    assert source("prompt", prompt=True).level == "ok"
    with open(os.devnull) as held:
        assert source(f"fd:{held.fileno()}").level == "ok"
    assert source("fd:99999").level == "warn"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/nowhere")
    assert source("credential:pin").level == "ok"


def test_what_is_no_pin_source_is_a_failure() -> None:
    assert (source("1234").level, source("1234").exit_code) == ("fail", 2)
    assert "1234" not in source("1234").message


def test_a_signer_tells_whether_it_can_log_in_again(tmp_path: Path) -> None:
    (used_up,) = module.kept_pin_source(config("/m.so", "fd:9"))
    assert (used_up.level, "used up" in used_up.message) == ("ok", True)
    (gone,) = module.kept_pin_source(config("/m.so", f"file:{tmp_path / 'pin'}"))
    assert gone.level == "fail"
