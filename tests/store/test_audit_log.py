"""store/audit_log.py: no line, no effect (step 3.4.15)."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hsm_mpc import audit
from hsm_mpc.audit import EMPTY, Tail
from hsm_mpc.errors import BackendError, BadInput, Tampered
from hsm_mpc.store import audit_log, files
from hsm_mpc.store.audit_log import AuditLog
from tests.store.children import on_small_disk
from tests.store.records import KEY

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def place(folder: Path) -> Path:
    audit_log.create(folder / "audit")
    return folder / "audit"


@pytest.fixture
def log(place: Path) -> Iterator[AuditLog]:
    with closing(AuditLog.open(place)) as log:
        yield log


def tail_on_disk(place: Path) -> Tail:
    """Where the log ends for somebody who reads it now."""
    file, floor = audit_log.open_to_read(place)
    with file:
        return audit.verify(file, KEY.public.verify, floor).tail


def reopened(place: Path) -> Tail:
    with closing(AuditLog.open(place)) as again:
        return again.tail


def test_lines_follow_each_other_through_reopening(place: Path) -> None:
    for seq in range(1, 6):
        with closing(AuditLog.open(place)) as log:
            assert log.append("partial", NOW, {"k": seq}).tail.seq == seq
    assert tail_on_disk(place).seq == 5


def test_an_appended_line_is_readable_at_once(log: AuditLog, place: Path) -> None:
    line = log.append("partial", NOW, {"k": 1})
    assert line.tail == log.tail == tail_on_disk(place)
    assert (place / "log").read_bytes() == line.in_file
    checkpoint = log.checkpoint(NOW, KEY.sign)
    file, floor = audit_log.open_to_read(place)
    with file:
        verified = audit.verify(file, KEY.public.verify, floor)
    assert verified.checkpoint == checkpoint


def test_a_checkpoint_is_not_forged_by_an_event_name(log: AuditLog) -> None:
    with pytest.raises(BadInput, match="checkpoint"):
        log.append("checkpoint", NOW, {"signature": "00"})


def test_line_and_state_are_durable_in_this_order(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    write, sync = os.pwrite, os.fdatasync

    def name(descriptor: int) -> str:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}")).name

    def noted_write(descriptor: int, content: bytes, offset: int) -> int:
        calls.append(("write", name(descriptor)))
        return write(descriptor, content, offset)

    def noted_sync(descriptor: int) -> None:
        calls.append(("sync", name(descriptor)))
        sync(descriptor)

    monkeypatch.setattr(os, "pwrite", noted_write)
    monkeypatch.setattr(os, "fdatasync", noted_sync)
    log.append("partial", NOW, {})
    assert calls == [("write", "log"), ("sync", "log"), ("write", "state")]
    calls.clear()
    log.checkpoint(NOW, KEY.sign)
    assert calls[:3] == [("write", "log"), ("sync", "log"), ("write", "state")]
    assert calls[3:] == [("sync", "state"), ("write", "state"), ("sync", "state")]


@pytest.mark.parametrize("cut", [1, 30, 66])
def test_a_torn_write_is_cut_at_the_start(
    place: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    with closing(AuditLog.open(place)) as log:
        log.append("partial", NOW, {})
        whole = log.tail
        torn = audit.append_line(whole, "partial", NOW, {}).in_file[:-cut]
    with (place / "log").open("ab") as file:
        file.write(torn)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    assert reopened(place) == whole
    assert synced == [(place / "log").stat().st_size]
    assert tail_on_disk(place) == whole
    assert (place / "log").read_bytes().endswith(b"\n")


def test_a_line_that_the_state_does_not_know_yet_counts(place: Path) -> None:
    with closing(AuditLog.open(place)) as log:
        log.append("partial", NOW, {})
        state = (place / "state").read_bytes()
        last = log.append("partial", NOW, {}).tail
    (place / "state").write_bytes(state)
    assert reopened(place) == last


def test_a_cut_tail_is_found_by_the_state_file(place: Path) -> None:
    with closing(AuditLog.open(place)) as log:
        first = log.append("partial", NOW, {})
        log.append("partial", NOW, {})
    whole = (place / "log").read_bytes()
    for cut in (first.in_file, b"", whole[:-1]):
        (place / "log").write_bytes(cut)
        with pytest.raises(Tampered, match="line 2 was written"):
            AuditLog.open(place)
        with pytest.raises(Tampered, match="line 2 was written"):
            tail_on_disk(place)
        assert (place / "log").read_bytes() == cut


def test_broken_chain_is_found(place: Path) -> None:
    with closing(AuditLog.open(place)) as log:
        log.append("partial", NOW, {"k": 0})
        log.append("partial", NOW, {"k": 0})
    changed = (place / "log").read_bytes().replace(b'"k":0', b'"k":1', 1)
    (place / "log").write_bytes(changed)
    with pytest.raises(Tampered, match="chain breaks at line 1"):
        AuditLog.open(place)


@pytest.mark.parametrize("which", [0, 4096])
def test_a_torn_slot_of_the_state_leaves_the_other(place: Path, which: int) -> None:
    with closing(AuditLog.open(place)) as log:
        log.checkpoint(NOW, KEY.sign)
        last = log.append("partial", NOW, {}).tail
    with (place / "state").open("r+b") as file:
        file.seek(which)
        file.write(bytes(20))
    assert reopened(place) == last


def test_a_tail_cut_with_the_slot_of_lines_is_found_back_to_the_checkpoint(place: Path) -> None:
    """After a loss of power the slot of lines may be an older one: that of checkpoints is not."""
    with closing(AuditLog.open(place)) as log:
        first = log.append("partial", NOW, {})
        old = (place / "state").read_bytes()[:48]
        checkpoint = log.checkpoint(NOW, KEY.sign)
        log.append("partial", NOW, {})
    with (place / "state").open("r+b") as file:
        file.write(old)
    (place / "log").write_bytes(first.in_file + checkpoint.in_file)
    assert reopened(place) == checkpoint.tail
    (place / "log").write_bytes(first.in_file)
    with pytest.raises(Tampered, match="line 2 was written"):
        AuditLog.open(place)


@pytest.mark.parametrize("content", [b"", bytes(5000), b"x" * 4144])
def test_a_state_that_says_nothing_is_refused(place: Path, content: bytes) -> None:
    (place / "state").write_bytes(content)
    with pytest.raises(Tampered, match="does not say where the audit log ends"):
        AuditLog.open(place)


@pytest.mark.parametrize("name", ["log", "state"])
def test_a_missing_or_readable_file_is_refused(place: Path, name: str) -> None:
    (place / name).chmod(0o644)
    for opening in (AuditLog.open, audit_log.open_to_read):
        with pytest.raises(Tampered, match="0644"):
            opening(place)
    (place / name).unlink()
    for opening in (AuditLog.open, audit_log.open_to_read):
        with pytest.raises(Tampered, match="is missing"):
            opening(place)


def test_a_lost_state_is_not_made_anew_beside_a_log(place: Path) -> None:
    with closing(AuditLog.open(place)) as log:
        log.append("partial", NOW, {})
    (place / "state").unlink()
    with pytest.raises(Tampered, match="state is missing"):
        audit_log.create(place)


def test_creating_again_keeps_the_log(place: Path) -> None:
    with closing(AuditLog.open(place)) as log:
        last = log.append("partial", NOW, {}).tail
    audit_log.create(place)
    assert reopened(place) == last


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
def test_no_line_no_effect(
    log: AuditLog, place: Path, monkeypatch: pytest.MonkeyPatch, code: int, call: str
) -> None:
    """The disk takes a part of the line and fails: the log is as it was, and can be appended to."""
    log.append("partial", NOW, {})
    before, content = log.tail, (place / "log").read_bytes()
    write = os.pwrite

    def fail(descriptor: int, part: bytes = b"", offset: int = 0) -> int:
        if part and len(part) > 20:
            return write(descriptor, bytes(part[:20]), offset)
        raise OSError(code, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(BackendError) as failure:
            log.append("partial", NOW, {})
    assert failure.value.retryable
    assert log.tail == before
    assert (place / "log").read_bytes() == content
    assert log.append("partial", NOW, {}).tail.seq == 2
    assert reopened(place) == log.tail


def test_a_line_that_could_not_be_cut_back_is_cut_by_the_next(
    log: AuditLog, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(BackendError):
            log.append("partial", NOW, {"rule": "a long line that no shorter one covers"})
    log.append("partial", NOW, {})
    assert reopened(place) == log.tail == tail_on_disk(place)


def test_a_state_that_cannot_be_written_keeps_the_line_and_stops_the_effect(
    log: AuditLog, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite

    def fail(descriptor: int, part: bytes, offset: int) -> int:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("state"):
            raise OSError(errno.EIO, "injected")
        return write(descriptor, part, offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(BackendError, match="EIO"):
            log.append("partial", NOW, {})
    log.append("partial", NOW, {})
    assert reopened(place) == log.tail == tail_on_disk(place)
    assert log.tail.seq == 2


@pytest.mark.parametrize("change", [b"", b"more"])
def test_a_log_that_somebody_else_changes_is_not_appended_to(
    log: AuditLog, place: Path, change: bytes
) -> None:
    log.append("partial", NOW, {})
    content = (place / "log").read_bytes() + change if change else b""
    (place / "log").write_bytes(content)
    with pytest.raises(Tampered, match="were written"):
        log.append("partial", NOW, {})
    assert (place / "log").read_bytes() == content


def test_a_really_full_disk_refuses_and_recovers(folder: Path) -> None:
    def on_64_kib() -> None:
        audit_log.create(folder / "audit")
        with closing(AuditLog.open(folder / "audit")) as log:
            files.write_new(folder / "ballast", bytes(20_000), "ballast")
            with pytest.raises(BackendError, match="disk full") as failure:
                for _ in range(1000):
                    log.append("partial", NOW, {"rule": "r" * 1000})
            assert failure.value.retryable
            assert log.tail == tail_on_disk(folder / "audit") != EMPTY
            (folder / "ballast").unlink()
            log.append("partial", NOW, {})
            assert log.tail == tail_on_disk(folder / "audit")

    if not on_small_disk(folder, on_64_kib):
        pytest.skip("this machine lets nobody mount a small disk")


def test_threads_append_one_after_the_other(log: AuditLog, place: Path) -> None:
    def work() -> None:
        for _ in range(25):
            log.append("partial", NOW, {})

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tail_on_disk(place).seq == 200


def test_reading_leaves_no_descriptor_open(place: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    tail_on_disk(place)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_refused_opening_leaves_no_descriptor_open(place: Path) -> None:
    (place / "log").write_bytes(b"\n")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Tampered):
        AuditLog.open(place)
    assert len(os.listdir("/proc/self/fd")) == before
