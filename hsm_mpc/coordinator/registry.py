"""What a coordinator remembers of wallets: certificates and confirmations, all public (SQLite).

Losing it loses nothing: every holder has its part, and `WALLETS` gives it back.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.coordinator.successions import Succession
from hsm_mpc.encoding import Reader, lv32
from hsm_mpc.errors import BackendError, NameTaken, Refused
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.steps import step
from hsm_mpc.wire.envelope import parse_envelope

MOST_PLANS: Final = 256
"""That wait for consents at once, of all wallets."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS wallets (
    name TEXT PRIMARY KEY,
    wallet_id BLOB NOT NULL UNIQUE,
    certificate BLOB NOT NULL,
    dones BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS successions (
    wallet_id BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    propose BLOB NOT NULL,
    certificate BLOB NOT NULL,
    transcript BLOB NOT NULL,
    dones BLOB NOT NULL,
    retirement BLOB NOT NULL,
    destroyed BLOB NOT NULL,
    history BLOB NOT NULL,
    PRIMARY KEY (wallet_id, epoch)
) STRICT;
CREATE TABLE IF NOT EXISTS ages (
    wallet_id BLOB PRIMARY KEY,
    epoch_hash BLOB NOT NULL,
    since INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS plans (
    digest BLOB PRIMARY KEY,
    wallet TEXT NOT NULL,
    plan BLOB NOT NULL,
    deadline INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS repaired (
    wallet_id BLOB NOT NULL,
    epoch_hash BLOB NOT NULL,
    holder INTEGER NOT NULL,
    done BLOB NOT NULL,
    PRIMARY KEY (wallet_id, epoch_hash, holder)
) STRICT;
CREATE TABLE IF NOT EXISTS lineages (
    wallet_id BLOB PRIMARY KEY,
    lineage BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS ends (
    wallet_id BLOB NOT NULL,
    holder INTEGER NOT NULL,
    destroyed BLOB NOT NULL,
    PRIMARY KEY (wallet_id, holder)
) STRICT;
CREATE TABLE IF NOT EXISTS attempts (
    wallet_id BLOB PRIMARY KEY,
    counter INTEGER NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Registered:
    """One wallet as it was certified. Nobody believes this: readers verify it."""

    name: str
    wallet_id: WalletId
    certificate: bytes
    dones: tuple[bytes, ...]
    """DONE messages in roster order; none while some holder has not confirmed yet."""


class Registry:
    """The wallets of one coordinator; used by several threads."""

    def __init__(self, path: Path) -> None:
        """Open or make the database.

        Raises:
            BackendError: the file cannot be used.
        """
        self._path = path
        self._lock = threading.Lock()
        self.changing_lineages: Final = threading.Lock()
        """Held by who reads a lineage and writes what follows from it."""
        try:
            with step("registry.open"):
                self._database = sqlite3.connect(path, check_same_thread=False)
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.executescript(_SCHEMA)
        except sqlite3.Error as failure:
            raise BackendError(f"registry {path}: {failure}", retryable=False) from failure

    def add(self, wallet: Registered) -> None:
        """Remember a certified wallet.

        Raises:
            NameTaken: another wallet has this name.
            BackendError: the disk is full, or fails.
        """
        row = (wallet.name, wallet.wallet_id, wallet.certificate, _joined(wallet.dones))
        try:
            with self._alone(), step("registry.add"), self._database:
                self._database.execute("INSERT INTO wallets VALUES (?, ?, ?, ?)", row)
        except sqlite3.IntegrityError as taken:
            raise NameTaken(f"a wallet called {wallet.name!r} is registered already") from taken

    def confirm(self, wallet_id: WalletId, dones: Sequence[bytes]) -> None:
        """All holders have confirmed the wallet. Raises: BackendError, as `add`."""
        with self._alone(), step("registry.confirm"), self._database:
            self._database.execute(
                "UPDATE wallets SET dones = ? WHERE wallet_id = ?", (_joined(dones), wallet_id)
            )

    def named(self, name: str) -> Registered | None:
        """The wallet of this name."""
        return self._one("name = ?", name)

    def with_id(self, wallet_id: WalletId) -> Registered | None:
        """The wallet of this id."""
        return self._one("wallet_id = ?", wallet_id)

    def all(self) -> tuple[Registered, ...]:
        """All wallets, by name."""
        with self._alone():
            rows = self._database.execute("SELECT * FROM wallets ORDER BY name").fetchall()
        return tuple(_registered(row) for row in rows)

    def living(self) -> tuple[Registered, ...]:
        """All wallets but those of which some holder has destroyed its keys, by name."""
        with self._alone():
            rows = self._database.execute(
                "SELECT * FROM wallets WHERE wallet_id NOT IN (SELECT wallet_id FROM ends) "
                "ORDER BY name"
            ).fetchall()
        return tuple(_registered(row) for row in rows)

    def successions(self, wallet_id: WalletId) -> tuple[Succession, ...]:
        """Every succession of a wallet, in the order of its epochs."""
        with self._alone():
            rows = self._database.execute(
                "SELECT * FROM successions WHERE wallet_id = ? ORDER BY epoch", (wallet_id,)
            ).fetchall()
        return tuple(_succession(row) for row in rows)

    def newest_successions(self, wallet_id: WalletId, most: int) -> tuple[Succession, ...]:
        """The last `most` of them: a signature wants no more, however many there are."""
        with self._alone():
            rows = self._database.execute(
                "SELECT * FROM successions WHERE wallet_id = ? ORDER BY epoch DESC LIMIT ?",
                (wallet_id, most),
            ).fetchall()
        return tuple(_succession(row) for row in reversed(rows))

    def keep(self, succession: Succession, lineage: bytes | None = None) -> None:
        """How far a succession has come; and all that has amended the roster, if that changes with
        it. Raises: BackendError, as `add`.
        """
        row = (
            succession.wallet_id,
            succession.epoch,
            succession.propose,
            succession.certificate,
            succession.transcript,
            _joined(tuple(succession.dones.values())),
            succession.retirement,
            _joined(tuple(succession.destroyed.values())),
            succession.history,
        )
        with self._alone(), step("registry.succession"), self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO successions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row
            )
            if lineage is not None:
                self._database.execute(
                    "INSERT OR REPLACE INTO lineages VALUES (?, ?)",
                    (succession.wallet_id, lineage),
                )

    def next_counter(self, wallet_id: WalletId, now: int) -> int:
        """The counter of a new attempt: none is ever used twice (step 6.5.11).

        Raises: BackendError, as `add`.
        """
        with self._alone(), step("registry.attempt"), self._database:
            row = self._database.execute(
                "SELECT counter FROM attempts WHERE wallet_id = ?", (wallet_id,)
            ).fetchone()
            counter = now if row is None else max(now, int(row[0]) + 1)
            self._database.execute(
                "INSERT OR REPLACE INTO attempts VALUES (?, ?)", (wallet_id, counter)
            )
        return counter

    def since(self, wallet_id: WalletId, newest: EpochHash, now: int) -> int:
        """When the newest epoch of a wallet was first seen here, in seconds since 1970 UTC.

        Whoever lost the registry sees it now; so does a clock that was ahead then. Raises:
        BackendError, as `add`.
        """
        with self._alone():
            row = self._database.execute(
                "SELECT epoch_hash, since FROM ages WHERE wallet_id = ?", (wallet_id,)
            ).fetchone()
            if row is not None and row[0] == newest and row[1] <= now:
                return int(row[1])
            with step("registry.age"), self._database:
                self._database.execute(
                    "INSERT OR REPLACE INTO ages VALUES (?, ?, ?)", (wallet_id, newest, now)
                )
        return now

    def plans(self, wallet: str) -> tuple[bytes, ...]:
        """Every PLAN about a wallet of this name that holders' operators are asked about."""
        with self._alone():
            rows = self._database.execute(
                "SELECT plan FROM plans WHERE wallet = ? ORDER BY deadline", (wallet,)
            ).fetchall()
        return tuple(bytes(row[0]) for row in rows)

    def keep_plan(self, wallet: str, plan: bytes, deadline: int, now: int) -> None:
        """Ask about this one again until its deadline; those that are too late by `now` go.

        Raises:
            Refused: `too-many-plans`.
            BackendError: as `add`.
        """
        row = (hashlib.sha256(plan).digest(), wallet, plan, deadline)
        with self._alone(), step("registry.plan"), self._database:
            self._database.execute("DELETE FROM plans WHERE deadline <= ?", (now,))
            (count,) = self._database.execute(
                "SELECT count(*) FROM plans WHERE digest <> ?", row[:1]
            ).fetchone()
            if count >= MOST_PLANS:
                raise Refused("too-many-plans", f"{MOST_PLANS} plans wait for consents already")
            self._database.execute("INSERT OR REPLACE INTO plans VALUES (?, ?, ?, ?)", row)

    def drop_plan(self, plan: bytes) -> None:
        """It is carried out, or will never be. Raises: BackendError, as `add`."""
        with self._alone(), step("registry.drop-plan"), self._database:
            self._database.execute(
                "DELETE FROM plans WHERE digest = ?", (hashlib.sha256(plan).digest(),)
            )

    def repaired(self, wallet_id: WalletId) -> dict[tuple[EpochHash, int], bytes]:
        """By epoch and holder: the DONE message of each whose share of it was repaired."""
        with self._alone():
            rows = self._database.execute(
                "SELECT epoch_hash, holder, done FROM repaired WHERE wallet_id = ?", (wallet_id,)
            ).fetchall()
        return {(EpochHash(bytes(h)), holder): bytes(done) for h, holder, done in rows}

    def keep_repaired(
        self, wallet_id: WalletId, epoch_hash: EpochHash, holder: int, done: bytes
    ) -> None:
        """What a holder said once it had its share again. Raises: BackendError, as `add`."""
        row = (wallet_id, epoch_hash, holder, done)
        with self._alone(), step("registry.repaired"), self._database:
            self._database.execute("INSERT OR REPLACE INTO repaired VALUES (?, ?, ?, ?)", row)

    def lineage(self, wallet_id: WalletId) -> bytes:
        """What has amended the roster of a wallet; empty: nothing."""
        with self._alone():
            row = self._database.execute(
                "SELECT lineage FROM lineages WHERE wallet_id = ?", (wallet_id,)
            ).fetchone()
        return b"" if row is None else bytes(row[0])

    def keep_lineage(self, wallet_id: WalletId, lineage: bytes) -> None:
        """All that has amended the roster of a wallet. Raises: BackendError, as `add`."""
        with self._alone(), step("registry.lineage"), self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO lineages VALUES (?, ?)", (wallet_id, lineage)
            )

    def destroyed(self, wallet_id: WalletId) -> dict[int, bytes]:
        """The DESTROYED message of each holder that has destroyed a wallet's keys, ascending."""
        with self._alone():
            rows = self._database.execute(
                "SELECT holder, destroyed FROM ends WHERE wallet_id = ? ORDER BY holder",
                (wallet_id,),
            ).fetchall()
        return {holder: bytes(message) for holder, message in rows}

    def keep_destroyed(self, wallet_id: WalletId, holder: int, message: bytes) -> None:
        """What a holder said once its keys were gone. Raises: BackendError, as `add`."""
        with self._alone(), step("registry.destroyed"), self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO ends VALUES (?, ?, ?)", (wallet_id, holder, message)
            )

    def close(self) -> None:
        """Once nobody reads or writes: SQLite crashes if it is closed under a query."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else uses it. Raises: BackendError: it is closed, or the disk fails."""
        try:
            with self._lock:
                yield
        except (sqlite3.OperationalError, sqlite3.ProgrammingError) as failure:
            raise BackendError(f"registry {self._path}: {failure}") from failure

    def _one(self, condition: str, value: str | bytes) -> Registered | None:
        with self._alone():
            row = self._database.execute(
                f"SELECT * FROM wallets WHERE {condition}", (value,)
            ).fetchone()
        return None if row is None else _registered(row)


def _registered(row: tuple[str, bytes, bytes, bytes]) -> Registered:
    name, wallet_id, certificate, joined = row
    return Registered(name, WalletId(wallet_id), certificate, _split(joined))


def _succession(
    row: tuple[bytes, int, bytes, bytes, bytes, bytes, bytes, bytes, bytes],
) -> Succession:
    wallet_id, epoch, propose, certificate, transcript, dones, retirement, destroyed, history = row
    return Succession(
        WalletId(wallet_id),
        epoch,
        propose,
        certificate,
        transcript,
        _by_sender(dones),
        history,
        retirement,
        _by_sender(destroyed),
    )


def _by_sender(joined: bytes) -> dict[int, bytes]:
    return {parse_envelope(message).address.sender: message for message in _split(joined)}


def _joined(messages: Sequence[bytes]) -> bytes:
    return b"".join(lv32(message) for message in messages)


def _split(joined: bytes) -> tuple[bytes, ...]:
    reader = Reader(joined, "confirmations in the registry")
    messages = []
    while reader.consumed < len(joined):
        messages.append(reader.lv32())
    return tuple(messages)
