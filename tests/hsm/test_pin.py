from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsm_mpc.errors import BadConfig
from hsm_mpc.hsm import pin as pin_module
from hsm_mpc.hsm import terminal
from hsm_mpc.hsm.pin import Pin, PinSource
from hsm_mpc.secure.arena import Arena, publish

CONTENT = b"1234 5678 \xc3\xa4"


@pytest.fixture
def arena() -> Iterator[Arena]:
    """Empty again when the test is over, but for what it took itself."""
    arena = Arena(16 * 1024)
    yield arena
    arena.close()


@pytest.fixture
def pin_file(tmp_path: Path) -> Callable[..., Path]:
    def written(content: bytes = CONTENT, mode: int = 0o600, name: str = "pin") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return written


def content_of(pin: Pin) -> bytes:
    """A test's PIN is no secret."""
    return publish(pin.secret)


def file_source(path: Path) -> PinSource:
    return PinSource.parse(f"file:{path}")


def descriptor_with(content: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    return reader


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("file:/etc/pin", "file", "/etc/pin"),
        ("file:pin:2", "file", "pin:2"),
        ("file:1", "file", "1"),
        ("credential:2", "credential", "2"),
        ("fd:0", "fd", "0"),
        ("fd:3", "fd", "3"),
        ("credential:hsm.pin", "credential", "hsm.pin"),
        ("prompt", "prompt", "prompt"),
    ],
)
def test_the_four_sources_are_understood(text: str, kind: str, name: str) -> None:
    source = PinSource.parse(text)
    assert (source.kind, source.name) == (kind, name)


@pytest.mark.parametrize(
    "text",
    [
        *("", "file:", "file", "fd:", "fd:-1", "fd:03", "fd:x", "fd:1", "fd:2", "fd:1000000"),
        *("credential:", "credential:../pin", "credential:a/b", "credential:.pin", "prompt:"),
        *("env:PIN", "pin:1234", "1234", "prompt\n", "File:/etc/pin"),
    ],
)
def test_any_other_source_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="PIN source"):
        PinSource.parse(text)


def test_a_pin_that_stands_where_its_source_should_is_not_repeated() -> None:
    with pytest.raises(BadConfig) as caught:
        PinSource.parse("8642-9753")
    assert "8642" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "pin"),
    [
        (CONTENT, CONTENT),
        (CONTENT + b"\n", CONTENT),
        (b"1", b"1"),
        (255 * b"1", 255 * b"1"),
        (255 * b"1" + b"\n", 255 * b"1"),
        (b" 1 ", b" 1 "),
    ],
)
def test_one_newline_at_the_end_is_not_part_of_the_pin(
    arena: Arena, pin_file: Callable[..., Path], content: bytes, pin: bytes
) -> None:
    read = file_source(pin_file(content)).read(arena)
    assert read.secret.size == len(pin)
    assert content_of(read) == pin


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "1 to 255 bytes"),
        (b"\n", "1 to 255 bytes"),
        (256 * b"1", "1 to 255 bytes"),
        (256 * b"1" + b"\n", "1 to 255 bytes"),
        (5000 * b"1", "1 to 255 bytes"),
        (b"1234\r\n", "control character"),
        (b"1234\n\n", "control character"),
        (b"12\n34", "control character"),
        (b"1234\0", "control character"),
        (b"12\x7f34", "control character"),
    ],
)
def test_what_is_no_pin_is_refused_before_it_costs_a_try(
    arena: Arena, pin_file: Callable[..., Path], content: bytes, reason: str
) -> None:
    free = arena.free_bytes
    with pytest.raises(BadConfig, match=reason) as caught:
        file_source(pin_file(content)).read(arena)
    assert "1234" not in str(caught.value)
    assert arena.free_bytes == free


def test_the_scratch_that_a_pin_went_through_is_given_back(
    arena: Arena, pin_file: Callable[..., Path]
) -> None:
    free = arena.free_bytes
    file_source(pin_file()).read(arena).secret.release()
    assert arena.free_bytes == free


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o444])
def test_a_file_that_others_may_use_is_refused_with_the_mend(
    arena: Arena, pin_file: Callable[..., Path], mode: int
) -> None:
    source = file_source(pin_file(mode=mode))
    with pytest.raises(BadConfig, match=r"others may use it; mend: chmod 600 /"):
        source.read(arena)
    with pytest.raises(BadConfig, match=r"others may use it"):
        source.fingerprint()


