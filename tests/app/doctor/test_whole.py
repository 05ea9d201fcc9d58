"""`doctor` on a holder that is well, and on one in which one thing is broken: one line says so."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import _cffi_backend
import pytest

from hsm_mpc.app.doctor import Diagnosis, Finding, diagnosis
from hsm_mpc.config import load_holder
from hsm_mpc.errors import BackendError
from hsm_mpc.store.lock import StoreLock
from tests.app.doctor.places import Place

ALL_LINES = {
    *("host", "libraries", "process", "swap", "core-dumps", "ptrace", "clock", "disk", "files"),
    *(
        "store",
        "front",
        "memory",
        "architecture",
        "module",
        "token",
        "profile",
        "pin",
        "pin-source",
        "login",
    ),
    *("capability", "registers", "room", "giveaway", "key", "attributes", "inventory", "card"),
    *("roster", "peers", "time"),
}
NOT_TRIED = "not looked at, as they need it"


def lines(told: Diagnosis, level: str) -> dict[str, Finding]:
    """The findings of this level, by what was looked at."""
    return {found.check: found for found in told.findings if found.level == level}


def test_a_holder_that_is_well(place: Place) -> None:
    told = place.diagnosed()
    assert lines(told, "fail") == {}
    assert set(lines(told, "warn")) <= {"memory", "front", "peers"}
    assert {found.check for found in told.findings} == ALL_LINES
    assert told.exit_code == 0
    assert "nothing that names this roster" in lines(told, "warn")["peers"].message


def _module(module: Path) -> Callable[[Place], object]:
    return lambda place: place.edit(str(place.module), str(module))


def _foreign(place: Place) -> None:
    """For another processor: an ELF header with another machine."""
    header = bytearray(Path(sys.executable).resolve().read_bytes()[:64])
    header[18:20] = (183 if header[18] != 183 else 62).to_bytes(2, "little")
    foreign = place.folder / "foreign.so"
    foreign.write_bytes(header)
    place.edit(str(place.module), str(foreign))


def _no_pkcs11(place: Place) -> None:
    """A shared library of another purpose."""
    place.edit(str(place.module), _cffi_backend.__file__)


def _wrong_pin(place: Place) -> None:
    (place.folder / "pin").write_bytes(b"wrong")


def _opened(path: str, mode: int) -> Callable[[Place], object]:
    return lambda place: (place.folder / path).chmod(mode)


def _no_store(place: Place) -> None:
    shutil.rmtree(place.folder / "store")


def _stranger(place: Place) -> None:
    """In a folder of sockets that anybody enters."""
    (place.folder / "admin").mkdir(mode=0o755)


BROKEN: dict[str, tuple[Callable[[Place], object], str, int, str]] = {
    "no module": (_module(Path("/nowhere/module.so")), "architecture", 4, "No such file"),
    "another processor": (_foreign, "architecture", 4, "made for"),
    "no PKCS#11": (_no_pkcs11, "architecture", 4, "not a PKCS#11 module"),
    "another label": (lambda place: place.edit("token: h1", "token: h9"), "token", 4, "no token"),
    "wrong PIN": (_wrong_pin, "login", 4, "CKR_PIN_INCORRECT"),
    "PIN for all": (_opened("pin", 0o644), "pin-source", 2, "others may use it"),
    "no PIN": (lambda place: (place.folder / "pin").unlink(), "pin-source", 2, "No such file"),
    "roster for all": (_opened("roster", 0o666), "files", 2, "others may write it"),
    "sockets for all": (_stranger, "files", 2, "others may use it"),
    "store for all": (_opened("store/audit/log", 0o644), "store", 2, "its mode is 644, not 600"),
    "no store": (_no_store, "store", 2, "no holder's store"),
    "another address": (
        lambda place: place.edit("lab: true", "lab: true\naddress: elsewhere"),
        *("card", 2, "another name, address or lab mark"),
    ),
    "no place in the roster": (lambda place: place.write_roster(), "roster", 2, "'h1'"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_one_line_with_its_mend(place: Place, what: str) -> None:
    spoil, check, code, words = BROKEN[what]
    spoil(place)
    told = place.diagnosed()
    (found,) = lines(told, "fail").values()
    assert (found.check, found.exit_code, told.exit_code) == (check, code, code)
    assert words in found.message
    assert found.mend
    if check in ("architecture", "token", "pin-source", "store"):
        skipped = lines(told, "warn")["login"]
        assert NOT_TRIED in skipped.message
        assert check in skipped.mend
    if check in ("card", "roster"):
        assert "not looked at" in lines(told, "warn")["inventory"].message


def test_a_refused_pin_is_not_tried_again(place: Place) -> None:
    _wrong_pin(place)
    place.diagnosed()
    told = place.diagnosed()
    found = lines(told, "fail")["login"]
    assert "refused this PIN before" in found.message
    assert "a wrong PIN was tried" in lines(told, "warn")["pin"].message


def test_both_2_and_4_are_2(place: Place) -> None:
    (place.folder / "roster").chmod(0o666)
    place.edit("token: h1", "token: h9")
    told = place.diagnosed()
    assert {found.exit_code for found in lines(told, "fail").values()} == {2, 4}
    assert told.exit_code == 2


def test_nothing_is_touched_while_another_process_has_the_store(place: Place) -> None:
    with StoreLock.take(place.folder / "store" / "lock"):
        told = place.diagnosed()
    found = lines(told, "fail")["signer"]
    assert "in use by process" in found.message
    assert told.exit_code == 4
    assert not {"module", "login"} & {found.check for found in told.findings}


def test_a_signer_that_does_not_answer_is_a_failure(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise BackendError("admin socket: timed out")

    monkeypatch.setattr(diagnosis, "asked", silent)
    told = place.diagnosed()
    assert "timed out" in lines(told, "fail")["signer"].message
    assert "host" in lines(told, "ok")


def test_a_missing_roster_is_a_warning_before_the_first_wallet(place: Place) -> None:
    (place.folder / "roster").unlink()
    told = place.diagnosed()
    assert lines(told, "fail") == {}
    assert "`agent run` cannot start" in lines(told, "warn")["roster"].message
    assert "peers" not in {found.check for found in told.findings}


def test_a_configuration_is_known_by_its_content(place: Place) -> None:
    before = load_holder(place.config)
    assert diagnosis.digest(before) == diagnosis.digest(load_holder(place.config))
    place.edit("token: h1", "token: h9")
    assert diagnosis.digest(before) != diagnosis.digest(load_holder(place.config))
