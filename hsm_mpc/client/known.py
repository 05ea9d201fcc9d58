"""Which wallet a client means by a name, where only some of the pinned holders have made it.

A wallet of all of them cannot be made without all their HSMs. One of some can be made by these
alone, under a name that another wallet has, and with its wallet_id: a client takes it for the one
that it means only if it had these make it, or its user has compared it with what a holder says.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from hsm_mpc.certificates.certificate import Certificate
from hsm_mpc.certificates.terms import WalletTerms
from hsm_mpc.errors import BackendError, BadInput, Refused, Tampered
from hsm_mpc.regular import read_regular, replace_durably
from hsm_mpc.steps import step
from hsm_mpc.succession.lineage import Lineage
from hsm_mpc.wire.channels import KeyBook

_LARGEST_FILE: Final = 4 << 20
_LINE: Final = re.compile(
    r"(?P<name>[a-z0-9._-]{1,64}) (?P<by>epoch|roster) (?P<hash>[0-9a-f]{64})"
)


class NotKnown(Refused):
    """`wallet-not-known`: it may be a wallet that nobody meant by this name."""

    def __init__(self, message: str) -> None:
        super().__init__("wallet-not-known", message)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means: by the hash of the wallet's first epoch; or of its first roster, as long
    as that was asked for and nobody has shown it.
    """

    by: Literal["epoch", "roster"]
    hash: bytes


class KnownWallets:
    """What names of wallets mean to a client, in a file of its own (0600).

    A line is `NAME epoch HASH` or `NAME roster HASH`. Several processes may use it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    def meaning(self, name: str) -> Meaning | None:
        """Of a wallet's name; None: it is not known.

        Raises:
            Tampered: the file is damaged, or others may write it.
            BackendError: it cannot be read.
        """
        return self._read().get(name)

    def remember(self, name: str, meaning: Meaning | None) -> None:
        """From now on, that is what `name` means, or nothing; durable before it returns.

        Raises: as `meaning`.
        """
        try:
            with self._locked():
                known = self._read()
                if known.get(name) != meaning:
                    others = {each: known[each] for each in known if each != name}
                    self._replace(others if meaning is None else {**others, name: meaning})
        except OSError as failure:
            raise BackendError(f"{self._file}: {failure.strerror}") from failure

    def _read(self) -> dict[str, Meaning]:
        try:
            content, state = read_regular(self._file, _LARGEST_FILE)
        except BadInput as failure:
            if isinstance(failure.__cause__, FileNotFoundError):
                return {}
            raise BackendError(str(failure), retryable=False) from failure
        if state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Tampered(f"{self._file}: others may write it; mend: chmod 600 {self._file}")
        try:
            return _parsed(content.decode("ascii"))
        except ValueError as damaged:
            raise Tampered(
                f"{self._file} is damaged: {damaged}; mend: put it back from a backup, or remove "
                "it and say `hsm-mpc wallet trust` again for each wallet"
            ) from damaged

    def _replace(self, known: Mapping[str, Meaning]) -> None:
        text = "".join(f"{_line(name, known[name])}\n" for name in sorted(known))
        with step("wallets.remember"):
            replace_durably(self._file, text.encode("ascii"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else writes it. Raises: OSError."""
        lock = self._file.with_name(f".{self._file.name}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def require_known(certificate: bytes, lineage: bytes, keys: KeyBook, known: KnownWallets) -> None:
    """A client believes this verified wallet to be the one that its name means (step 5.4.1).

    Args:
        certificate: of its key generation.
        keys: of the pinned roster.

    Raises:
        NotKnown: some of the pinned holders have made it, and it is not known by its name.
        Others: as `KnownWallets.remember`.
    """
    body = Certificate.from_bytes(certificate).body
    if body.terms.roster_hash == keys.pinned.hash:
        return
    name, this = body.terms.name, Meaning("epoch", body.hash)
    meant = known.meaning(name)
    if meant == Meaning("roster", body.terms.roster_hash):
        known.remember(name, this)
    elif meant != this:
        raise _not_known(body.terms, Lineage.from_bytes(lineage, body.terms, keys), meant)


def _not_known(terms: WalletTerms, lineage: Lineage, meant: Meaning | None) -> NotKnown:
    name, members = terms.name, lineage.stages[0].book.roster.members
    made_by = ", ".join(member.name for member in members)
    why = "this client does not know it" if meant is None else "this client knows another one"
    return NotKnown(
        f"the wallet {name} that is shown (id {terms.wallet_id.hex()}) was made by {made_by} "
        f"without the other pinned holders, and {why} by that name; mend: at a holder that you "
        f"believe `hsm-mpc share inspect {name}` says the hash of its epoch, and `hsm-mpc wallet "
        f"trust {name} --epoch-hash HEX` compares it"
    )


def _line(name: str, meaning: Meaning) -> str:
    return f"{name} {meaning.by} {meaning.hash.hex()}"


def _parsed(text: str) -> dict[str, Meaning]:
    """Raises: ValueError: anything but such lines, each name once."""
    known = dict[str, Meaning]()
    for number, line in enumerate(text.splitlines(), 1):
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise ValueError(f"line {number}: not a name and what it means")
        name = parts["name"]
        if name in known:
            raise ValueError(f"line {number}: {name} stands there twice")
        by: Literal["epoch", "roster"] = "epoch" if parts["by"] == "epoch" else "roster"
        known[name] = Meaning(by, bytes.fromhex(parts["hash"]))
    return known
