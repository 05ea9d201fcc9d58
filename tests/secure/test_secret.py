"""Nothing that Python does with a value gives out, compares or copies a secret."""

from __future__ import annotations

import copy
import functools
import json
import logging
import operator
import pickle
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from hsm_mpc.secure.arena import Arena, Secret
from tests.secure.bytes_of import filled

SECRET = b"sixteen bytes are 32 hex digits!"

SHOWN: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": format,
    "f-string": lambda secret: f"{secret} {secret!r:>30}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031
    "in a list": lambda secret: str([secret, (secret,), {"key": secret}]),
    "in an exception": lambda secret: repr(ValueError(secret)),
}

FORBIDDEN: dict[str, Callable[[Any], object]] = {
    "==": lambda secret: secret == secret,  # noqa: PLR0124
    "== bytes": lambda secret: secret == SECRET,
    "bytes ==": lambda secret: secret == SECRET,
    "!=": lambda secret: secret != secret,  # noqa: PLR0124
    "<": lambda secret: secret < secret,  # noqa: PLR0124
    "<=": lambda secret: secret <= secret,  # noqa: PLR0124
    ">": lambda secret: secret > secret,  # noqa: PLR0124
    ">=": lambda secret: secret >= secret,  # noqa: PLR0124
    "hash": hash,
    "in a set": lambda secret: {secret},
    "bool": bool,
    "if": lambda secret: 1 if secret else 0,
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "int": int,
    "index": operator.index,
    "float": float,
    "len": len,
    "iter": iter,
    "unpack": lambda secret: [*secret],
    "item": lambda secret: secret[0],
    "slice": lambda secret: secret[:],
    "in": lambda secret: 0 in secret,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "json": json.dumps,
    "%d": lambda secret: "%d" % secret,  # noqa: UP031
    "%x": lambda secret: "%x" % secret,  # noqa: UP031
    "{:x}": lambda secret: f"{secret:x}",
    "join": lambda secret: b"".join(secret),
    "vars": vars,
    "reduce": lambda secret: secret.__reduce__(),
    **{
        f"pickle {protocol}": functools.partial(pickle.dumps, protocol=protocol)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.fixture
def secret(arena: Arena) -> Secret:
    return filled(arena.take(32), SECRET)


def holds_any(text: str) -> bool:
    """Whether `text` has a part of the secret, or its length in hex digits in a row."""
    return any(part in text for part in ("sixteen", "digits", SECRET.hex()[:16]))


@pytest.mark.parametrize("way", SHOWN)
def test_whatever_shows_a_secret_shows_only_its_size(secret: Secret, way: str) -> None:
    shown = SHOWN[way](secret)
    assert "<Secret of 32 bytes>" in shown
    assert not holds_any(shown)


@pytest.mark.parametrize("way", FORBIDDEN)
def test_whatever_would_compare_convert_or_copy_a_secret_raises(secret: Secret, way: str) -> None:
    with pytest.raises(TypeError) as refusal:
        FORBIDDEN[way](secret)
    assert not holds_any(str(refusal.value))


@dataclass(frozen=True, slots=True)
class Keep:
    secret: Secret


def test_a_round_state_with_a_secret_shows_its_size_and_is_never_copied(secret: Secret) -> None:
    keep = Keep(secret)
    assert repr(keep) == "Keep(secret=<Secret of 32 bytes>)"
    ways: list[Callable[[Any], object]] = [hash, copy.deepcopy, pickle.dumps, asdict]
    for way in ways:
        with pytest.raises(TypeError):
            way(keep)


def test_a_traceback_with_locals_shows_only_the_size(secret: Secret) -> None:
    def fail(key: Secret) -> None:
        with key.open() as pointer:
            raise ValueError(pointer)

    try:
        fail(secret)
    except ValueError as error:
        shown = "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )
    assert "key = <Secret of 32 bytes>" in shown
    assert not holds_any(shown)


def test_a_log_line_shows_only_the_size(secret: Secret, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("opened %s", secret)
    assert "opened <Secret of 32 bytes>" in caplog.text


def test_a_secret_has_no_attribute_that_can_be_added(secret: Secret) -> None:
    anything: Any = secret
    with pytest.raises(AttributeError):
        anything.content = SECRET


def test_an_unfinished_secret_dies_quietly() -> None:
    Secret.__new__(Secret).__del__()
