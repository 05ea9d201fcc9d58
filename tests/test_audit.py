"""audit.py: the chain of audit lines, as bytes (step 3.4.15)."""

from __future__ import annotations

import hashlib
import io
import json
from datetime import UTC, datetime, timedelta, timezone
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_mpc import audit
from hsm_mpc.audit import (
    EMPTY,
    LINE_CAP,
    Chain,
    Json,
    Line,
    Tail,
    append_checkpoint,
    append_line,
    export,
    last_lines,
    verify,
)
from hsm_mpc.encoding import lv32, u64be
from hsm_mpc.errors import BadInput, Tampered
from hsm_mpc.tags import Tag, tagged_hash
from tests.software_identity import p256_key

KEY = p256_key(1)
NOW = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)


def log_of(count: int, *, checkpoints: tuple[int, ...] = ()) -> list[Line]:
    lines: list[Line] = []
    for seq in range(1, count + 1):
        tail = lines[-1].tail if lines else EMPTY
        if seq in checkpoints:
            lines.append(append_checkpoint(tail, NOW, KEY.sign))
        else:
            lines.append(append_line(tail, "partial", NOW, {"request_id": f"{seq:064x}"}))
    return lines


def joined(lines: list[Line]) -> io.BytesIO:
    return io.BytesIO(b"".join(line.in_file for line in lines))


def chained(*texts: bytes) -> io.BytesIO:
    """Lines of any content under right hashes."""
    out, before = b"", bytes(32)
    for text in texts:
        before = tagged_hash(Tag.AUDIT, before + lv32(text))
        out += text + b" " + before.hex().encode() + b"\n"
    return io.BytesIO(out)


def test_the_bytes_are_those_of_the_specification() -> None:
    line = append_line(EMPTY, "refusal", NOW, {"rule": "raw", "k": 0, "set": [1, 3], "ü": None})
    json_text = (
        '{"event":"refusal","k":0,"rule":"raw","seq":1,"set":[1,3],'
        '"time":"2026-01-02T03:04:05.678Z","ü":null}'
    ).encode()
    tag = hashlib.sha256(b"hsm-mpc/v1/audit").digest()
    length = len(json_text).to_bytes(4, "big")
    first = hashlib.sha256(tag + tag + bytes(32) + length + json_text)
    assert line.in_file == json_text + b" " + first.hexdigest().encode() + b"\n"
    assert line.tail == Tail(1, first.digest())
    second = append_line(line.tail, "partial", NOW, {})
    text = second.in_file[:-66]
    length = len(text).to_bytes(4, "big")
    chained_hash = hashlib.sha256(tag + tag + first.digest() + length + text).digest()
    assert second.tail == Tail(2, chained_hash)


def test_a_checkpoint_signs_number_and_hash_of_the_line_before() -> None:
    line = append_line(EMPTY, "partial", NOW, {})
    checkpoint = append_checkpoint(line.tail, NOW, KEY.sign)
    signature = bytes.fromhex(str(checkpoint.record["signature"]))
    KEY.public.verify(Tag.CHECKPOINT, u64be(1) + line.tail.line_hash, signature)


def test_a_time_is_told_in_utc() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert append_line(EMPTY, "x", elsewhere, {}) == append_line(EMPTY, "x", NOW, {})


@pytest.mark.parametrize(
    ("event", "when", "fields", "text"),
    [
        ("No Name", NOW, {}, "audit event"),
        ("x", NOW.replace(tzinfo=None), {}, "time zone"),
        ("x", NOW, {"seq": 1}, "seq is not a field"),
        ("x", NOW, {"time": ""}, "time is not a field"),
        ("x", NOW, {"event": ""}, "event is not a field"),
        ("x", NOW, {"a": b"bytes"}, "audit line"),
        ("x", NOW, {"a": float("nan")}, "audit line"),
        ("x", NOW, {"a": "\ud800"}, "audit line"),
        ("x", NOW, {"a": "a" * LINE_CAP}, f"at most {LINE_CAP}"),
    ],
)
def test_what_is_no_line_is_refused(
    event: str, when: datetime, fields: dict[str, Json], text: str
) -> None:
    with pytest.raises(BadInput, match=text):
        append_line(EMPTY, event, when, fields)


