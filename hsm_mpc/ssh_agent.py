"""Signing keys in an ssh-agent, which has them in its memory or in a token (`ssh-add -s`).

An agent signs any bytes. Ed25519 signs them as they are, so it is given `TH(tag, message)`; ECDSA
signs their SHA-256, so it is given what `TH` hashes. RSA is signed by another scheme than ours.
The protocol is that of draft-ietf-sshm-ssh-agent, sections 3.2, 3.5 and 3.6.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.encoding import Reader, lv32, u8, u32be
from hsm_mpc.errors import BackendError, BadConfig, BadEncoding, InvalidSignature
from hsm_mpc.identity import P256_ORDER, Algorithm, VerifyingKey, with_low_s
from hsm_mpc.tags import Tag, tagged_hash

SOCKET: Final = "SSH_AUTH_SOCK"
"""Environment variable that names the agent's socket."""

_REQUEST_IDENTITIES: Final = 11
_IDENTITIES_ANSWER: Final = 12
_SIGN_REQUEST: Final = 13
_SIGN_RESPONSE: Final = 14
_NO_FLAGS: Final = 0
_LONGEST_ANSWER: Final = 256 * 1024
_SECONDS: Final = 60.0
"""A person may have to touch a token, or to say yes (`ssh-add -c`)."""
_ED25519: Final = b"ssh-ed25519"
_P256: Final = b"ecdsa-sha2-nistp256"
_P256_CURVE: Final = b"nistp256"
_SCALAR_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class AgentKey:
    """A key in the agent at `place`."""

    place: Path
    key: VerifyingKey
    comment: str
    """What the agent calls it."""

    def sign(self, tag: Tag, message: bytes) -> bytes:
        """The signature over `TH(tag, message)` that `key.verify` accepts.

        Raises:
            BackendError: the agent is gone, or does not sign: it is locked, or somebody said no.
        """
        is_ed25519 = self.key.algorithm is Algorithm.ED25519
        signed = tagged_hash(tag, message) if is_ed25519 else tag.prefix + message
        request = lv32(_blob(self.key)) + lv32(signed) + u32be(_NO_FLAGS)
        try:
            reader = Reader(_asked(self.place, _SIGN_REQUEST, request, _SIGN_RESPONSE), "signature")
            answer = Reader(reader.lv32(), "signature")
            reader.end()
            answer.lv32()
            signature = answer.lv32() if is_ed25519 else _r_and_s(answer.lv32())
            answer.end()
            self.key.verify(tag, message, signature)
        except (BadEncoding, InvalidSignature) as wrong:
            raise BackendError(
                f"ssh-agent: what it signed is no such signature: {wrong}"
            ) from wrong
        return signature


def listed() -> tuple[AgentKey, ...]:
    """The Ed25519 and P-256 keys in the agent that `SSH_AUTH_SOCK` names.

    Raises:
        BadConfig: it names none.
        BackendError: the agent does not answer, or answers what is no list of keys.
    """
    named = os.environ.get(SOCKET)
    if not named:
        raise BadConfig(f"no ssh-agent: {SOCKET} names none")
    place = Path(named)
    try:
        reader = Reader(_asked(place, _REQUEST_IDENTITIES, b"", _IDENTITIES_ANSWER), "keys")
        answered = [(reader.lv32(), reader.lv32()) for _ in range(reader.u32be())]
        reader.end()
    except BadEncoding as broken:
        raise BackendError(f"ssh-agent: {broken}") from broken
    found = ((_key_in(blob), comment) for blob, comment in answered)
    return tuple(
        AgentKey(place, key, comment.decode("utf-8", "replace"))
        for key, comment in found
        if key is not None
    )


def _key_in(blob: bytes) -> VerifyingKey | None:
    """None: it is of another kind."""
    reader = Reader(blob, "key")
    try:
        kind = reader.lv32()
        if kind == _P256 and reader.lv32() == _P256_CURVE:
            key = VerifyingKey(Algorithm.P256, reader.lv32())
        elif kind == _ED25519:
            key = VerifyingKey(Algorithm.ED25519, reader.lv32())
        else:
            return None
        reader.end()
    except BadEncoding:
        return None
    return key


def _blob(key: VerifyingKey) -> bytes:
    if key.algorithm is Algorithm.ED25519:
        return lv32(_ED25519) + lv32(key.encoded)
    return lv32(_P256) + lv32(_P256_CURVE) + lv32(key.encoded)


def _r_and_s(signature: bytes) -> bytes:
    """Of two numbers as SSH writes them."""
    reader = Reader(signature, "signature")
    r, s = (int.from_bytes(reader.lv32(), "big") for _ in range(2))
    reader.end()
    if not (0 < r < P256_ORDER and 0 < s < P256_ORDER):
        raise BadEncoding("signature: no numbers below the order")
    return with_low_s(b"".join(each.to_bytes(_SCALAR_BYTES, "big") for each in (r, s)))


def _asked(place: Path, kind: int, request: bytes, wanted: int) -> bytes:
    """The contents of the agent's answer of kind `wanted`."""
    with _connected(place) as agent:
        body = u8(kind) + request
        try:
            agent.sendall(u32be(len(body)) + body)
            with agent.makefile("rb") as answering:
                length = int.from_bytes(answering.read(4), "big")
                if not 0 < length <= _LONGEST_ANSWER:
                    raise BackendError(f"ssh-agent: an answer of {length} bytes")
                answer = answering.read(length)
        except OSError as failure:
            raise BackendError(f"ssh-agent at {place}: {failure}") from failure
    if len(answer) < length:
        raise BackendError("ssh-agent: it closed the connection")
    if answer[0] != wanted:
        raise BackendError("ssh-agent: it refuses: locked, or somebody said no")
    return answer[1:]


@contextmanager
def _connected(place: Path) -> Iterator[socket.socket]:
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        agent.settimeout(_SECONDS)
        try:
            agent.connect(str(place))
        except OSError as failure:
            raise BackendError(f"ssh-agent at {place}: {failure}") from failure
        yield agent
    finally:
        agent.close()
