"""`demo`: a wallet's life, from five empty HSMs to coins spent on two chains' own code."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hsm_mpc.app import history, history_drawn, shares
from hsm_mpc.app import lab as lab_app
from hsm_mpc.app.client import connected
from hsm_mpc.app.demo_second_chain import second_chain
from hsm_mpc.app.demo_share import Sealed, destroy_key, is_noise, open_share
from hsm_mpc.app.demo_story import Clock, Say, Story, Took
from hsm_mpc.app.demo_stranger import seen, stranger
from hsm_mpc.app.holder import OpenHolder, opened, shielded
from hsm_mpc.app.lab_report import LabReport
from hsm_mpc.app.wallet import LAB_POLICY
from hsm_mpc.client.signing import VerifiedSignature
from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.demo.blocks import Transaction
from hsm_mpc.demo.chain import MATURITY, RegtestChain
from hsm_mpc.errors import BadInput, HsmMpcError, QuorumUnreachable
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.uri import KeyUri
from hsm_mpc.ids import Scheme
from hsm_mpc.protocols.taproot_key import TaprootKey
from hsm_mpc.requests import RequestType
from hsm_mpc.sealing.context import Context
from hsm_mpc.store.epochs import Epochs
from hsm_mpc.taproot.derivation import Path as KeyPath
from hsm_mpc.taproot.encodings import Network, base58
from hsm_mpc.taproot.sighash import NewOutput, Spend, SpentOutput

_HOLDERS: Final = 5
_THRESHOLD: Final = 3
_ALL_HOLDERS: Final = 7
"""The others have a part at the end."""
_LAST_THRESHOLD: Final = 4
_NAME: Final = "treasury"
_FEE: Final = 1000
_COINS: Final = 7
_LONGEST_CATCHING_UP: Final = 60.0
"""Seconds: the coordinator asks again every 15."""
_LOOK_AGAIN: Final = 0.25
_MINER: Final = b"\x51"
"""Anybody may spend what the other blocks pay: it is nobody's story."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the demo showed."""

    folder: Path | None
    """The lab, where one was named; it is down."""
    address: str
    heights: tuple[int, ...]
    """Of the chain: before the first spend, after a forged one, after each true one."""
    epoch: int
    """Of the taproot wallet, at the end: refreshed, repaired, shared anew."""
    second_address: str
    """Of the Ed25519 wallet."""
    lamports: int
    """What arrived on the second chain, by a true signature after a forged one."""
    old_share_noise: bool
    """A copy of a share of the epoch before opens no more, although its HSM is there."""
    old_key_listed: tuple[bool, ...]
    """Whether pkcs11-tool, a program of others, saw its wrapping key in the HSM: before the refresh
    and after it. Empty: it is not installed.
    """
    refusal: str
    """What is said when too few holders are there."""
    share_opened: bool
    """The sealed share gave the public share that the certificate names."""
    share_noise: bool
    """After its wrapping key was destroyed it gave nothing."""
    took: tuple[Took, ...]
    seconds: float


def tell(folder: Path | None, say: Say) -> Told:
    """Run the story, in a lab that is removed at the end unless a folder is named.

    Raises:
        BadInput: the named folder is there already.
        BadConfig: no SoftHSM2 module is known.
    """
    if folder is not None and folder.exists():
        raise BadInput(f"{folder} is already there; name a new folder")
    began = time.monotonic()
    with _place(folder) as (lab, chain_folder):
        story = Story(lab, say, Clock(), RegtestChain(chain_folder))
        try:
            wallet, second = _chapters(story)
        finally:
            if lab.exists():
                lab_app.down(lab)
    address = _taproot(wallet).spending_key(KeyPath()).address(Network.REGTEST)
    _table(story)
    if folder is not None:
        say(f"\nThe lab stays:  hsm-mpc lab up --dir {lab}")
    return Told(
        folder=folder,
        address=address,
        heights=tuple(story.heights),
        epoch=wallet.body.epoch,
        second_address=base58(second.key.public_key(KeyPath())),
        lamports=story.lamports,
        old_share_noise=story.old_blob_is_noise,
        old_key_listed=tuple(seen.is_listed for seen in story.seen),
        refusal=story.refusal,
        share_opened=story.share_opened,
        share_noise=story.share_is_noise,
        took=tuple(story.clock.rows),
        seconds=round(time.monotonic() - began, 3),
    )