def test_a_whole_log_verifies_and_tells_of_its_last_checkpoint() -> None:
    lines = log_of(7, checkpoints=(2, 4))
    verified = verify(joined(lines), KEY.public.verify)
    assert verified.tail == lines[-1].tail
    assert verified.checkpoint is not None
    assert verified.checkpoint.tail.seq == 4
    assert (verified.following, verified.unfinished) == (3, 0)


def test_a_log_without_a_checkpoint_says_so() -> None:
    verified = verify(joined(log_of(3)), KEY.public.verify)
    assert (verified.checkpoint, verified.following) == (None, 3)
    verified = verify(io.BytesIO(), KEY.public.verify)
    assert (verified.tail, verified.following) == (EMPTY, 0)


def test_an_unfinished_line_is_counted_and_is_no_line() -> None:
    lines = log_of(3)
    for cut in (1, 5, 66, 67, len(lines[2].in_file) - 1):
        log = io.BytesIO(joined(lines).getvalue()[:-cut])
        verified = verify(log, KEY.public.verify)
        assert verified.tail == lines[1].tail
        assert verified.unfinished == len(lines[2].in_file) - cut


def test_broken_chain_is_found() -> None:
    a, b, c = (line.in_file for line in log_of(3))
    for broken in (b, a + c, a + b + a, b + a + c, a + a + b, a + b"\n" + b, b"\n"):
        with pytest.raises(Tampered, match="chain breaks"):
            verify(io.BytesIO(broken), KEY.public.verify)


@given(st.data())
def test_any_flipped_bit_is_found(data: st.DataObject) -> None:
    lines = log_of(4, checkpoints=(3,))
    raw = bytearray(joined(lines).getvalue())
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Tampered):
        verify(io.BytesIO(bytes(raw)), KEY.public.verify, lines[-1].tail)


@given(
    st.dictionaries(
        st.text().filter(lambda key: key not in {"seq", "time", "event"}),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        ),
        max_size=5,
    )
)
def test_every_line_reads_back_as_it_was_written(fields: dict[str, Json]) -> None:
    line = append_line(EMPTY, "x", NOW, fields)
    assert list(Chain(io.BytesIO(line.in_file))) == [line]


def test_an_upper_case_hash_is_refused() -> None:
    raw = joined(log_of(1)).getvalue()
    with pytest.raises(Tampered, match="chain breaks"):
        verify(io.BytesIO(raw[:-65] + raw[-65:].upper()), KEY.public.verify)


GOOD = b'{"event":"x","seq":1,"time":"t"}'


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not json",
        b"[1]",
        b'"text"',
        b'{"event":"x", "seq":1,"time":"t"}',
        b'{"seq":1,"event":"x","time":"t"}',
        b'{"event":"x","event":"x","seq":1,"time":"t"}',
        b'{"event":"\\u0078","seq":1,"time":"t"}',
        b'{"event":"\xff","seq":1,"time":"t"}',
        b'{"event":"x","seq":2,"time":"t"}',
        b'{"event":"x","seq":0,"time":"t"}',
        b'{"event":"x","seq":true,"time":"t"}',
        b'{"event":"x","seq":1.0,"time":"t"}',
        b'{"event":"x","seq":"1","time":"t"}',
        b'{"event":"x","time":"t"}',
        b'{"event":"x","seq":1}',
        b'{"event":"x","seq":1,"time":1}',
        b'{"seq":1,"time":"t"}',
        b'{"event":1,"seq":1,"time":"t"}',
        b'{"a":NaN,"event":"x","seq":1,"time":"t"}',
        b"[" * 60_000,
    ],
)
def test_a_line_that_is_not_json_of_ours_is_refused_under_a_right_hash(text: bytes) -> None:
    verify(chained(GOOD), KEY.public.verify)
    with pytest.raises(Tampered, match="line 1 is not JSON of ours"):
        verify(chained(text), KEY.public.verify)


