"""The register of a wallet in the HSM: promises and votes that no restored disk takes back.

A data object `hsm-mpc/register/<wallet_id hex>`, private to the user (step 6.2.1). Its value:

    u64be(seq) ‖ h_e[32] ‖ promised[10] ‖ u8 ‖ acked[42] ‖ u8 ‖ adopted[42] ‖ u8 ‖ order[32]
    ‖ Σ u16be(floor) ‖ SHA-256(all before)[0:8]

acked and adopted are α ‖ h'; the u8 before each is 1 if it is there, else 0 with zeros behind it.
Modules do not rewrite data objects in place, so writing makes a new one with seq + 1 and destroys
the older ones; whoever reads takes the highest seq that parses and destroys the others.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import Reader, decoding, u8, u16be, u64be
from hsm_mpc.errors import BackendError, BadEncoding, BadInput, Tampered
from hsm_mpc.hsm import objects
from hsm_mpc.hsm.cryptoki import DATA_OBJECT, Attribute
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash, WalletId

LABEL_PREFIX: Final = "hsm-mpc/register/"
NO_PROMISE: Final = bytes(10)

_ATTEMPT_BYTES: Final = 10
_HASH_BYTES: Final = 32
_VOTE_BYTES: Final = _ATTEMPT_BYTES + _HASH_BYTES
_CHECK_BYTES: Final = 8
_WITHOUT_FLOORS: Final = 8 + _HASH_BYTES + _ATTEMPT_BYTES + 2 * (1 + _VOTE_BYTES) + 1 + _HASH_BYTES
_OBJECT: Final = "register"
_PRIVATE: Final = {Attribute.TOKEN: objects.TRUE, Attribute.PRIVATE: objects.TRUE}


@dataclass(frozen=True, slots=True)
class Vote:
    """A successor that this holder acknowledged or adopted, and in which attempt.

    Raises: BadInput: from the constructor, for an α that is not 10 bytes or an h' not 32.
    """

    attempt: bytes
    epoch_hash: EpochHash

    def __post_init__(self) -> None:
        if (len(self.attempt), len(self.epoch_hash)) != (_ATTEMPT_BYTES, _HASH_BYTES):
            raise BadInput("register: a vote is 10 bytes of attempt and 32 of epoch hash")


@dataclass(frozen=True, slots=True)
class Register:
    """Promise and votes about the successor of one epoch. Freshly made it holds none.

    `floors` are those of the pairs with holders 1..n, for ECDSA alone (step 6.2.1b).

    Raises: BadInput: from the constructor, for a length or a floor that does not fit.
    """

    epoch_hash: EpochHash
    promised: bytes = NO_PROMISE
    acked: Vote | None = None
    adopted: Vote | None = None
    order: EpochHash | None = None
    floors: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        hashes = (self.epoch_hash, *([] if self.order is None else [self.order]))
        if len(self.promised) != _ATTEMPT_BYTES or any(len(h) != _HASH_BYTES for h in hashes):
            raise BadInput("register: an attempt is 10 bytes and an epoch hash 32")
        if not all(0 <= floor <= 0xFFFF for floor in self.floors):
            raise BadInput("register: a floor is 0 to 65535")

    def to_bytes(self, seq: int) -> bytes:
        """The object's value as its `seq`th writing."""
        before = (
            u64be(seq)
            + self.epoch_hash
            + self.promised
            + _vote_bytes(self.acked)
            + _vote_bytes(self.adopted)
            + u8(self.order is not None)
            + (self.order or bytes(_HASH_BYTES))
            + b"".join(u16be(floor) for floor in self.floors)
        )
        return before + _check(before)


def parse(source: bytes) -> tuple[int, Register]:
    """seq and register in an object's value.

    Raises:
        BadEncoding: torn, or nothing of ours.
    """
    before, check = source[:-_CHECK_BYTES], source[-_CHECK_BYTES:]
    if len(before) < _WITHOUT_FLOORS or check != _check(before):
        raise BadEncoding("register: torn, or not ours")
    reader = Reader(before, "register")
    seq, epoch_hash = reader.u64be(), EpochHash(reader.take(_HASH_BYTES))
    promised = reader.take(_ATTEMPT_BYTES)
    acked, adopted = _read_vote(reader), _read_vote(reader)
    order = _optional(reader, _HASH_BYTES)
    count = (len(before) - reader.consumed) // 2
    floors = tuple(reader.u16be() for _ in range(count))
    reader.end()
    with decoding("register"):
        ordered = None if order is None else EpochHash(order)
        return seq, Register(epoch_hash, promised, acked, adopted, ordered, floors)


