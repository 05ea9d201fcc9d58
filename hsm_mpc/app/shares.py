"""`share inspect`, `list`, `discard`, `rewrap`: sealed shares, looked at from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from hsm_mpc.agent.admin import AdminMethod
from hsm_mpc.app.acting import Desks, at_work
from hsm_mpc.app.admin import asked
from hsm_mpc.app.holder import OpenHolder, opened, shielded
from hsm_mpc.certificates.body import EpochBody
from hsm_mpc.config import load_holder
from hsm_mpc.errors import BadEncoding, BadInput, Refused
from hsm_mpc.ids import Scheme, WalletId
from hsm_mpc.regular import read_regular
from hsm_mpc.sealing import sealed
from hsm_mpc.sealing.cms import PAIR_CAP
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.record import NOT_SEALED, EpochRecord
from hsm_mpc.wrapping.recipients import KeyRecipient, Recipient

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ShownContext:
    """What the blob is bound to."""

    wallet_id: bytes
    holder: int
    scheme: str
    epoch: int
    epoch_hash: bytes
    threshold: int
    created: datetime


@dataclass(frozen=True, slots=True)
class ShownRecipient:
    """Who can open it."""

    mechanism: str
    uri: str


@dataclass(frozen=True, slots=True)
class Inspected:
    """Read, not verified: only the HSM that opens a blob knows whether it is authentic."""

    file: Path
    sealed_bytes: int
    content_bytes: int
    sha256: bytes
    context: ShownContext
    recipients: tuple[ShownRecipient, ...]


@dataclass(frozen=True, slots=True)
class ListedPair:
    """An ECDSA pair state beside a share."""

    peer: str
    gen: int
    status: str


@dataclass(frozen=True, slots=True)
class ListedShare:
    """One sealed share in the store."""

    wallet: str
    """The wallet's name; its id in hex while the store does not say the name."""
    scheme: str
    epoch: int
    state: str
    """prepared, certified, active, staged, acked, adopted or retiring."""
    file: str
    pairs: tuple[ListedPair, ...]
    """ECDSA only."""
    recipients: tuple[ShownRecipient, ...]
    sealed_bytes: int
    sealed_at: datetime
    """When it was sealed for its present wrapping key, by this holder's clock."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What `share list` shows."""

    shares: tuple[ListedShare, ...]


