"""Signatures by keys in an ssh-agent: OpenSSH's own one, and some that lie."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsm_mpc import ssh_agent
from hsm_mpc.encoding import lv32, u32be
from hsm_mpc.errors import BackendError, BadConfig
from hsm_mpc.identity import P256_ORDER, Algorithm
from hsm_mpc.tags import Tag
from tests.agents import add, agent
from tests.software_identity import ed25519_key

__all__ = ["agent"]

MESSAGE = b"an order"


@pytest.mark.usefixtures("agent")
def test_its_keys_sign_as_keys_in_files_do(tmp_path: Path) -> None:
    for kind in (("ed25519",), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "384"), ("rsa",)):
        add(tmp_path, *kind)
    ed, p256 = ssh_agent.listed()
    assert (ed.comment, ed.key.algorithm) == ("ed25519", Algorithm.ED25519)
    assert (p256.comment, p256.key.algorithm) == ("ecdsa--b-256", Algorithm.P256)
    for key in (ed, p256):
        key.key.verify(Tag.ORDER, MESSAGE, key.sign(Tag.ORDER, MESSAGE))
    assert ed.sign(Tag.ORDER, MESSAGE) != ed.sign(Tag.REPAIR_ORDER, MESSAGE)


@pytest.mark.usefixtures("agent")
def test_of_two_signatures_by_ecdsa_the_one_that_counts_is_given(tmp_path: Path) -> None:
    """Every second one of an agent has the other s."""
    add(tmp_path, "ecdsa", "-b", "256")
    (key,) = ssh_agent.listed()
    for _ in range(16):
        signature = key.sign(Tag.ORDER, MESSAGE)
        assert int.from_bytes(signature[32:], "big") <= P256_ORDER // 2


@pytest.mark.usefixtures("agent")
def test_a_refusal_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has to say yes cannot be asked."""
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    add(tmp_path, "ed25519", confirm=True)
    (key,) = ssh_agent.listed()
    with pytest.raises(BackendError, match="refuses"):
        key.sign(Tag.ORDER, MESSAGE)


def test_without_an_agent_it_is_said_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ssh_agent.SOCKET, raising=False)
    with pytest.raises(BadConfig, match="SSH_AUTH_SOCK"):
        ssh_agent.listed()
    monkeypatch.setenv(ssh_agent.SOCKET, str(tmp_path / "gone"))
    with pytest.raises(BackendError, match="gone"):
        ssh_agent.listed()


@contextmanager
def lying(place: Path, answer: Callable[[bytes], bytes]) -> Iterator[None]:
    """One call is answered as a liar likes."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()

        def serve() -> None:
            with listening.accept()[0] as caller:
                caller.sendall(answer(caller.recv(1 << 16)))

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def framed(body: bytes) -> bytes:
    return u32be(len(body)) + body


LISTED = bytes([12])
SIGNED = bytes([14])


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        u32be(0),
        u32be(1 << 20),
        framed(LISTED),
        framed(LISTED + u32be(1)),
        framed(LISTED + u32be(0) + b"x"),
        framed(b"\5"),
    ],
)
def test_an_answer_that_is_no_list_of_keys_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    place = tmp_path / "liar"
    monkeypatch.setenv(ssh_agent.SOCKET, str(place))
    with lying(place, lambda _: answer), pytest.raises(BackendError):
        ssh_agent.listed()


@pytest.mark.parametrize(
    "blob",
    [
        lv32(b"ssh-ed25519") + lv32(bytes(31)),
        lv32(b"ssh-ed25519") + lv32(ed25519_key(b"k" * 32).public.encoded) + b"x",
        lv32(b"ecdsa-sha2-nistp256") + lv32(b"nistp384") + lv32(bytes(65)),
        lv32(b"ecdsa-sha2-nistp256") + lv32(b"nistp256") + lv32(bytes(65)),
        lv32(b"ssh-rsa"),
        b"",
    ],
)
def test_a_key_of_another_kind_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blob: bytes
) -> None:
    place = tmp_path / "liar"
    monkeypatch.setenv(ssh_agent.SOCKET, str(place))
    with lying(place, lambda _: framed(LISTED + u32be(1) + lv32(blob) + lv32(b"c"))):
        assert ssh_agent.listed() == ()


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        lv32(lv32(b"ssh-ed25519") + lv32(bytes(64))),
        lv32(lv32(b"ssh-ed25519") + lv32(bytes(64)) + b"x"),
        lv32(lv32(b"ssh-ed25519") + lv32(bytes(64))) + b"x",
    ],
)
def test_a_signature_that_does_not_verify_is_none(tmp_path: Path, signature: bytes) -> None:
    place = tmp_path / "liar"
    key = ssh_agent.AgentKey(place, ed25519_key(b"k" * 32).public, "k")
    with lying(place, lambda _: framed(SIGNED + signature)), pytest.raises(BackendError):
        key.sign(Tag.ORDER, MESSAGE)