def _chapters(story: Story) -> tuple[VerifiedWallet, VerifiedWallet]:
    report = _holders(story)
    with connected(report.client_config) as client:
        wallet = _key(story, client)
        _spends(story, client, wallet)
        second = second_chain(story, client, _first_names(client), _THRESHOLD)
        _refresh(story, client)
        wallet = _absent(story, client)
        story.say("\nTwo holders are gone")
        for name in ("h4", "h5"):
            lab_app.stop_holder(story.lab, name)
        story.say("  h4 and h5 are stopped; three are left, and three are enough")
        _spend(story, client, wallet, "  spent")
        _too_few(story, client, wallet)
        _share(story, wallet)
        story.say("\nThe wallet lives on")
        with story.clock.row("a stopped holder starts again"):
            lab_app.start_holder(story.lab, "h3")
        lab_app.start_holder(story.lab, "h4")
        story.say("  h3 and h4 are back; nobody needs h5")
        _spend(story, client, wallet, "  spent")
        wallet = _reshare(story, client, _repair(story, client))
    return wallet, second


@contextmanager
def _place(named: Path | None) -> Iterator[tuple[Path, Path]]:
    """The lab's folder and the chain's. What nobody named is removed."""
    temporary = Path(tempfile.mkdtemp(prefix="hsm-mpc-demo-"))
    try:
        yield (named.absolute() if named else temporary / "lab", temporary / "chain")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _holders(story: Story) -> LabReport:
    story.say(f"{_ALL_HOLDERS} holders, each with an HSM of its own")
    with story.clock.row(f"{_ALL_HOLDERS} holders: tokens, keys, processes"):
        report = lab_app.up(story.lab, _ALL_HOLDERS, lambda line: story.say(f"  {line} …"))
    names = ", ".join(holder.name for holder in report.holders)
    story.say(f"  {names}: each a SoftHSM2 token, a signer and a front; no key of a wallet yet")
    return report


def _key(story: Story, client: WalletClient) -> VerifiedWallet:
    story.say("\nA key that nobody has")
    with story.clock.row(f"key generation, {_THRESHOLD}-of-{_HOLDERS}, certified by all HSMs"):
        names = _first_names(client)
        wallet = client.create(_NAME, Scheme.TAPROOT, _THRESHOLD, LAB_POLICY, names)
    key = _taproot(wallet)
    spending = key.spending_key(KeyPath())
    story.say(f"  made by {', '.join(names)} together; any {_THRESHOLD} of them sign")
    story.say("  its certificate, signed inside every HSM, was verified here")
    story.say(f"  address     {spending.address(Network.MAIN)}")
    story.say(f"  on regtest  {spending.address(Network.REGTEST)}")
    story.say(f"  descriptor  {key.root.descriptor(Network.MAIN)}")
    return wallet


def _first_names(client: WalletClient) -> list[str]:
    """Of those who make the keys."""
    return [member.name for member in client.roster.members[:_HOLDERS]]


def _taproot(wallet: VerifiedWallet) -> TaprootKey:
    if not isinstance(wallet.key, TaprootKey):
        raise HsmMpcError("the demo's wallet is no taproot wallet")
    return wallet.key


def _spends(story: Story, client: WalletClient, wallet: VerifiedWallet) -> None:
    story.say("\nBitcoin Core's own code is the judge")
    pays = _taproot(wallet).spending_key(KeyPath()).script_pubkey
    with story.clock.row("a regtest chain of a hundred blocks"):
        story.coins = [story.chain.mine(pays) for _ in range(_COINS)]
        while story.chain.height < MATURITY + _COINS:
            story.chain.mine(_MINER)
    story.heights.append(story.chain.height)
    story.say(f"  a chain of {story.chain.height} blocks; the first {_COINS} pay 50 BTC each to us")
    forged = _transaction(wallet, story.coins[0], lambda _: bytes(63) + b"\1")
    story.chain.mine(_MINER, [forged])
    story.heights.append(story.chain.height)
    story.say(f"  with a false signature:  block refused, height stays {story.chain.height}")
    _spend(story, client, wallet, "  with our signature")


