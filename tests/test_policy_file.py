"""A policy file as bytes (step 1.6.8); what the document means: tests/policy/test_rules.py."""

from __future__ import annotations

import pytest

from hsm_mpc.errors import BadConfig
from hsm_mpc.policy.rules import LARGEST_FILE, Permission
from hsm_mpc.policy_file import policy


def test_a_policy_file_is_read() -> None:
    assert policy(b"version: 1\npermissions: [message]").permissions == {Permission.MESSAGE}
    assert policy(b"").permissions == frozenset()


@pytest.mark.parametrize(
    "source",
    [
        b"version: 1\nversion: 1",
        b"[" * 5000,
        b"\xff\xfe\x00",
        b"a: 2024-13-45",
        b"a: !!int ''",
        b"a: !!timestamp x",
        b"a: " + b"1:" * 500 + b"1.0",
        b"version: 1\n<<: {permissions: [raw]}",
        b"version: 1\npermissions: &all [raw]\nadministrators: *all",
        b"#" * (LARGEST_FILE + 1),
        b"a: !!python/object:os.system x",
        b"? [1]\n: 2",
        b"version: 1\npermissions: [[raw]]",
        b"version: 2",
    ],
)
def test_what_is_no_policy_is_refused(source: bytes) -> None:
    with pytest.raises(BadConfig, match="policy"):
        policy(source)


def test_a_policy_is_utf8_as_it_is_shown() -> None:
    """YAML may be UTF-16: the bytes of a comment in it may read as another policy."""
    comment = b"\nversion: 1\npermissions: [psbt]\n  "
    assert len(comment) % 2 == 0
    hidden = "\nversion: 1\npermissions: [raw]\n".encode("utf-16-le")
    with pytest.raises(BadConfig, match="UTF-8"):
        policy(b"\xff\xfe#\0" + comment + hidden)


def test_a_short_policy_takes_no_gigabytes() -> None:
    """Each line merges the one before nine times: the last one would have 9^15 keys."""
    lines = ["version: 1", "x0: &x0 {k0: 1}"]
    for i in range(1, 16):
        before = ", ".join([f"*x{i - 1}"] * 9)
        lines.append(f"x{i}: &x{i} {{<<: [{before}], k{i}: 1}}")
    with pytest.raises(BadConfig, match="an alias is not wanted"):
        policy("\n".join(lines).encode())
