"""What `doctor` says of hosts that are as they should be, and of others."""

from __future__ import annotations

import importlib.metadata
import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_mpc.agent import landlock
from hsm_mpc.app.doctor import clock, files, front, host, memory
from hsm_mpc.app.doctor.findings import Finding
from hsm_mpc.config import FrontConfig, HolderConfig, HsmConfig, MemoryConfig
from hsm_mpc.errors import MemoryUnlockable
from hsm_mpc.secure.arena import Arena

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SOCKET = Path("run/front")


def config(folder: Path, **settings: Any) -> HolderConfig:
    hsm = HsmConfig(module=str(folder / "m.so"), token="t", pin_source="prompt")
    made = HolderConfig(version=1, name="h1", store=folder / "store", hsm=hsm)
    absolute = {"admin_socket": folder / "admin" / "socket", **settings}
    return made.model_copy(update=absolute)


def found(monkeypatch: pytest.MonkeyPatch, check: str) -> Finding:
    """The one line of the host about `check`."""
    monkeypatch.setattr(host, "started_with_bind_now", lambda: True)
    (finding,) = (each for each in host.host() if each.check == check)
    return finding


@pytest.mark.parametrize(
    ("check", "where", "content", "level", "words"),
    [
        ("swap", "SWAPS", "Filename Type\n", "ok", "off"),
        ("swap", "SWAPS", "Filename Type\n/dev/sda2 partition\n", "warn", "/dev/sda2"),
        ("swap", "SWAPS", None, "warn", "not told"),
        ("core-dumps", "CORE_PATTERN", "core\n", "ok", "none is handed"),
        ("core-dumps", "CORE_PATTERN", "|/usr/lib/dump %P %u\n", "warn", "dumps to /usr/lib/dump,"),
        ("core-dumps", "CORE_PATTERN", None, "warn", "not told"),
        ("ptrace", "PTRACE_SCOPE", "1\n", "ok", "ptrace_scope 1"),
        ("ptrace", "PTRACE_SCOPE", "0\n", "warn", "ptrace_scope 0"),
        ("ptrace", "PTRACE_SCOPE", None, "warn", "no Yama"),
    ],
)
def test_what_the_kernel_leaves_open_is_warned_of(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    check: str,
    where: str,
    content: str | None,
    level: str,
    words: str,
) -> None:
    told = tmp_path / "told"
    if content is not None:
        told.write_text(content)
    monkeypatch.setattr(host, where, told)
    finding = found(monkeypatch, check)
    assert (finding.level, words in finding.message) == (level, True)
    assert bool(finding.mend) is (level == "warn" and words != "not told")


def test_a_process_that_could_be_read_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "is_hardened", lambda: False)
    assert found(monkeypatch, "process").level == "fail"
    monkeypatch.setattr(host, "is_hardened", lambda: True)
    assert found(monkeypatch, "process").level == "ok"
    monkeypatch.setattr(host, "started_with_bind_now", lambda: False)
    assert host._process().level == "fail"