def _spend(
    story: Story,
    client: WalletClient,
    wallet: VerifiedWallet,
    words: str,
    signers: Sequence[int] = (),
) -> None:
    """Spend the next coin, by whoever answers unless `signers` are named; the judge is the chain's
    height.
    """
    signed: list[VerifiedSignature] = []

    def by_quorum(digest: bytes) -> bytes:
        signed.append(client.sign(wallet, RequestType.DIGEST, digest, KeyPath(), signers))
        return signed[0].signature

    with story.clock.row("one signature"):
        transaction = _transaction(wallet, story.coins.pop(0), by_quorum)
    before = story.chain.height
    story.chain.mine(_MINER, [transaction])
    story.heights.append(story.chain.height)
    if story.chain.height != before + 1:
        raise HsmMpcError("Bitcoin Core's code refused a spend of ours")
    by = ", ".join(client.roster.member(index).name for index in signed[0].signers)
    story.say(f"{words}, by {by}:  block accepted, height {story.chain.height}")


def _transaction(
    wallet: VerifiedWallet, coin: SpentOutput, signature: Callable[[bytes], bytes]
) -> Transaction:
    """All of a coin less a fee, to the wallet's next address."""
    target = _taproot(wallet).spending_key(KeyPath(0, 1)).script_pubkey
    spend = Spend(2, 0, (coin,), (NewOutput(coin.amount - _FEE, target),))
    return Transaction(spend, ((signature(spend.signature_hash(0)),),))


def _refresh(story: Story, client: WalletClient) -> VerifiedWallet:
    """The wallet in its next epoch, which spends."""
    story.say("\nNew shares of the same key")
    before = shares.inspect_wallet(_config_of_h5(story), _NAME, prompt=False)
    story.old_blob = before.file.read_bytes()
    _strangers_eye(story)
    with story.clock.row("refresh: new shares and keys, the old ones gone"):
        renewed = client.refresh(_NAME, ())
    newest = renewed.newest
    if newest is None or not newest.retired or newest.waiting_for:
        raise HsmMpcError("the old epoch was not retired by all holders")
    story.say(f"  the wrapping keys of epoch {renewed.body.epoch - 1} are destroyed in all HSMs")
    _spend(story, client, renewed, "  the new ones spend from the same address")
    _picture(story, client)
    return renewed


def _absent(story: Story, client: WalletClient) -> VerifiedWallet:
    """A refresh without h2, which has its new share by itself when it comes back."""
    story.say("\nA holder is away while the others refresh")
    away = client.roster.index_of("h2")
    lab_app.stop_holder(story.lab, "h2")
    with story.clock.row("refresh without a holder"):
        renewed = client.refresh(_NAME, (away,))
    epoch = renewed.body.epoch
    story.say(
        f"  h2 is stopped; epoch {epoch} signs, and the keys of epoch {epoch - 1} wait for h2"
    )
    lab_app.start_holder(story.lab, "h2")
    with story.clock.row("who was away catches up, and the old keys go"):
        renewed = _retired_by_itself(client)
    story.say(f"  h2 is back: it has made its share of epoch {epoch} by itself, and they are gone")
    _spend(story, client, renewed, "  spent", (1, away, 3))
    return renewed


def _retired_by_itself(client: WalletClient) -> VerifiedWallet:
    until = time.monotonic() + _LONGEST_CATCHING_UP
    while time.monotonic() < until:
        wallet = client.show(_NAME)
        if wallet.newest is not None and wallet.newest.retired and not wallet.newest.waiting_for:
            return wallet
        time.sleep(_LOOK_AGAIN)
    raise HsmMpcError("the holder that was away did not catch up")


def _picture(story: Story, client: WalletClient) -> None:
    told = history.told_of(client.chain(_NAME), client.roster)
    story.say("")
    for line in history_drawn.picture(told):
        story.say(f"  {line}".rstrip())


def _repair(story: Story, client: WalletClient) -> VerifiedWallet:
    """h5 on another HSM, with a share that three others have made for it."""
    story.say("\nThe HSM of h5 is lost, and everything on its disk")
    lost = client.roster.index_of("h5")
    with story.clock.row("another HSM, its share made anew by three others"):
        lab_app.replace_holder(story.lab, "h5")
        repaired = client.repair(_NAME, lost)
    story.say("  a new one has another identity key, which the wallet's roster names from now on")
    story.say("  three others made its share again, and learned nothing; then all were refreshed")
    _spend(story, client, repaired, "  spent", (1, 2, lost))
    _picture(story, client)
    return repaired