def test_a_line_that_is_too_long_is_refused() -> None:
    long = GOOD[:-1] + b',"z":"' + b"z" * LINE_CAP + b'"}'
    with pytest.raises(Tampered, match="line 1 is too long"):
        verify(chained(long), KEY.public.verify)
    with pytest.raises(Tampered, match="line 3 is too long"):
        verify(io.BytesIO(joined(log_of(2)).getvalue() + bytes(10**6)), KEY.public.verify)


@pytest.mark.parametrize("signature", ["00" * 64, "zz", "", None])
def test_a_checkpoint_with_a_bad_signature_is_refused(signature: str | None) -> None:
    fields: dict[str, Json] = {} if signature is None else {"signature": signature}
    line = append_line(EMPTY, "checkpoint", NOW, fields)
    with pytest.raises(Tampered, match="checkpoint 1 is not signed"):
        verify(joined([line]), KEY.public.verify)


def test_a_checkpoint_of_another_key_or_place_is_refused() -> None:
    first = append_line(EMPTY, "x", NOW, {})
    elsewhere = append_checkpoint(EMPTY, NOW, KEY.sign).record["signature"]
    moved = append_line(first.tail, "checkpoint", NOW, {"signature": elsewhere})
    foreign = append_checkpoint(first.tail, NOW, p256_key(2).sign)
    for checkpoint in (moved, foreign):
        with pytest.raises(Tampered, match="checkpoint 2 is not signed"):
            verify(joined([first, checkpoint]), KEY.public.verify)


def test_a_cut_tail_is_found_by_the_floor() -> None:
    lines = log_of(5)
    verify(joined(lines), KEY.public.verify, lines[4].tail)
    verify(joined(lines), KEY.public.verify, lines[2].tail)
    with pytest.raises(Tampered, match="ends at line 4, line 5 was written"):
        verify(joined(lines[:4]), KEY.public.verify, lines[4].tail)
    torn = io.BytesIO(joined(lines).getvalue()[:-1])
    with pytest.raises(Tampered, match="ends at line 4"):
        verify(torn, KEY.public.verify, lines[4].tail)


def test_a_log_written_anew_is_found_by_an_exported_checkpoint() -> None:
    exported = log_of(3, checkpoints=(3,))[-1].tail
    anew = [append_line(EMPTY, "other", NOW, {})]
    for _ in range(4):
        anew.append(append_line(anew[-1].tail, "other", NOW, {}))
    verify(joined(anew), KEY.public.verify)
    with pytest.raises(Tampered, match="line 3 is not the one written there"):
        verify(joined(anew), KEY.public.verify, exported)


def test_the_last_lines_are_shown_in_order() -> None:
    lines = log_of(5)
    assert last_lines(joined(lines), 2) == tuple(lines[3:])
    assert last_lines(joined(lines), 9) == tuple(lines)
    with pytest.raises(Tampered):
        last_lines(joined(lines[:3]), 2, lines[4].tail)


def test_an_export_is_the_log_without_an_unfinished_line() -> None:
    lines = log_of(5, checkpoints=(4,))
    whole = joined(lines).getvalue()
    out = io.BytesIO()
    verified = export(io.BytesIO(whole + b"{torn"), out, KEY.public.verify)
    assert out.getvalue() == whole
    assert (verified.following, verified.unfinished) == (1, 5)
    with pytest.raises(Tampered):
        export(joined(lines[:3]), io.BytesIO(), KEY.public.verify, lines[4].tail)


def test_a_long_log_is_verified_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is hashed and parsed once: a log of years is verified in seconds."""
    log = joined(log_of(1_000))
    hashed, parsed = Mock(wraps=tagged_hash), Mock(wraps=json.loads)
    monkeypatch.setattr(audit, "tagged_hash", hashed)
    monkeypatch.setattr(json, "loads", parsed)
    verify(log, KEY.public.verify)
    assert (hashed.call_count, parsed.call_count) == (1_000, 1_000)


def test_json_of_a_line_is_what_a_script_reads() -> None:
    line = append_line(EMPTY, "partial", NOW, {"k": 1})
    assert json.loads(line.in_file[:-66]) == line.record
