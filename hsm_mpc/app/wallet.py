"""`wallet …`: what a client may do with wallets. Everything shown was verified here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path as File
from typing import Final, Literal

from hsm_mpc.app.client import connected
from hsm_mpc.app.inputs import content_of, digest_of
from hsm_mpc.app.moments import moment
from hsm_mpc.client.known import NotKnown
from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.errors import BadInput, NotReady
from hsm_mpc.ids import EpochHash, Scheme
from hsm_mpc.policy.rules import LARGEST_FILE
from hsm_mpc.policy_file import policy
from hsm_mpc.protocols.taproot_key import TaprootKey
from hsm_mpc.roster import Roster
from hsm_mpc.taproot.derivation import Path
from hsm_mpc.taproot.encodings import Network, base58

LAB_POLICY: Final = b"version: 1\npermissions: [raw, message, message-prefixed]\n"
"""What a lab's wallets sign unless a policy is named."""

DEFAULT_POLICY: Final = b"version: 1\npermissions: [message-prefixed, psbt]\n"
"""What wallets outside of a lab sign unless a policy is named: nothing that hides its content."""


@dataclass(frozen=True, slots=True)
class Retired:
    """An epoch that was replaced: whether its wrapping keys are gone from every HSM."""

    epoch: int
    state: Literal["done", "waiting"]
    waiting_for: tuple[str, ...]
    """Whose confirmation of the new epoch is missing, or of the destruction of the old key."""
    lost: tuple[str, ...]
    """Whose HSM was lost while it lived: that one may have its key still."""
    destroyed: tuple[str, ...]
    """Who has destroyed its key, as each has signed."""
    left: tuple[str, ...]
    """Who was a holder then, and is none any more."""
    dangerous_until: int
    """How many of its holders have to destroy their keys before old shares together sign no more:
    n − t + 1.
    """
    ordered: bool = False
    """Whether administrators have ordered its end although a confirmation was missing."""
    suspects: tuple[str, ...] = ()
    """Whom that order suspects."""
    until: None = None
    """When a key is destroyed that a service keeps for some time: none of this version does."""


@dataclass(frozen=True, slots=True)
class ShownWallet:
    """A wallet whose certificate and confirmations were verified under the pinned roster.

    Keys have 32 bytes. Of a taproot wallet they are x-only; `public_key`, `internal_key` and
    `addresses` are those of m/0/0. An Ed25519 wallet has one key, and nothing that leads to others.
    """

    name: str
    scheme: str
    threshold: int
    holders: tuple[str, ...]
    epoch: int
    since: datetime | None
    """When that epoch was made, by the coordinator's clock; no certificate says it of epoch 0."""
    public_key: bytes
    internal_key: bytes | None
    addresses: dict[str, str]
    certificate_sha256: bytes
    policy_sha256: bytes
    xpub: str | None
    descriptor: str | None
    retired: Retired | None = None
    """What has become of the epoch before; None: there is none before epoch 0."""
    destroyed: tuple[str, ...] = ()
    """The holders that have destroyed all their keys of this wallet. Where so few are left that
    nobody signs for it again, no address is shown, nor what leads to one.
    """


@dataclass(frozen=True, slots=True)
class DestroyedWallet:
    """Which holders have destroyed their keys of a wallet. Its name stays taken."""

    name: str
    destroyed: tuple[str, ...]
    waiting_for: tuple[str, ...]
    final: bool
    """Whether so few are left that nobody signs for it again."""


@dataclass(frozen=True, slots=True)
class ListedWallet:
    """A wallet in a list: what `show` verifies, or that it is not active yet, or not known."""

    name: str
    active: bool
    known: bool = True
    """Else some of the holders have made it, and `show` says what to do."""
    destroyed: bool = False
    """So many holders have destroyed their keys that nobody signs for it again."""
    scheme: str | None = None
    threshold: int | None = None
    holders: tuple[str, ...] = ()
    epoch: int | None = None
    public_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Wallets:
    """All wallets of a coordinator."""

    wallets: tuple[ListedWallet, ...]


def create(
    config_path: File,
    name: str,
    scheme: str,
    threshold: int,
    holders: Sequence[str] | None,
    policy_path: File | None,
) -> ShownWallet:
    """Have a wallet made.

    Raises:
        BadInput: no such scheme or holder, or no policy where one is wanted.
        Others: as `WalletClient.create`.
    """
    with connected(config_path) as client:
        policy_file = _policy_file(policy_path, _scheme(scheme), in_lab=client.roster.lab)
        named = _named_once(client.roster, holders)
        made = client.create(name, _scheme(scheme), threshold, policy_file, named)
        return shown_wallet(made)


def refresh(config_path: File, name: str, absent: Sequence[str]) -> ShownWallet:
    """New shares and new wrapping keys, under the same public key.

    Args:
        absent: names of holders that are not waited for.

    Raises:
        BadInput: no such holder.
        Others: as `WalletClient.refresh`.
    """
    with connected(config_path) as client:
        indices = sorted({client.roster.index_of(each) for each in absent})
        return shown_wallet(client.refresh(name, indices))


def reshare(
    config_path: File, name: str, threshold: int, holders: Sequence[str] | None
) -> ShownWallet:
    """Share a wallet's key anew, with another threshold or other holders; its public key stays.

    Raises:
        BadInput: no such holder.
        Others: as `WalletClient.reshare`.
    """
    with connected(config_path) as client:
        return shown_wallet(client.reshare(name, threshold, _named_once(client.roster, holders)))