def test_a_library_that_was_not_tested_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert found(monkeypatch, "libraries").level == "ok"
    honest = importlib.metadata.version

    def version(name: str) -> str:
        return "0.1" if name == "PyNaCl" else honest(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    finding = found(monkeypatch, "libraries")
    assert finding.level == "warn"
    assert f"PyNaCl 0.1 instead of {honest('PyNaCl')}" in finding.message
    monkeypatch.setattr(host, "_tested_versions", dict)
    assert "not known" in found(monkeypatch, "libraries").message


def test_all_that_is_leaned_on_is_pinned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the repository, and in a wheel, which has the list in its metadata."""
    pinned = host._tested_versions()
    assert {name.lower() for name in host._LEANED_ON} <= pinned.keys()
    listed = host.PINNED.read_text("utf-8")
    in_wheel = {"extra_metadata/run.txt": listed}
    monkeypatch.setattr(host, "PINNED", tmp_path / "nowhere")
    wheel = SimpleNamespace(read_text=in_wheel.get)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: wheel)
    assert host._tested_versions() == pinned
    in_wheel.clear()
    assert host._tested_versions() == {}


@pytest.mark.parametrize(
    ("told", "level", "words"),
    [
        ((0, 0, 1500), "ok", "at most 2 ms"),
        ((0, 0x40, 0), "warn", "nothing has told"),
        ((5, 0, 0), "warn", "nothing has told"),
        ((-1, 0, 0), "warn", "does not say"),
    ],
)
def test_a_clock_that_nobody_keeps_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, told: tuple[int, int, int], level: str, words: str
) -> None:
    monkeypatch.setattr(clock, "kernel_clock", lambda: told)
    assert (clock.clock().level, words in clock.clock().message) == (level, True)
    assert bool(clock.clock().mend) is (level == "warn")


def test_the_kernel_tells_of_its_clock() -> None:
    result, status, largest_error = clock.kernel_clock()
    assert 0 <= result <= 5
    assert (result == 5) is bool(status & 0x40)
    assert 0 <= largest_error <= 16_000_000


def written(folder: Path, time: datetime) -> HolderConfig:
    log = folder / "store" / "audit" / "log"
    log.parent.mkdir(parents=True)
    line = f'{{"event":"x","seq":1,"time":"{time:%Y-%m-%dT%H:%M:%S.000Z}"}}'
    log.write_text(f"{line} {'0' * 64}\nhalf of a li")
    return config(folder)


@pytest.mark.parametrize(
    ("later", "level"), [(-3600, "ok"), (300, "ok"), (301, "fail"), (86400, "fail")]
)
def test_a_clock_behind_the_audit_log_is_a_failure(tmp_path: Path, later: int, level: str) -> None:
    holder = written(tmp_path, NOW + timedelta(seconds=later))
    (finding,) = clock.times(holder, (), NOW)
    assert finding.level == level


def test_a_peer_whose_clock_is_ahead_is_named(tmp_path: Path) -> None:
    def channel(seconds: int) -> Any:
        begin = int(NOW.timestamp()) + seconds
        return SimpleNamespace(content=SimpleNamespace(not_before=begin))

    holder = config(tmp_path)
    (well,) = clock.times(holder, [("h2", channel(1))], NOW)
    assert well.level == "ok"
    (ahead,) = clock.times(holder, [("h2", channel(0)), ("h3", channel(120))], NOW)
    assert (ahead.level, "h3 by 120 s" in ahead.message) == ("warn", True)
    assert "h2" not in ahead.message


# Disk, memory


@pytest.mark.parametrize(
    ("bytes_free", "files_free", "flags", "level", "words"),
    [
        (64 << 20, 1000, 0, "ok", "64 MiB"),
        ((64 << 20) - 1, 1000, 0, "fail", "63 MiB"),
        (64 << 20, 999, 0, "fail", "999 more files"),
        (64 << 20, 1000, os.ST_RDONLY, "fail", "only be read"),
    ],
)
def test_a_disk_without_room_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    bytes_free: int,
    files_free: int,
    flags: int,
    level: str,
    words: str,
) -> None:
    told = SimpleNamespace(
        f_bavail=bytes_free, f_frsize=1, f_files=10**6, f_favail=files_free, f_flag=flags
    )
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    (finding,) = host.disk(config(tmp_path))
    assert (finding.level, words in finding.message) == (level, True)
    assert finding.exit_code == (0 if level == "ok" else 4)


def limited(monkeypatch: pytest.MonkeyPatch, kib: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (kib * 1024, kib * 1024))


def test_memory_beyond_the_limit_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    holder = config(tmp_path, memory=MemoryConfig(kib=64))
    monkeypatch.setattr(memory, "memfd_secret_exists", lambda: True)
    limited(monkeypatch, 63)
    finding = memory._judged(holder, "memfd_secret", "")
    assert (finding.level, "LimitMEMLOCK" in finding.mend) == ("warn", True)
    limited(monkeypatch, 64)
    assert memory._judged(holder, "memfd_secret", "").level == "ok"
    assert "root of this host" in memory._judged(holder, "locked", "").message
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert "no limit" in memory._judged(holder, "memfd_secret", "").message


def test_memory_that_cannot_be_locked_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> Arena:
        raise MemoryUnlockable("cannot lock 64 KiB")

    monkeypatch.setattr(memory, "Arena", refuse)
    (finding,) = memory.tried(config(tmp_path))
    assert (finding.level, finding.exit_code) == ("fail", 2)
    assert "LimitMEMLOCK" in finding.mend


def test_a_signer_tells_how_much_of_its_memory_is_free(tmp_path: Path) -> None:
    arena = Arena(64 * 1024)
    (finding,) = memory.in_use(config(tmp_path, memory=MemoryConfig(kib=64)), arena)
    arena.close()
    assert "64 KiB of" in finding.message
    assert "KiB of it free" in finding.message


# Files


def test_files_of_another_user_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    holder = config(tmp_path)
    file = tmp_path / "holder.yaml"
    file.touch(mode=0o644)
    tmp_path.chmod(0o755)
    assert [finding.level for finding in files.files(file, holder)] == ["ok"]
    monkeypatch.setattr(files, "trusted_owners", lambda: {os.geteuid() + 1})
    (finding,) = files.files(file, holder)
    assert finding.level == "fail"
    for what in ("configuration", "folder of the configuration"):
        assert f"{what} /" in finding.message
    assert finding.mend.startswith("run this as user")


@pytest.mark.parametrize(
    ("what", "name"), [("module", "m.so"), ("file of CONF", "conf"), ("roster", "roster")]
)
def test_what_others_could_write_is_a_failure(tmp_path: Path, what: str, name: str) -> None:
    tmp_path.chmod(0o755)
    hsm = HsmConfig(
        module=str(tmp_path / "m.so"),
        token="t",
        pin_source="prompt",
        environment={"CONF": str(tmp_path / "conf"), "WORD": "x"},
    )
    holder = config(tmp_path, hsm=hsm, roster=tmp_path / "roster")
    (tmp_path / name).touch()
    (tmp_path / name).chmod(0o664)
    (finding,) = files.files(tmp_path / "holder.yaml", holder)
    assert (finding.level, finding.exit_code) == ("fail", 2)
    assert finding.message.startswith(what)
    assert finding.mend == f"chmod go-w {tmp_path / name}"


def test_roots_files_are_trusted_in_a_user_namespace(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """There they show as nobody's (openCryptoki's wrapper makes one for ordinary users)."""
    uids, overflow = tmp_path / "uid_map", tmp_path / "overflowuid"
    monkeypatch.setattr(files, "UID_MAP", uids)
    monkeypatch.setattr(files, "OVERFLOW_UID", overflow)
    overflow.write_text("65534\n")
    uids.write_text("         0          0 4294967295\n")
    assert 65534 not in files.trusted_owners()
    uids.write_text("         0       1000          1\n")
    assert files.trusted_owners() == {0, os.geteuid(), 65534}


def test_a_pipe_in_a_store_is_a_failure(tmp_path: Path) -> None:
    holder = config(tmp_path)
    holder.store.mkdir(mode=0o700)
    (holder.store / "format").touch(mode=0o600)
    assert [finding.level for finding in files.store(holder)] == ["ok"]
    os.mkfifo(holder.store / "pipe", 0o600)
    (finding,) = files.store(holder)
    assert "neither a file nor a folder" in finding.message


def test_a_store_of_another_user_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    holder = config(tmp_path)
    holder.store.mkdir(mode=0o700)
    (holder.store / "format").touch(mode=0o600)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    (finding,) = files.store(holder)
    assert "belongs to user" in finding.message
    assert finding.mend.startswith("run this as user")


# Front


@pytest.mark.parametrize(
    ("version", "user", "level", "reach"),
    [
        (7, None, "ok", "no file, no TCP"),
        (6, None, "ok", "no file, no TCP"),
        (3, None, "warn", "but the network"),
        (0, None, "warn", "all that this user reaches"),
        (0, "front", "ok", "as user front"),
        (3, "front", "ok", "as user front"),
    ],
)
def test_it_says_what_keeps_a_front_apart(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    version: int,
    user: str | None,
    level: str,
    reach: str,
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: version)
    (finding,) = front.front(config(tmp_path, front=FrontConfig(socket=SOCKET, user=user)))
    assert finding.level == level
    assert reach in finding.message
    assert (finding.mend == "") is (level == "ok")


def test_a_holder_without_a_front_is_warned(tmp_path: Path) -> None:
    (finding,) = front.front(config(tmp_path))
    assert finding.level == "warn"
    assert "holder.yaml" in finding.mend
