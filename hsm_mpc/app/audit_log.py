"""`audit verify`, `tail`, `export`: under the holder's key and those before, without its HSM."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from hsm_mpc import audit
from hsm_mpc.app.holder import own_index
from hsm_mpc.app.peers import pinned_roster
from hsm_mpc.audit_keys import KeyChain, keys_in
from hsm_mpc.card import Card
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.config import load_holder
from hsm_mpc.errors import (
    BackendError,
    BadInput,
    HsmMpcError,
    InvalidSignature,
    NotReady,
    Tampered,
)
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.roster import Roster
from hsm_mpc.store import files, names
from hsm_mpc.store.audit_log import open_to_read
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.wire.channels import KeyBook

_CARD_CAP = 64 << 10
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the log was signed last."""

    sequence: int
    time: str


@dataclass(frozen=True, slots=True)
class Verified:
    """A log whose chain is whole."""

    lines: int
    line_hash: bytes
    last_checkpoint: Checkpoint | None
    lines_after_checkpoint: int


@dataclass(frozen=True, slots=True)
class Tail:
    """The newest lines, as they stand in the file, without their hashes."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """A copy that was verified while it was written."""

    file: Path
    lines: int


def verify(config_path: Path) -> Verified:
    """Check every line, every checkpoint's signature, and that the end is the one written last.

    Raises:
        Tampered: anything does not fit.
        NotReady: there is no card yet.
    """

    def read(log: BinaryIO, floor: audit.Tail) -> Verified:
        card_key, keys = _keys(config_path, log, floor)
        verified = audit.verify(log, keys.verify, floor, keys.learn)
        keys.require_end(card_key)
        return _shown(verified)

    return _with_log(config_path, read)


def tail(config_path: Path, count: int) -> Tail:
    """The last `count` lines of a log whose chain is whole."""

    def read(log: BinaryIO, floor: audit.Tail) -> Tail:
        lines = audit.last_lines(log, count, floor)
        return Tail(tuple(line.in_file.rpartition(b" ")[0].decode() for line in lines))

    return _with_log(config_path, read)


def export(config_path: Path, out: Path) -> Exported:
    """Copy the verified log to a new file.

    Raises:
        BadInput: the file is there already, or cannot be made.
        BackendError: the disk fails; the half copy is removed.
    """
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as failure:
        raise BadInput(f"{out}: {failure.strerror}") from failure

    def copy(log: BinaryIO, floor: audit.Tail) -> Exported:
        with os.fdopen(descriptor, "wb") as target:
            card_key, keys = _keys(config_path, log, floor)
            verified = audit.export(log, target, keys.verify, floor, keys.learn)
            keys.require_end(card_key)
            target.flush()
            os.fsync(target.fileno())
        return Exported(out, verified.tail.seq)

    try:
        return _with_log(config_path, copy)
    except OSError as failure:
        out.unlink()
        raise BackendError(f"{out}: {failure.strerror}") from failure
    except HsmMpcError:
        out.unlink()
        raise


def _with_log(config_path: Path, read: Callable[[BinaryIO, audit.Tail], _Result]) -> _Result:
    log, floor = open_to_read(load_holder(config_path).store / "audit")
    with log:
        return read(log, floor)


def _keys(config_path: Path, log: BinaryIO, floor: audit.Tail) -> tuple[VerifyingKey, KeyChain]:
    """The key in the card, and those of the log, of which one must be the roster's where there is
    one: the others it led to.

    Raises:
        Tampered: the card or the log is damaged, or none is that of the roster, nor of one that
            came from it.
        NotReady: there is no card yet.
    """
    config = load_holder(config_path)
    path = config.store / "card"
    encoded = files.read_if_present(path, _CARD_CAP)
    if encoded is None:
        raise NotReady("this holder has no card yet: run hsm-mpc holder init")
    try:
        key = Card.from_bytes(encoded).content.key
    except HsmMpcError as broken:
        raise Tampered(f"{path}: {broken}") from broken
    keys = keys_in(log, key, floor)
    log.seek(0)
    if config.roster is not None and config.roster.exists():
        roster = pinned_roster(config.roster)
        index = own_index(config.roster, config.name)
        own = roster.member(index)
        known = {own.key, *_amended_keys(config.store / "wallets", roster, own.name)}
        if known.isdisjoint({key, *keys}):
            raise Tampered(
                f"{path}: its key is not that of {config.name} in the roster; that of a new HSM is "
                "proven once a wallet is repaired onto it"
            )
    return key, KeyChain(keys)


def _amended_keys(wallets: Path, roster: Roster, name: str) -> Iterator[VerifyingKey]:
    """Those of a holder in rosters of its wallets that were amended since (step 6.7.2)."""
    for kept in wallets.glob("*/lineage"):
        for path in kept.parent.glob("epochs/*/body"):
            try:
                body = EpochBody.from_bytes(files.read(path, names.DOCUMENT_CAP))
                if body.epoch:  # every holder keeps the first one, too
                    continue
                source = files.read(kept, names.DOCUMENT_CAP)
                lineage = Lineage.from_bytes(source, body.terms, KeyBook(roster, {}))
            except (BadInput, InvalidSignature) as damaged:
                raise Tampered(f"{kept.parent}: {damaged}") from damaged
            yield from (each.key for each in lineage.newest.roster.members if each.name == name)


def _shown(verified: audit.Verified) -> Verified:
    checkpoint = None
    if verified.checkpoint is not None:
        sequence = verified.checkpoint.tail.seq
        checkpoint = Checkpoint(sequence, str(verified.checkpoint.record["time"]))
    return Verified(verified.tail.seq, verified.tail.line_hash, checkpoint, verified.following)