def destroy(config_path: File, name: str, reason: str) -> DestroyedWallet:
    """Have every holder destroy its keys of a wallet, for ever; as `WalletClient.destroy`."""
    with connected(config_path) as client:
        end = client.destroy(name, reason)
        return DestroyedWallet(
            end.name,
            _names(end.roster, end.destroyed),
            _names(end.roster, end.waiting_for),
            end.is_final,
        )


def show(config_path: File, name: str) -> ShownWallet:
    """The wallet called `name`, as `WalletClient.show`."""
    with connected(config_path) as client:
        return shown_wallet(client.show(name))


def trust(config_path: File, name: str, epoch_hash: str) -> ShownWallet:
    """The wallet called `name` is known from now on.

    Args:
        epoch_hash: in hex, as a holder says it.

    Raises:
        BadInput: no such hash.
        Others: as `WalletClient.trust`.
    """
    trusted = EpochHash(digest_of(epoch_hash))
    with connected(config_path) as client:
        return shown_wallet(client.trust(name, trusted))


def every(config_path: File) -> Wallets:
    """All wallets.

    Raises:
        Tampered: a certificate does not verify.
    """
    with connected(config_path) as client:
        return Wallets(tuple(_listed(client, name) for name in client.names()))


def shown_wallet(wallet: VerifiedWallet) -> ShownWallet:
    """A verified wallet, for people."""
    body, key = wallet.body, wallet.key
    shown = ShownWallet(
        name=wallet.name,
        scheme=wallet.scheme.name.lower(),
        threshold=wallet.threshold,
        holders=tuple(member.name for member in wallet.roster.members),
        epoch=body.epoch,
        since=None if wallet.newest is None else moment(wallet.newest.since),
        public_key=key.public_key(Path()),
        internal_key=None,
        addresses={"solana": base58(key.public_key(Path()))},
        certificate_sha256=hashlib.sha256(wallet.newest_certificate()).digest(),
        policy_sha256=body.terms.policy_hash,
        xpub=None,
        descriptor=None,
        retired=_retired(wallet),
        destroyed=_names(wallet.end.roster, wallet.end.destroyed),
    )
    if wallet.end.is_final:  # whatever is paid to it is lost
        return replace(shown, addresses={})
    return _with_descriptor(shown, key) if isinstance(key, TaprootKey) else shown


def _retired(wallet: VerifiedWallet) -> Retired | None:
    newest = wallet.newest
    if newest is None:
        return None
    missing = _names(newest.before, newest.waiting_for)
    lost = _names(newest.before, newest.replaced)
    done = newest.retired and not missing
    before = [member.name for member in newest.before.members]
    still = {member.name for member in wallet.roster.members}
    order = newest.order
    return Retired(
        epoch=wallet.body.epoch - 1,
        state="done" if done else "waiting",
        waiting_for=missing,
        lost=lost,
        destroyed=tuple(each for each in before if newest.retired and each not in missing + lost),
        left=tuple(sorted(each for each in before if each not in still)),
        dangerous_until=newest.before.n - newest.threshold_before + 1,
        ordered=order is not None,
        suspects=() if order is None else _names(newest.before, order.suspects),
    )


def _names(roster: Roster, indices: Sequence[int]) -> tuple[str, ...]:
    return tuple(roster.member(index).name for index in indices)


def _with_descriptor(shown: ShownWallet, key: TaprootKey) -> ShownWallet:
    spending = key.spending_key(Path())
    return replace(
        shown,
        internal_key=spending.internal_key,
        addresses={
            "bitcoin": spending.address(Network.MAIN),
            "bitcoin_testnet": spending.address(Network.TEST),
            "bitcoin_regtest": spending.address(Network.REGTEST),
        },
        xpub=key.root.xpub(Network.MAIN),
        descriptor=key.root.descriptor(Network.MAIN),
    )


def _listed(client: WalletClient, name: str) -> ListedWallet:
    try:
        wallet = client.show(name)
    except NotReady:
        return ListedWallet(name, active=False)
    except NotKnown:
        return ListedWallet(name, active=False, known=False)
    return ListedWallet(
        name=name,
        active=not wallet.end.is_final,
        destroyed=wallet.end.is_final,
        scheme=wallet.scheme.name.lower(),
        threshold=wallet.threshold,
        holders=tuple(member.name for member in wallet.roster.members),
        epoch=wallet.body.epoch,
        public_key=wallet.key.public_key(Path()),
    )


def _named_once(roster: Roster, holders: Sequence[str] | None) -> Sequence[str]:
    """None: nobody is named. Raises: BadInput: an empty list, or a name twice or unknown."""
    if holders is None:
        return ()
    if not holders:
        raise BadInput("--holders: nobody is named")
    if len(set(holders)) != len(holders):
        raise BadInput("--holders: somebody is named twice")
    for name in holders:
        roster.index_of(name)
    return holders


def _scheme(name: str) -> Scheme:
    try:
        return Scheme[name.upper()]
    except KeyError as unknown:
        raise BadInput(f"scheme {name!r}: taproot or ed25519") from unknown


def _policy_file(path: File | None, scheme: Scheme, *, in_lab: bool) -> bytes:
    """The policy's bytes; that it can be read is checked before any holder is asked."""
    if path is None and scheme is Scheme.ED25519 and not in_lab:
        raise BadInput("outside of a lab an ed25519 wallet wants a --policy: no default fits it")
    if path is None:
        return LAB_POLICY if in_lab else DEFAULT_POLICY
    content = content_of(path, LARGEST_FILE)
    policy(content)
    return content