@dataclass(frozen=True, slots=True)
class Discarded:
    """What `share discard` removed."""

    wallet: str
    wallet_id: str


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What `share rewrap` did: the same share, sealed for another key."""

    wallet: str
    wallet_id: str
    epoch: int
    recipients: tuple[ShownRecipient, ...]


def inspect(file: Path) -> Inspected:
    """The context and recipients of a blob.

    Raises:
        BadInput: the file cannot be read.
        BadEncoding: it is no sealed blob of ours.
    """
    encoded, _ = read_regular(file, PAIR_CAP)
    try:
        found = sealed.inspect(encoded)
    except BadEncoding as broken:
        raise BadEncoding(f"{file}: {broken}") from broken
    context = found.context
    return Inspected(
        file=file,
        sealed_bytes=found.blob_bytes,
        content_bytes=found.content_bytes,
        sha256=found.sha256,
        context=ShownContext(
            wallet_id=context.wallet_id,
            holder=context.holder,
            scheme=_scheme_name(context.scheme),
            epoch=context.epoch,
            epoch_hash=context.epoch_hash,
            threshold=context.threshold,
            created=datetime.fromtimestamp(found.created, UTC),
        ),
        recipients=tuple(_shown(recipient) for recipient in found.recipients),
    )


def inspect_wallet(config_path: Path, wallet: str, prompt: bool) -> Inspected:
    """`inspect` of this holder's newest share of a wallet, by its name.

    Raises:
        BadInput: this holder has none.
    """
    held = [each for each in list_all(config_path, prompt).shares if each.wallet == wallet]
    if not held:
        raise BadInput(f"{wallet}: no such file, and no wallet of that name at this holder")
    return inspect(Path(max(held, key=lambda each: each.epoch).file))


def list_all(config_path: Path, prompt: bool) -> Shares:
    """Every share in the store; the running signer is asked, without one the store is opened."""
    running = asked(load_holder(config_path), AdminMethod.SHARES, Shares)
    if running is not None:
        return running
    with opened(config_path, prompt=prompt) as holder:
        return of(holder)


def of(holder: OpenHolder) -> Shares:
    """The shares of an opened holder.

    Raises:
        Tampered: a record or a blob is not what it must be.
    """
    return Shares(
        tuple(
            _listed(epochs, wallet_id, record)
            for wallet_id, epochs in holder.epochs()
            for record in epochs.records()
            if record.blob_digest != NOT_SEALED
        )
    )


def discard(config_path: Path, wallet: str, prompt: bool) -> Discarded:
    """Remove what an unfinished `create` left, and destroy its wrapping key (step 2.6.8); or what
    this holder was dealt by resharings of which it has not heard the end (6.8.4).

    A share that is prepared only belongs to a key that nobody was shown. Of the others nobody here
    knows whether they came to be: the operator has looked (`wallet show`).

    Raises:
        Refused: `not-prepared`, or `unknown-wallet`.
    """
    running = asked(load_holder(config_path), AdminMethod.DISCARD, Discarded, wallet)
    if running is not None:
        return running
    return at_rest(config_path, prompt, lambda holder, desks: discarded(holder, desks, wallet))


def rewrap(config_path: Path, wallet: str, prompt: bool) -> Rewrapped:
    """Seal the share of the epoch that signs for a new wrapping key, and destroy the old one.

    Raises:
        Refused: `unknown-wallet`, or `epoch-retiring`.
        NotReady: the wallet is not active yet.
        Tampered: the share does not open: nothing was changed.
    """
    running = asked(load_holder(config_path), AdminMethod.REWRAP, Rewrapped, wallet)
    if running is not None:
        return running
    return at_rest(config_path, prompt, lambda holder, desks: rewrapped(holder, desks, wallet))


def at_rest(
    config_path: Path, prompt: bool, act: Callable[[OpenHolder, Desks], _Result]
) -> _Result:
    """What `act` does at this holder, whose signer is not running."""
    with opened(config_path, prompt=prompt) as holder:

        def work() -> _Result:
            desks = at_work(holder)
            try:
                return act(holder, desks)
            finally:
                desks.close()

        return shielded(work)


def discarded(holder: OpenHolder, desks: Desks, wallet: str) -> Discarded:
    """As `discard`, at a holder that is at work. `wallet` is a name, or an id in hex."""
    wallet_id = _wallet_id(holder, desks, wallet)
    if desks.arrivals.is_awaited(wallet_id):
        desks.arrivals.discard(wallet_id)
    else:
        desks.ceremonies.discard(wallet_id)
    return Discarded(wallet, wallet_id.hex())


def rewrapped(holder: OpenHolder, desks: Desks, wallet: str) -> Rewrapped:
    """As `rewrap`, at a holder that is at work. `wallet` is a name, or an id in hex."""
    wallet_id = _wallet_id(holder, desks, wallet)
    held = desks.successions.rewrap(wallet_id)
    blob = sealed.inspect(desks.holder.epochs(wallet_id).blob(held.body.hash))
    recipients = tuple(_shown(recipient) for recipient in blob.recipients)
    return Rewrapped(held.body.terms.name, wallet_id.hex(), held.body.epoch, recipients)


def _wallet_id(holder: OpenHolder, desks: Desks, wallet: str) -> WalletId:
    names = {held.body.terms.name: held.wallet_id for held in desks.wallets.all()}
    ids = {wallet_id.hex(): wallet_id for wallet_id in holder.store.wallet_ids()}
    wallet_id = names.get(wallet, ids.get(wallet))
    if wallet_id is None:
        raise Refused("unknown-wallet", f"nothing of a wallet {wallet!r} is in this store")
    return wallet_id


def _listed(epochs: Epochs, wallet_id: WalletId, record: EpochRecord) -> ListedShare:
    """One share, by the epoch's body and the blob's own context."""
    h = record.epoch_hash
    body = epochs.kept(h, EpochDocument.BODY)
    name = wallet_id.hex() if body is None else EpochBody.from_bytes(body).terms.name
    encoded = epochs.blob(h)
    blob = sealed.inspect(encoded)
    return ListedShare(
        wallet=name,
        scheme=_scheme_name(blob.context.scheme),
        epoch=blob.context.epoch,
        state=record.state.name.lower(),
        file=str(epochs.blob_path(h)),
        pairs=(),
        recipients=tuple(_shown(recipient) for recipient in blob.recipients),
        sealed_bytes=blob.blob_bytes,
        sealed_at=datetime.fromtimestamp(blob.created, UTC),
    )


def _scheme_name(number: int) -> str:
    known = {scheme.value: scheme.name.lower() for scheme in Scheme}
    return known.get(number, f"scheme {number}")


def _shown(recipient: Recipient) -> ShownRecipient:
    if isinstance(recipient, KeyRecipient):
        mechanism = recipient.fields.mechanism.name.lower().replace("_", "-")
        return ShownRecipient(mechanism, recipient.name)
    return ShownRecipient(f"rsa-oaep-{recipient.oaep_hash.value}", recipient.name)