def test_a_file_of_another_user_is_refused(
    arena: Arena, pin_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = file_source(pin_file())
    owner = os.geteuid()
    monkeypatch.setattr(pin_module, "_ROOT", owner + 1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(BadConfig, match="belongs to another user"):
        source.read(arena)
    monkeypatch.setattr(pin_module, "_ROOT", owner)  # root's file is as good as one's own
    assert content_of(source.read(arena)) == CONTENT


def test_what_is_no_regular_file_is_refused_without_waiting(arena: Arena, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (pipe, tmp_path):
        with pytest.raises(BadConfig, match="not a regular file"):
            file_source(path).read(arena)


def test_a_file_that_is_absent_is_a_matter_of_configuration(arena: Arena, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="No such file"):
        file_source(tmp_path / "absent").read(arena)


def test_the_checks_are_made_on_what_a_link_points_to(
    arena: Arena, pin_file: Callable[..., Path], tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(pin_file(mode=0o644))
    with pytest.raises(BadConfig, match="others may use it"):
        file_source(link).read(arena)


def test_the_fingerprint_is_that_of_the_file_that_was_read(
    arena: Arena, pin_file: Callable[..., Path]
) -> None:
    path = pin_file()
    source = file_source(path)
    state = path.stat()
    read = source.read(arena)
    assert read.fingerprint == source.fingerprint() == (state.st_ino, state.st_mtime_ns)
    os.utime(path, ns=(0, state.st_mtime_ns + 1))
    assert source.fingerprint() != read.fingerprint


def test_a_descriptor_is_read_to_its_end_and_closed(arena: Arena) -> None:
    descriptor = descriptor_with(CONTENT + b"\n")
    source = PinSource.parse(f"fd:{descriptor}")
    assert source.fingerprint() is None
    read = source.read(arena)
    assert content_of(read) == CONTENT
    assert read.fingerprint is None
    with pytest.raises(BadConfig, match="not an open descriptor"):
        source.read(arena)


def test_a_descriptor_that_comes_in_parts_is_read_whole(arena: Arena) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        for byte in b"12345":
            os.write(writer, bytes((byte,)))
        os._exit(0)
    os.close(writer)
    assert content_of(PinSource.parse(f"fd:{reader}").read(arena)) == b"12345"
    os.waitpid(child, 0)


def test_a_descriptor_without_a_pin_is_closed_too(arena: Arena) -> None:
    descriptor = descriptor_with(b"")
    with pytest.raises(BadConfig, match="1 to 255 bytes"):
        PinSource.parse(f"fd:{descriptor}").read(arena)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_descriptor_that_cannot_be_read_is_refused(arena: Arena, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(BadConfig, match="Is a directory"):
        PinSource.parse(f"fd:{descriptor}").read(arena)


@pytest.mark.parametrize("mode", [0o400, 0o440])
def test_a_credential_is_a_file_that_systemd_gave(
    arena: Arena,
    pin_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
) -> None:
    pin_file(mode=mode, name="hsm.pin")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    source = PinSource.parse("credential:hsm.pin")
    assert content_of(source.read(arena)) == CONTENT


def test_a_credential_that_systemd_copied_anew_does_not_look_changed(
    arena: Arena,
    pin_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pin_file(mode=0o400, name="hsm.pin")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    source = PinSource.parse("credential:hsm.pin")
    assert source.fingerprint() is None
    assert source.read(arena).fingerprint is None


@pytest.mark.parametrize("mode", [0o404, 0o420, 0o410])
def test_a_credential_that_others_may_use_is_refused(
    arena: Arena,
    pin_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
) -> None:
    pin_file(mode=mode, name="hsm.pin")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(BadConfig, match="others may use it"):
        PinSource.parse("credential:hsm.pin").read(arena)


@pytest.mark.parametrize("folder", [None, ""])
def test_a_credential_without_systemd_is_refused_with_the_mend(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, folder: str | None
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    if folder is not None:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", folder)
    with pytest.raises(BadConfig, match="LoadCredential="):
        PinSource.parse("credential:hsm.pin").read(arena)


def test_a_prompt_without_a_terminal_is_refused(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(terminal, "TERMINAL", str(tmp_path / "no-tty"))
    with pytest.raises(BadConfig, match="no terminal"):
        PinSource.parse("prompt").read(arena)