def _reshare(story: Story, client: WalletClient, before: VerifiedWallet) -> VerifiedWallet:
    """The same key for all holders of the lab; those who had none before spend, too."""
    story.say("\nThe same key, shared anew among more holders")
    names = [member.name for member in client.roster.members]
    words = f"resharing, {_THRESHOLD}-of-{_HOLDERS} to {_LAST_THRESHOLD}-of-{_ALL_HOLDERS}"
    with story.clock.row(words):
        shared = client.reshare(_NAME, _LAST_THRESHOLD, names)
    if shared.body.group_key != before.body.group_key:
        raise HsmMpcError("a resharing made another key")
    story.say(f"  any {_LAST_THRESHOLD} of {', '.join(names)} sign; the address stays")
    _spend(story, client, shared, "  spent", (2, 5, 6, 7))
    _picture(story, client)
    return shared


def _too_few(story: Story, client: WalletClient, wallet: VerifiedWallet) -> None:
    story.say("\nA third is gone")
    lab_app.stop_holder(story.lab, "h3")
    try:
        with story.clock.row("a refusal, after waiting for who may come back"):
            client.sign(wallet, RequestType.MESSAGE, b"give me everything", KeyPath(), ())
    except QuorumUnreachable as refused:
        story.refusal = str(refused)
        story.say(f"  nothing is signed: {refused}")
        return
    raise HsmMpcError("two of three needed holders signed")


def _share(story: Story, wallet: VerifiedWallet) -> None:
    """A share as it lies on disk, opened, and lost for good; at a holder that is stopped."""
    with opened(_config_of_h5(story), prompt=False) as holder:
        story.say("\nA copy of h5's share from before the refresh")
        story.old_blob_is_noise = is_noise(holder, story.old_blob, story.say)
        _strangers_eye(story)
        story.say("\nWhat lies on the disk of h5")
        sealed = _sealed(holder, wallet)
        shown = shares.inspect(sealed.blob)
        recipient = shown.recipients[0]
        story.say(f"  {shown.sealed_bytes} bytes that hold h5's share of the key, sealed")
        story.say(f"  for one recipient: {recipient.mechanism}, {recipient.uri[:48]}…")
        story.say("\nOpened with its HSM, where only this process can read")
        story.share_opened = shielded(lambda: open_share(holder, sealed, story.say))
        story.say("\nIts wrapping key is destroyed inside the HSM")
        story.share_is_noise = shielded(lambda: destroy_key(holder, sealed, story.say))


def _strangers_eye(story: Story) -> None:
    """What OpenSC's pkcs11-tool says of the wrapping key of the share in epoch 0."""
    tool = stranger()
    if tool is None:
        story.say("  (pkcs11-tool of OpenSC is not installed: it would list the keys in that HSM)")
        return
    found = seen(tool, _config_of_h5(story), story.old_blob)
    story.seen.append(found)
    listed = ", ".join(f"{each[:16]}…" for each in found.listed) or "none"
    story.say(f"  pkcs11-tool lists the secret keys in h5's token: {listed}")
    where = "among them" if found.is_listed else "NOT among them"
    story.say(
        f"  the one under which h5's share of epoch 0 is sealed, {found.wanted[:16]}…, is {where}"
    )


def _config_of_h5(story: Story) -> Path:
    return story.lab / "h5" / "holder.yaml"


def _sealed(holder: OpenHolder, wallet: VerifiedWallet) -> Sealed:
    body, me = wallet.body, holder.index()
    terms, identity = body.terms, holder.identity()
    epochs: Epochs = holder.store.wallet(terms.wallet_id, me, identity.sign, identity.key.verify)
    named = KeyUri.parse(epochs.record(body.hash).kek_uri)
    label = keys.wrapping_label(terms.wallet_id)
    return Sealed(
        context=Context(terms.wallet_id, me, terms.scheme, body.epoch, terms.sizes.t, body.hash),
        public_value=body.public_share(me),
        epochs=epochs,
        key=keys.wrapping_key(holder.token, named.key_id, label, named.object_class),
        blob=epochs.blob_path(body.hash),
    )


def _table(story: Story) -> None:
    story.say("\nWhat took how long")
    for row in story.clock.rows:
        story.say(f"  {row.what:<56} {row.seconds:>8.3f} s")
