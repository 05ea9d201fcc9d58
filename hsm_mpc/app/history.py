"""`wallet history`: what became of a wallet's shares and wrapping keys, epoch by epoch."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hsm_mpc.app.client import connected
from hsm_mpc.app.moments import moment
from hsm_mpc.app.peers import pinned_roster
from hsm_mpc.client.history import Link, verified_history
from hsm_mpc.client.wallets import LARGEST_CHAIN
from hsm_mpc.config import load_client
from hsm_mpc.errors import BadInput
from hsm_mpc.regular import read_regular
from hsm_mpc.roster import Roster
from hsm_mpc.wire.channels import KeyBook
from hsm_mpc.wire.wallet_calls import Chain


@dataclass(frozen=True, slots=True)
class Destruction:
    """A wrapping key is gone from its HSM, as that HSM's identity key has signed."""

    holder: str
    at: datetime
    """By that holder's clock."""


@dataclass(frozen=True, slots=True)
class ToldEpoch:
    """One epoch, and how far its end has come."""

    epoch: int
    epoch_hash: bytes
    made_by: tuple[str, ...]
    """Whose dealings made it."""
    holders: tuple[str, ...]
    """Who has confirmed a share of it."""
    retired: bool
    destroyed: tuple[Destruction, ...]
    replaced: tuple[str, ...] = ()
    """Who has another HSM since this epoch."""
    lost: tuple[str, ...] = ()
    """Whose HSM was lost while it lived: whoever finds that one may open one share of it."""
    rotated: tuple[str, ...] = ()
    """Who has another identity key since this epoch, in the same HSM."""


@dataclass(frozen=True, slots=True)
class ToldHistory:
    """A wallet's epochs, all verified under the pinned roster."""

    name: str
    scheme: str
    threshold: int
    holders: tuple[str, ...]
    epochs: tuple[ToldEpoch, ...]
    """The oldest first."""
    verified: bool = True


def tell(config_path: Path, name: str, chain: Path | None, out: Path | None) -> ToldHistory:
    """The history of the wallet called `name`.

    Args:
        chain: a file that `out` wrote before: no coordinator is asked; None: the coordinator is.
        out: where the chain is written, for that.

    Raises:
        BadInput: a file cannot be read or written, or is another wallet's.
        Tampered: the chain does not verify: nothing is written.
        Others: as `WalletClient.chain`.
    """
    if chain is None:
        with connected(config_path) as client:
            source, roster = client.chain(name), client.roster
    else:
        roster = pinned_roster(load_client(config_path).roster)
        source = Chain.from_bytes(read_regular(chain, 2 * LARGEST_CHAIN)[0])
    told = told_of(source, roster)
    if told.name != name:
        raise BadInput(f"that is the history of {told.name!r}, not of {name!r}")
    if out is not None:
        write(out, source.to_bytes())
    return told


def write(file: Path, content: bytes) -> None:
    """Raises: BadInput: it cannot be written."""
    try:
        file.write_bytes(content)
    except OSError as failure:
        raise BadInput(f"{file}: {failure.strerror}") from failure


def told_of(chain: Chain, roster: Roster) -> ToldHistory:
    """What a chain tells under a pinned roster. Raises: Tampered, NotReady: it does not verify."""
    history = verified_history(chain, KeyBook(roster, {}), int(time.time()))
    terms = history.terms
    return ToldHistory(
        name=terms.name,
        scheme=terms.scheme.name.lower(),
        threshold=terms.sizes.t,
        holders=tuple(member.name for member in roster.members),
        epochs=tuple(_told_epoch(link, roster) for link in history.links),
    )


def _told_epoch(link: Link, roster: Roster) -> ToldEpoch:
    def named(index: int) -> str:
        return roster.member(index).name

    return ToldEpoch(
        epoch=link.body.epoch,
        epoch_hash=link.body.hash,
        made_by=tuple(named(index) for index in link.dealers),
        holders=tuple(named(index) for index in link.holders),
        retired=link.retired,
        destroyed=tuple(
            Destruction(named(index), moment(at)) for index, at in sorted(link.destroyed.items())
        ),
        replaced=tuple(named(index) for index in link.replaced),
        lost=tuple(named(index) for index in link.lost),
        rotated=tuple(named(index) for index in link.rotated),
    )
