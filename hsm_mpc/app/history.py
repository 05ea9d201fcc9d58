"""`wallet history`: what became of a wallet's shares and wrapping keys, epoch by epoch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hsm_mpc.app.client import connected, known_wallets
from hsm_mpc.app.moments import moment
from hsm_mpc.app.peers import pinned_roster
from hsm_mpc.certificates.body import EpochKind
from hsm_mpc.certificates.order import Order
from hsm_mpc.client.chain import LARGEST_CHAIN
from hsm_mpc.client.history import Link, verified_history
from hsm_mpc.client.known import require_known
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
class ToldOrder:
    """Administrators have overruled a confirmation that was missing."""

    counted: tuple[str, ...]
    suspects: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class ToldEpoch:
    """One epoch, and how far its end has come."""

    epoch: int
    epoch_hash: bytes
    threshold: int
    members: tuple[str, ...]
    """Who gets a share of it."""
    shared_anew: bool
    """By a resharing: holders or threshold are others than before."""
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
    order: ToldOrder | None = None
    """By which it has ended."""
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
        NotKnown: as `WalletClient.show`.
        Others: as `WalletClient.chain`.
    """
    if chain is None:
        with connected(config_path) as client:
            source, roster, known = client.chain(name), client.roster, client.known
    else:
        config = load_client(config_path)
        roster, known = pinned_roster(config.roster), known_wallets(config)
        source = Chain.from_bytes(read_regular(chain, 2 * LARGEST_CHAIN)[0])
    told = told_of(source, roster)
    if told.name != name:
        raise BadInput(f"that is the history of {told.name!r}, not of {name!r}")
    require_known(source.certificate, source.lineage, KeyBook(roster, {}), known)
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
        threshold=history.links[-1].body.terms.sizes.t,
        holders=history.links[-1].members,
        epochs=tuple(map(_told_epoch, history.links)),
    )


def _told_epoch(link: Link) -> ToldEpoch:
    return ToldEpoch(
        epoch=link.body.epoch,
        epoch_hash=link.body.hash,
        threshold=link.body.terms.sizes.t,
        members=link.members,
        made_by=link.dealers,
        shared_anew=link.body.kind is EpochKind.RESHARE,
        holders=link.holders,
        retired=link.retired,
        destroyed=tuple(Destruction(name, moment(at)) for name, at in link.destroyed.items()),
        replaced=link.replaced,
        lost=link.lost,
        rotated=link.rotated,
        order=None if link.order is None else _told_order(link.order, link.members),
    )


def _told_order(order: Order, members: Sequence[str]) -> ToldOrder:
    counted = tuple(members[index - 1] for index in order.counted)
    suspects = tuple(members[index - 1] for index in order.suspects)
    return ToldOrder(counted, suspects, order.reason)