class Registers:
    """The registers of all wallets in one token, for the one process that writes them.

    Safe to use from threads. What was read or written once is remembered: nobody else changes it.
    Every method raises `BackendError` where the token does not answer.
    """

    def __init__(self, token: Token) -> None:
        self._token = token
        self._lock = threading.RLock()
        self._known: dict[WalletId, tuple[int, Register]] = {}

    def read(self, wallet_id: WalletId) -> Register | None:
        """The wallet's register, None if it has none. What a crash left beside it is destroyed.

        Raises:
            Tampered: objects are there, and none of them is a register; or two disagree.
        """
        with self._lock:
            if wallet_id not in self._known:
                found = self._settled(wallet_id)
                if found is None:
                    return None
                self._known[wallet_id] = found
            return self._known[wallet_id][1]

    def exists(self, wallet_id: WalletId) -> bool:
        """Whether there is anything in its name, whole or damaged."""
        return bool(self._handles(wallet_id))

    def write(self, wallet_id: WalletId, register: Register) -> None:
        """Put `register` into the place of the one before; when this returns it is durable.

        Raises:
            Tampered: as `read`.
            BackendError: also if the token does not give back what it was given.
        """
        with self._lock:
            self.read(wallet_id)
            seq = self._known[wallet_id][0] + 1 if wallet_id in self._known else 1
            self._known.pop(wallet_id, None)
            value = register.to_bytes(seq)
            template = {**_named(wallet_id), Attribute.VALUE: value}
            handle = objects.create(self._token, template, _OBJECT)
            self._require_stored(handle, value)
            for other in self._handles(wallet_id):
                if other != handle:
                    self._destroy(other)
            self._known[wallet_id] = (seq, register)

    def destroy(self, wallet_id: WalletId) -> None:
        """Leave no register of this wallet.

        Raises:
            BackendError: also if one is still there.
        """
        with self._lock:
            self._known.pop(wallet_id, None)
            for handle in self._handles(wallet_id):
                self._destroy(handle)
            if self._handles(wallet_id):
                raise BackendError(
                    f"{self._token.where}: a register was destroyed and is still there"
                )

    def wallet_ids(self) -> tuple[WalletId, ...]:
        """Every wallet that has a register, ascending, whatever the disk says."""
        found = set()
        for handle in self._matching({}):
            with self._token.session() as session:
                label = objects.read_attribute(self._token, session, handle, Attribute.LABEL)
            wallet_id = _wallet_in((label or b"").decode("utf-8", "replace"))
            if wallet_id is not None:
                found.add(wallet_id)
        return tuple(sorted(found))

    def _settled(self, wallet_id: WalletId) -> tuple[int, Register] | None:
        """The highest seq that parses wins and the others are destroyed (step 6.2.1)."""
        handles = self._handles(wallet_id)
        if not handles:
            return None
        parsed = {handle: self._parsed(handle) for handle in handles}
        whole = {handle: found for handle, found in parsed.items() if found is not None}
        if not whole:
            raise Tampered(f"{self._token.where}: the register of {wallet_id.hex()} is damaged")
        winner = max(whole, key=lambda handle: whole[handle][0])
        if any(found != whole[winner] for found in whole.values() if found[0] == whole[winner][0]):
            raise Tampered(f"{self._token.where}: two registers of {wallet_id.hex()} disagree")
        for handle in handles:
            if handle != winner:
                self._destroy(handle)
        return whole[winner]

    def _parsed(self, handle: int) -> tuple[int, Register] | None:
        """None: torn."""
        try:
            return parse(self._value(handle))
        except BadEncoding:
            return None

    def _value(self, handle: int) -> bytes:
        with self._token.session() as session:
            value = objects.read_attribute(self._token, session, handle, Attribute.VALUE)
        return value or b""

    def _require_stored(self, handle: int, value: bytes) -> None:
        with self._token.session() as session:
            private = all(
                objects.read_attribute(self._token, session, handle, kind) == wanted
                for kind, wanted in _PRIVATE.items()
            )
        if not private or self._value(handle) != value:
            self._destroy(handle)
            raise BackendError(
                f"{self._token.where}: a data object reads otherwise than it was written",
                retryable=False,
            )

    def _handles(self, wallet_id: WalletId) -> tuple[int, ...]:
        return self._matching({Attribute.LABEL: _label(wallet_id)})

    def _matching(self, more: Mapping[Attribute, bytes]) -> tuple[int, ...]:
        """Private ones only: a public one is made without a PIN, by anybody."""
        kind = {Attribute.CLASS: objects.number(DATA_OBJECT), **_PRIVATE}
        return objects.matching(self._token, {**kind, **more})

    def _destroy(self, handle: int) -> None:
        try:
            objects.destroy(self._token, handle, _OBJECT)
        except StaleHandle:
            return  # it is gone, and that was wanted


def _named(wallet_id: WalletId) -> dict[Attribute, bytes]:
    kind = {Attribute.CLASS: objects.number(DATA_OBJECT)}
    return {**kind, **_PRIVATE, Attribute.LABEL: _label(wallet_id)}


def _label(wallet_id: WalletId) -> bytes:
    return f"{LABEL_PREFIX}{wallet_id.hex()}".encode("ascii")


def _wallet_in(label: str) -> WalletId | None:
    """The wallet that a label of ours names."""
    try:
        wallet_id = WalletId(bytes.fromhex(label.removeprefix(LABEL_PREFIX)))
    except ValueError:
        return None
    return wallet_id if _label(wallet_id) == label.encode() and len(wallet_id) == 16 else None


def _check(before: bytes) -> bytes:
    return hashlib.sha256(before).digest()[:_CHECK_BYTES]


def _vote_bytes(vote: Vote | None) -> bytes:
    if vote is None:
        return u8(0) + bytes(_VOTE_BYTES)
    return u8(1) + vote.attempt + vote.epoch_hash


def _read_vote(reader: Reader) -> Vote | None:
    vote = _optional(reader, _VOTE_BYTES)
    if vote is None:
        return None
    return Vote(vote[:_ATTEMPT_BYTES], EpochHash(vote[_ATTEMPT_BYTES:]))


def _optional(reader: Reader, length: int) -> bytes | None:
    """`length` bytes if the u8 before them says so, else None and zeros."""
    there, value = reader.u8(), reader.take(length)
    if there > 1 or (there == 0 and any(value)):
        raise BadEncoding("register: what is absent is all zeros")
    return value if there else None
