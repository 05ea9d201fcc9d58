"""`demo --share`: the life of a sealed secret, told step by step on a real token."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from hsm_mpc.agent.opener import OpenableShare, find_wrapping_key
from hsm_mpc.app import holder as holder_app
from hsm_mpc.app.holder import OpenHolder, now, opened, shielded
from hsm_mpc.app.lab import prepare_holder
from hsm_mpc.card import Card, roster_of_cards
from hsm_mpc.certificates.attempt import Attempt
from hsm_mpc.certificates.wrapping_keys import wrapping_key_id
from hsm_mpc.errors import Tampered
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.hsm import keys
from hsm_mpc.ids import EpochHash, HolderIndex, Scheme, WalletId
from hsm_mpc.sealing.context import Context
from hsm_mpc.sealing.sealed import SealedShare, seal
from hsm_mpc.secure.arena import Secret, move_bytes
from hsm_mpc.store.epochs import Epochs
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key

Say = Callable[[str], None]

_HOLDER: Final = HolderIndex(1)
_THRESHOLD: Final = 2
_SCALAR_BYTES: Final = 32
_SHOWN_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Told:
    """What the demo showed."""

    folder: Path | None
    blob: Path | None
    public_value: bytes
    opened_before: bool
    opened_after_destruction: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed share, as it lies on disk."""

    context: Context
    public_value: bytes
    epochs: Epochs
    key: keys.Key
    blob: Path


def tell(folder: Path | None, say: Say) -> Told:
    """Run the story; in a folder that is removed at the end unless one is named.

    Raises:
        BadInput: the named folder is there already.
        BadConfig: no SoftHSM2 module is known.
    """
    began = time.monotonic()
    with _folder(folder) as place:
        say("A holder and its HSM")
        prepared = prepare_holder(place, "h1")
        say(f"  a new SoftHSM2 token {prepared.token!r}, its PINs random, in {place}")
        created = holder_app.init(prepared.config, prompt=False)
        key = created.identity_key.hex()
        say(f"  identity key made inside it, {created.algorithm}: {key[:32]}…")
        with opened(prepared.config, prompt=False) as holder:
            _write_roster_of_one(holder)
            told = shielded(lambda: _story(holder, say))
        say("")
        if folder is None:
            say("Everything was in a temporary folder and is gone.")
            told = replace(told, folder=None, blob=None)
        else:
            say(f"Look around:  hsm-mpc --config {prepared.config} doctor")
    return replace(told, seconds=round(time.monotonic() - began, 3))


@contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    if named is not None:
        yield named.absolute()
        return
    temporary = Path(tempfile.mkdtemp(prefix="hsm-mpc-demo-"))
    try:
        yield temporary / "h1"
    finally:
        shutil.rmtree(temporary)


def _write_roster_of_one(holder: OpenHolder) -> None:
    """So that `inventory` knows this holder's index in what the story leaves behind."""
    card = Card.from_bytes(holder.store.card() or b"")
    roster = roster_of_cards([card], in_lab=True)
    (holder.config.store.parent / "roster").write_bytes(roster.to_bytes())


def _story(holder: OpenHolder, say: Say) -> Told:
    say("\nA secret that nobody has seen")
    sealed = _seal_random_secret(holder, say)
    say("\nWhat lies on disk")
    _show_disk(holder, sealed, say)
    say("\nOpened, where only this process can read")
    matches = open_share(holder, sealed, say)
    say("\nThe wrapping key is destroyed inside the HSM")
    lost = destroy_key(holder, sealed, say)
    folder = holder.config.store.parent
    return Told(folder, sealed.blob, sealed.public_value, matches, not lost, 0.0)


