"""The register of a wallet in the HSM: promises and votes that no restored disk takes back.

An object `hsm-mpc/register/<wallet_id hex>`, private to the user (step 6.2.1; in which form:
`register_objects`). Its value:

    u64be(seq) ‖ h_e[32] ‖ promised[10] ‖ u8 ‖ acked[42] ‖ u8 ‖ adopted[42] ‖ u8 ‖ order[32]
    ‖ Σ u16be(floor) ‖ SHA-256(all before)[0:8]

acked and adopted are α ‖ h'; the u8 before each is 1 if it is there, else 0 with zeros behind it.
Modules do not rewrite objects in place, so writing makes a new one with seq + 1 and destroys
the older ones; whoever reads takes the highest seq that parses and destroys the others.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Final

from hsm_mpc.encoding import Reader, decoding, u8, u16be, u64be
from hsm_mpc.errors import BackendError, BadEncoding, BadInput, Tampered
from hsm_mpc.hsm import objects, register_objects
from hsm_mpc.hsm.failures import StaleHandle
from hsm_mpc.hsm.register_objects import NAME_PREFIX, Form, RegisterObject
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash, WalletId

NO_PROMISE: Final = bytes(10)

_ATTEMPT_BYTES: Final = 10
_HASH_BYTES: Final = 32
_VOTE_BYTES: Final = _ATTEMPT_BYTES + _HASH_BYTES
_CHECK_BYTES: Final = 8
_WITHOUT_FLOORS: Final = 8 + _HASH_BYTES + _ATTEMPT_BYTES + 2 * (1 + _VOTE_BYTES) + 1 + _HASH_BYTES


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

    Safe to use from threads. What was read or written once is remembered, for nobody else changes
    it, until the module is initialised again: who knows what the token was meanwhile.
    Every method raises `BackendError` where the token does not answer.
    """

    def __init__(self, token: Token) -> None:
        self._token = token
        self._lock = threading.RLock()
        self._known: dict[WalletId, tuple[int, Register]] = {}
        self._known_since = token.module.incarnation

    def read(self, wallet_id: WalletId) -> Register | None:
        """The wallet's register, None if it has none. What a crash left beside it is destroyed.

        Raises:
            Tampered: objects are there, and none of them is a register; or two disagree.
        """
        with self._lock:
            self._forget_another_initialisation()
            if wallet_id not in self._known:
                found = self._settled(wallet_id)
                if found is None:
                    return None
                self._known[wallet_id] = found
            return self._known[wallet_id][1]

    def exists(self, wallet_id: WalletId) -> bool:
        """Whether there is anything in its name, whole or damaged."""
        return bool(self._objects(wallet_id))

    def form_of(self, wallet_id: WalletId) -> Form:
        """What the wallet's register is in this token.

        Raises:
            BackendError: also if it has none.
        """
        found = self._objects(wallet_id)
        if not found:
            raise BackendError(f"{self._token.where}: no register of {wallet_id.hex()}")
        return found[0].form

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
            made = register_objects.create(self._token, _name(wallet_id), value)
            self._require_stored(made, value)
            if self._settled(wallet_id) != (seq, register):
                self._destroy(made)
                raise BackendError(
                    f"{self._token.where}: a register was written and is not found",
                    retryable=False,
                )
            self._known[wallet_id] = (seq, register)

    def destroy(self, wallet_id: WalletId) -> None:
        """Leave no register of this wallet.

        Raises:
            BackendError: also if one is still there.
        """
        with self._lock:
            self._known.pop(wallet_id, None)
            for found in self._objects(wallet_id):
                self._destroy(found)
            if self._objects(wallet_id):
                raise BackendError(
                    f"{self._token.where}: a register was destroyed and is still there"
                )

    def wallet_ids(self) -> tuple[WalletId, ...]:
        """Every wallet that has a register, ascending, whatever the disk says."""
        names = (found.name(self._token) for found in register_objects.all_private(self._token))
        wallets = (_wallet_in(name.decode("utf-8", "replace")) for name in names)
        return tuple(sorted({wallet_id for wallet_id in wallets if wallet_id is not None}))

    def _forget_another_initialisation(self) -> None:
        now = self._token.module.incarnation
        if now != self._known_since:
            self._known.clear()
            self._known_since = now

    def _settled(self, wallet_id: WalletId) -> tuple[int, Register] | None:
        """The highest seq that parses wins and the others are destroyed (step 6.2.1)."""
        found = self._objects(wallet_id)
        if not found:
            return None
        parsed = {each: self._parsed(each) for each in found}
        whole = {each: content for each, content in parsed.items() if content is not None}
        if not whole:
            raise Tampered(f"{self._token.where}: the register of {wallet_id.hex()} is damaged")
        winner = max(whole, key=lambda each: whole[each][0])
        if any(other != whole[winner] for other in whole.values() if other[0] == whole[winner][0]):
            raise Tampered(f"{self._token.where}: two registers of {wallet_id.hex()} disagree")
        for each in found:
            if each != winner:
                self._destroy(each)
        return whole[winner]

    def _parsed(self, found: RegisterObject) -> tuple[int, Register] | None:
        """None: torn."""
        try:
            return parse(found.value(self._token))
        except BadEncoding:
            return None

    def _require_stored(self, made: RegisterObject, value: bytes) -> None:
        if not made.is_private(self._token) or made.value(self._token) != value:
            self._destroy(made)
            raise BackendError(
                f"{self._token.where}: a register reads otherwise than it was written",
                retryable=False,
            )

    def _objects(self, wallet_id: WalletId) -> tuple[RegisterObject, ...]:
        return register_objects.named(self._token, _name(wallet_id))

    def _destroy(self, found: RegisterObject) -> None:
        try:
            objects.destroy(self._token, found.handle, register_objects.OBJECT)
        except StaleHandle:
            return  # it is gone, and that was wanted


def _name(wallet_id: WalletId) -> bytes:
    return f"{NAME_PREFIX}{wallet_id.hex()}".encode("ascii")


def _wallet_in(name: str) -> WalletId | None:
    """The wallet that a name of ours names."""
    try:
        wallet_id = WalletId(bytes.fromhex(name.removeprefix(NAME_PREFIX)))
    except ValueError:
        return None
    return wallet_id if _name(wallet_id) == name.encode() and len(wallet_id) == 16 else None


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
