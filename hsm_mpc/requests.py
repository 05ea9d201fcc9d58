"""REQ: a client's signed request for signatures, exactly as the client sent it (step 3.2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from hsm_mpc.certificates.clients import Client, ClientList
from hsm_mpc.encoding import Reader, decoding, lv16, lv32, u8, u16be, u32be, u64be
from hsm_mpc.errors import BadEncoding, BadInput, InvalidSignature, Refused
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.tags import Tag, tagged_hash
from hsm_mpc.taproot.derivation import Path

_FORMAT: Final = 1
LONGEST_VALIDITY: Final = 24 * 3600
"""Seconds that a request may stay valid, counted from now."""


class RequestType(IntEnum):
    """What the content of a request is."""

    MESSAGE = 1
    DIGEST = 2
    PSBT = 3


_PATHS: Final = {RequestType.MESSAGE: 1, RequestType.DIGEST: 1, RequestType.PSBT: 0}
"""How many paths a request names: none where the transaction itself names the keys."""


@dataclass(frozen=True, slots=True)
class UnsignedRequest:
    """What a client asks. Its key signs `signed_message(key)` with tag `client`.

    `kind` is a number as received: whether it is known is a check of its own. `content` is the
    message or transaction in full; script_root is empty or 32 bytes; not_after is in seconds since
    1970 UTC; nonce is 32 random bytes.

    Raises:
        BadInput: from the constructor, for a wallet_id, script root or nonce of another length.
    """

    wallet_id: WalletId
    kind: int
    content: bytes
    paths: tuple[Path, ...]
    script_root: bytes
    policy_evidence: bytes
    not_after: int
    nonce: bytes

    def __post_init__(self) -> None:
        if len(self.script_root) not in (0, 32):
            raise BadInput("request: a script root is empty or 32 bytes")
        if (len(self.wallet_id), len(self.nonce)) != (16, 32):
            raise BadInput("request: a wallet_id has 16 bytes and a nonce 32")

    def to_bytes(self) -> bytes:
        """`unsigned`."""
        paths = b"".join(u32be(path.change) + u32be(path.index) for path in self.paths)
        return (
            u8(_FORMAT)
            + self.wallet_id
            + u8(self.kind)
            + lv32(self.content)
            + u16be(len(self.paths))
            + paths
            + lv16(self.script_root)
            + lv32(self.policy_evidence)
            + u64be(self.not_after)
            + self.nonce
        )

    def signed_message(self, key: VerifyingKey) -> bytes:
        """`unsigned ‖ u8(alg) ‖ LV16(request key)`."""
        return self.to_bytes() + key.to_bytes()


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its signature, which `check` verifies: parsing does not."""

    content: UnsignedRequest
    key: VerifyingKey
    signature: bytes

    @property
    def id(self) -> bytes:
        """request_id, 32 bytes."""
        return tagged_hash(Tag.REQUEST, self.to_bytes())

    def session_id(self, epoch_hash: EpochHash) -> bytes:
        """session_id, 32 bytes, of everything that follows this request at this epoch."""
        return tagged_hash(Tag.SIGN, self.id + epoch_hash)

    def to_bytes(self) -> bytes:
        """`REQ`."""
        return self.content.signed_message(self.key) + lv16(self.signature)

    @classmethod
    def from_bytes(cls, source: bytes) -> Request:
        """Inverse of `to_bytes`; `BadEncoding` for anything else, another version included."""
        reader = Reader(source, "request")
        version = reader.u8()
        if version != _FORMAT:
            raise BadEncoding(f"request: version {version} is unknown")
        with decoding("request"):
            content = UnsignedRequest(
                wallet_id=WalletId(reader.take(16)),
                kind=reader.u8(),
                content=reader.lv32(),
                paths=tuple(Path(reader.u32be(), reader.u32be()) for _ in range(reader.u16be())),
                script_root=reader.lv16(),
                policy_evidence=reader.lv32(),
                not_after=reader.u64be(),
                nonce=reader.take(32),
            )
        request = cls(content, VerifyingKey.read(reader), reader.lv16())
        reader.end()
        return request

    def check(self, wallet_id: WalletId, clients: ClientList, now: int) -> Client:
        """Every check that needs no policy, in the order of step 3.2.1; the client that asks.

        `wallet_id` is that of the envelope, `clients` the pinned list, `now` the holder's clock in
        seconds since 1970 UTC.

        Raises:
            Refused: `other-wallet`, `request-type`, `digest-length`, `unknown-client`,
                `client-signature`, `request-expired`, `request-too-far`, `path-count` or
                `script-root`.
        """
        content = self.content
        if content.wallet_id != wallet_id:
            raise Refused("other-wallet", "the request is for another wallet")
        if content.kind not in _PATHS:
            raise Refused("request-type", f"requests of type {content.kind} are unknown")
        kind = RequestType(content.kind)
        if kind is RequestType.DIGEST and len(content.content) != 32:
            raise Refused("digest-length", f"a digest of {len(content.content)} bytes, not 32")
        client = clients.client_of(self.key)
        try:
            self.key.verify(Tag.CLIENT, content.signed_message(self.key), self.signature)
        except InvalidSignature as error:
            raise Refused("client-signature", "the client's signature does not verify") from error
        self.check_time(now)
        if len(content.paths) != _PATHS[kind]:
            raise Refused("path-count", f"{len(content.paths)} paths where {_PATHS[kind]} are due")
        if content.script_root and kind is not RequestType.PSBT:
            raise Refused("script-root", "only a transaction may spend a key with scripts")
        return client

    def check_time(self, now: int) -> None:
        """`now` ≤ not_after ≤ `now` + 24 h; again right before a partial signature (step 3.4.7).

        Raises:
            Refused: `request-expired` or `request-too-far`.
        """
        if self.content.not_after < now:
            raise Refused("request-expired", f"the request expired at {self.content.not_after}")
        if self.content.not_after > now + LONGEST_VALIDITY:
            raise Refused("request-too-far", "the request is valid for more than 24 hours")