def _seal_random_secret(holder: OpenHolder, say: Say) -> Sealed:
    wallet_id, proposal_hash = WalletId(os.urandom(16)), os.urandom(32)
    context = Context(wallet_id, _HOLDER, Scheme.TAPROOT, 0, _THRESHOLD, EpochHash(os.urandom(32)))
    identity = holder.identity()
    epochs = holder.store.wallet(wallet_id, _HOLDER, identity.sign, identity.key.verify)
    key_id = wrapping_key_id(wallet_id, _HOLDER, proposal_hash, Attempt.NONE, 0)
    record = EpochRecord(
        state=EpochState.PREPARED,
        epoch_hash=context.epoch_hash,
        blob_digest=NOT_SEALED,
        kek_uri=keys.key_uri(holder.token, key_id),
        extra_uris=(),
        key_generation=0,
        clients_version=0,
        clients_hash=bytes(32),
        pairs=(),
    )
    holder.store.audit.append("demo-seal", now(), {"wallet_id": wallet_id.hex()})
    epochs.reserve(record)
    key = keys.generate_wrapping_key(holder.token, key_id, keys.wrapping_label(wallet_id))
    say("  a wrapping key for this wallet and epoch, made in the HSM; it cannot leave")
    with holder.arena.scope() as take:
        secret = take(2 * _SCALAR_BYTES)
        public_value = _draw(holder, secret)
        blob = seal(
            secret, context, [Pkcs11Key(holder.token, key)], holder.entropy, int(time.time())
        )
    sealed = epochs.seal(record, blob)
    say(f"  64 random bytes drawn in {holder.arena.kind} memory, sealed, and wiped")
    say(f"  all that is known of them: x·G = {public_value.hex()}")
    folder = holder.config.store / "wallets" / wallet_id.hex() / "epochs" / context.epoch_hash.hex()
    return Sealed(context, public_value, epochs, key, folder / f"blob-{sealed.blob_digest.hex()}")


def _draw(holder: OpenHolder, secret: Secret) -> bytes:
    """x ‖ v: two random scalars, side by side; the public point of the first."""
    with holder.arena.scope() as take:
        x, v = take(_SCALAR_BYTES), take(_SCALAR_BYTES)
        SECP256K1.random_nonzero(x, holder.entropy)
        SECP256K1.random_nonzero(v, holder.entropy)
        with secret.open() as content, x.open() as share, v.open() as delivery_key:
            move_bytes(content, share, _SCALAR_BYTES)
            move_bytes(content + _SCALAR_BYTES, delivery_key, _SCALAR_BYTES)
        return SECP256K1.public_point(x)


def _show_disk(holder: OpenHolder, sealed: Sealed, say: Say) -> None:
    store = holder.config.store
    for path in sorted(path for path in store.rglob("*") if path.is_file()):
        shown = path.relative_to(store)
        say(f"  {path.stat().st_size:>6} bytes  {_shortened(shown)}")
    ciphertext = SealedShare.parse(sealed.blob.read_bytes()).blob.ciphertext
    say(f"  all that the blob holds of the secret: {ciphertext[:_SHOWN_BYTES].hex()}…")


def _shortened(path: Path) -> str:
    return "/".join(part if len(part) < 24 else f"{part[:12]}…" for part in path.parts)


def open_share(holder: OpenHolder, sealed: Sealed, say: Say) -> bool:
    """Whether what the blob holds is the secret of its public value."""
    share = OpenableShare.load(holder.token, sealed.epochs, sealed.context)
    with holder.arena.scope() as take:
        content, x = take(2 * _SCALAR_BYTES), take(_SCALAR_BYTES)
        share.open_into(content)
        with content.open() as start, x.open() as scalar:
            move_bytes(scalar, start, _SCALAR_BYTES)
        public_value = SECP256K1.public_point(x)
    matches = public_value == sealed.public_value
    say("  the HSM gave the data key into protected memory; the blob was opened there, then wiped")
    say(f"  x·G = {public_value.hex()}  {'the same' if matches else 'ANOTHER VALUE'}")
    return matches


def is_noise(holder: OpenHolder, blob: bytes, say: Say) -> bool:
    """Whether no key in the holder's token opens a blob that was sealed for it."""
    found = SealedShare.parse(blob).blob
    (recipient,) = found.recipients
    name = holder.config.name
    say(f"  {len(blob)} bytes, sealed for {name}'s HSM, which is there, and opens them no more:")
    try:
        find_wrapping_key(holder.token, recipient.name, WalletId(found.context.wallet_id))
    except Tampered as refused:
        say(f"  {refused}")
        return True
    return False


def destroy_key(holder: OpenHolder, sealed: Sealed, say: Say) -> bool:
    """Whether the blob can no longer be opened."""
    copy = sealed.blob.read_bytes()
    holder.store.audit.append("demo-destroy", now(), {"wallet_id": sealed.context.wallet_id.hex()})
    keys.destroy(holder.token, sealed.key)
    unchanged = sealed.blob.read_bytes() == copy
    try:
        open_share(holder, sealed, lambda _: None)
    except Tampered as refused:
        say(f"  the file is there, {'unchanged' if unchanged else 'CHANGED'}, and is noise now:")
        say(f"  {refused}")
        return True
    return False
