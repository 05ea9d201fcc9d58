from __future__ import annotations

import _ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc.errors import BackendError, BadConfig
from hsm_mpc.hsm import loading
from hsm_mpc.hsm.cryptoki import ffi

OWN_HEADER = Path("/proc/self/exe").read_bytes()[:64]


def refusal(path: Path) -> str:
    with pytest.raises(BackendError) as caught:
        loading.load(str(path))
    assert not caught.value.retryable
    return str(caught.value)


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(BadConfig, match="absolute path"):
        loading.real_path("lib/libsofthsm2.so")


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    target = tmp_path / "target.so"
    target.touch()
    link = tmp_path / "link.so"
    link.symlink_to(target)
    assert loading.real_path(str(link)) == str(target)


def test_a_path_without_a_file_is_refused_with_the_mend(tmp_path: Path) -> None:
    text = refusal(tmp_path / "absent.so")
    assert "No such file" in text
    assert "hsm.module" in text


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\nexit 0 # long enough\n"])
def test_what_is_no_library_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "module.so"
    path.write_bytes(content)
    assert "not a shared library" in refusal(path)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({18: 183 if OWN_HEADER[18] != 183 else 62, 19: 0}, "made for"),
        ({4: 1}, "32 bits"),
        ({5: 2, 18: 0, 19: 243}, "riscv"),
        ({18: 0xFF, 19: 0xFF}, "processor 65535"),
    ],
)
def test_a_library_for_another_processor_is_refused(
    tmp_path: Path, change: dict[int, int], shown: str
) -> None:
    header = bytearray(OWN_HEADER)
    for offset, value in change.items():
        header[offset] = value
    path = tmp_path / "module.so"
    path.write_bytes(header)
    text = refusal(path)
    assert shown in text
    assert "this Python runs on" in text


def test_a_truncated_library_is_refused_with_the_linkers_words(tmp_path: Path) -> None:
    path = tmp_path / "module.so"
    path.write_bytes(OWN_HEADER)
    assert "the linker refuses it" in refusal(path)


def test_a_library_that_is_no_pkcs11_module_is_refused() -> None:
    assert "not a PKCS#11 module" in refusal(Path(_ctypes.__file__))


def loaded_as(monkeypatch: pytest.MonkeyPatch, get_function_list: Any) -> BackendError:
    fake = SimpleNamespace(C_GetFunctionList=get_function_list)
    monkeypatch.setattr(ffi, "dlopen", lambda *_: fake)
    with pytest.raises(BackendError) as caught:
        loading.load(_ctypes.__file__)
    return caught.value


def test_a_module_that_gives_no_function_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "CKR_HOST_MEMORY" in str(loaded_as(monkeypatch, lambda _: 2))


def test_a_module_whose_function_list_is_nowhere_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    error = loaded_as(monkeypatch, lambda _: 0)
    assert "its function list is nowhere" in str(error)
    assert not error.retryable


def test_a_module_without_a_function_that_is_needed_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = ffi.new("CK_FUNCTION_LIST *")

    def get_function_list(table: Any) -> int:
        table[0] = empty
        return 0

    error = loaded_as(monkeypatch, get_function_list)
    assert "it has no C_Initialize" in str(error)
    assert not error.retryable
