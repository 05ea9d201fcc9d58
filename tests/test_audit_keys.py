"""audit_keys.py: checkpoints of a holder that had another identity key before (step 6.7.9)."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from hsm_mpc import audit
from hsm_mpc.audit import EMPTY, ROTATED, Line, append_checkpoint, append_line
from hsm_mpc.audit_keys import KeyChain, keys_in
from hsm_mpc.errors import Tampered
from tests.software_identity import SoftwareKey, p256_key

A, B, C = p256_key(1), p256_key(2), p256_key(3)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Entry = SoftwareKey | tuple[SoftwareKey, SoftwareKey]
"""A checkpoint by a key; or that one takes the place of another."""


def log_of(*entries: Entry) -> io.BytesIO:
    lines: list[Line] = []
    for entry in entries:
        tail = lines[-1].tail if lines else EMPTY
        if isinstance(entry, tuple):
            before, after = (key.public.to_bytes().hex() for key in entry)
            lines.append(append_line(tail, ROTATED, NOW, {"from": before, "to": after}))
        else:
            lines.append(append_checkpoint(tail, NOW, entry.sign))
    return io.BytesIO(b"".join(line.in_file for line in lines))


def verified(log: io.BytesIO, card: SoftwareKey) -> int:
    keys = KeyChain(keys_in(log, card.public))
    log.seek(0)
    found = audit.verify(log, keys.verify, EMPTY, keys.learn)
    keys.require_end(card.public)
    log.seek(0)
    keys, out = KeyChain(keys_in(log, card.public)), io.BytesIO()
    log.seek(0)
    audit.export(log, out, keys.verify, EMPTY, keys.learn)
    assert out.getvalue() == log.getvalue()
    return found.tail.seq


@pytest.mark.parametrize(
    ("card", "entries"),
    [
        (A, [A, A]),
        (B, [A, (A, B), A, B, B]),
        (B, [A, (A, B), A]),  # the card was written, and no checkpoint yet
        (A, [A, (A, B), A]),  # it was not
        (B, [A, (A, B), (A, B), A, B]),  # killed between the two, and done again
        (B, [A, (A, B), A, (A, B), A, B]),
        (C, [A, (A, B), A, B, (B, C), B, C]),
        (C, [(A, B), A, B, (B, C), B]),
    ],
)
def test_each_key_signs_until_the_next_one_has(card: SoftwareKey, entries: list[Entry]) -> None:
    assert verified(log_of(*entries), card) == len(entries)


@pytest.mark.parametrize(
    ("card", "entries"),
    [
        (B, [A, A]),
        (B, [A, B]),
        (A, [A, (A, B), A, B]),  # the card is an older one
        (C, [A, (A, B), A, B]),
        (B, [A, (A, B), B]),  # the key before has not said so
        (B, [A, (A, B)]),
        (B, [A, (A, B), A, C]),  # a stranger
        (B, [A, (A, B), A, B, A]),  # the key before counts no more
        (C, [A, (B, C), A, C]),
        (C, [A, (A, B), A, (B, C), A, C]),
        (C, [A, (A, B), A, B, (A, C), A, C]),
    ],
)
def test_anything_else_is_tampering(card: SoftwareKey, entries: list[Entry]) -> None:
    with pytest.raises(Tampered):
        verified(log_of(*entries), card)


@pytest.mark.parametrize("fields", [{}, {"from": "zz", "to": "00"}, {"from": "01", "to": "01"}])
def test_a_line_that_names_no_keys_is_tampering(fields: dict[str, str]) -> None:
    line = append_line(EMPTY, ROTATED, NOW, fields)
    with pytest.raises(Tampered, match="names no two keys"):
        keys_in(io.BytesIO(line.in_file), A.public)


def test_a_key_with_something_behind_it_is_none() -> None:
    longer = A.public.to_bytes().hex() + "00"
    line = append_line(EMPTY, ROTATED, NOW, {"from": longer, "to": longer})
    with pytest.raises(Tampered, match="names no two keys"):
        keys_in(io.BytesIO(line.in_file), A.public)


def test_every_key_that_a_log_names_is_told() -> None:
    assert keys_in(log_of(A), B.public) == (B.public,)
    assert keys_in(log_of(A, (A, B), A, B), B.public) == (A.public, B.public)
