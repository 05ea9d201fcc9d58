"""The epochs of one wallet on disk: records, sealed blobs and public documents (6.2, 1.11.6).

    <wallet>/epochs/<h hex>/record               signed; names the blob; its rename is the commit
                            blob-<SHA-256 hex>   sealed (1.11): opens only with its wrapping key
                            pairs/<j>-<gen>      sealed pair states of ECDSA
                            body, policy, clients, certificate, done, …

Order of an epoch whose h is known before its wrapping key is made (step 6.2.2): `reserve` (the
record names the key, and no blob) → key in the HSM → `seal`. Epoch 0 (steps 2.6.2, 2.6.6):
`Proposals.begin` → key in the HSM → … → `keep` the body → `seal`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

from hsm_mpc.errors import BadInput, HsmMpcError, Refused, Tampered
from hsm_mpc.ids import EpochHash, HolderIndex, WalletId
from hsm_mpc.store import files, names
from hsm_mpc.store.record import NOT_SEALED, EpochRecord, EpochState, Sign, Verify, parse

BLOB_CAP = 16 << 10  # bytes (step 1.11.2)
RECORD_CAP = 64 << 10  # bytes

_MAY_FOLLOW: dict[EpochState, tuple[EpochState, ...]] = {
    EpochState.PREPARED: (EpochState.CERTIFIED,),
    EpochState.CERTIFIED: (EpochState.ACTIVE,),
    EpochState.ACTIVE: (EpochState.RETIRING,),
    EpochState.STAGED: (EpochState.ACKED, EpochState.ADOPTED, EpochState.ACTIVE),
    EpochState.ACKED: (EpochState.ADOPTED, EpochState.ACTIVE),
    EpochState.ADOPTED: (EpochState.ACTIVE,),
    EpochState.RETIRING: (),
}
_NEVER_SIGNED = (EpochState.STAGED, EpochState.ACKED, EpochState.ADOPTED)
"""Of a successor that another one overtook (step 6.5.7)."""


class EpochDocument(StrEnum):
    """A public file of an epoch that is written once; the value is its name."""

    BODY = "body"
    POLICY = "policy"
    CLIENTS = "clients"
    CERTIFICATE = "certificate"
    ROSTER = "roster"
    """Of a first epoch whose holders are not all of the pinned roster, and of a successor that a
    resharing makes.
    """
    DONE = "done"
    """The own DONE message."""
    DONES = "dones"
    """The DONE messages of all holders: they make the epoch active. Of a successor that a resharing
    makes those of all new ones, beside which this holder has voted for it.
    """
    TRANSCRIPT = "transcript"
    """Of a successor: PROPOSE, then CHANNEL and DEAL of each member: who was away replays it."""
    RETIREMENT = "retirement"
    """What proves that the successor may take the epoch's place; written before its key goes."""
    DESTROYED = "destroyed"
    """The own DESTROYED message: the epoch's key is gone."""

    @property
    def step_name(self) -> str:
        """What its durable steps are called."""
        return f"epoch-{self.value}"


STEPS = (
    *files.steps_of_folder("wallet-folder"),
    *files.steps_of_folder("epochs-folder"),
    *files.steps_of_folder("epoch-folder"),
    *files.steps_of_new("blob"),
    *files.steps_of_replace("record"),
    *(step for document in EpochDocument for step in names.steps_of_keep(document.step_name)),
    *files.steps_of_replace("epoch-renewed"),
    *files.steps_of_remove("unnamed"),
    *files.steps_of_remove("record-without-share"),
    *files.steps_of_remove_folder("epoch-folder"),
    *files.steps_of_remove_folder("wallet-folder"),
)


class Epochs:
    """The epochs of holder `index` in one wallet, for the one process that has the store's lock.

    Methods that write to one epoch are not for several threads at once. Every method raises
    `BackendError` where the disk fails, and `Tampered` where a record is not the holder's own for
    this wallet and epoch, a named blob differs, or a mode is wrong.
    """

    __slots__ = ("_index", "_sign", "_verify", "_wallet", "_wallet_id")

    def __init__(
        self, wallet: Path, wallet_id: WalletId, index: HolderIndex, sign: Sign, verify: Verify
    ) -> None:
        self._wallet = wallet
        self._wallet_id = wallet_id
        self._index = index
        self._sign = sign
        self._verify = verify

    def hashes(self) -> tuple[EpochHash, ...]:
        """Every epoch that has a folder, with or without a record, ascending by hash."""
        folder = self._wallet / "epochs"
        if not files.present(folder):
            return ()
        return tuple(EpochHash(h) for h in names.hashes_in(folder, 32))

    def records(self) -> tuple[EpochRecord, ...]:
        """The record of every epoch that has one."""
        found = (self._record_if_present(h) for h in self.hashes())
        return tuple(record for record in found if record is not None)

    def record(self, h: EpochHash) -> EpochRecord:
        """The record of epoch `h`, which must be there."""
        record = self._record_if_present(h)
        if record is None:
            raise Tampered(f"{self._path(h) / 'record'} is missing")
        return record

    def blob(self, h: EpochHash) -> bytes:
        """The sealed blob of epoch `h`: exactly the bytes that its record names (decision 5).

        Raises: Refused (not-sealed), and as all methods.
        """
        path = self.blob_path(h)
        blob = files.read(path, BLOB_CAP)
        if path.name != _blob_name(hashlib.sha256(blob).digest()):
            raise Tampered(f"{path} is not the blob that the record names")
        return blob

    def blob_path(self, h: EpochHash) -> Path:
        """Where the sealed blob of epoch `h` lies.

        Raises: Refused (not-sealed), and as all methods.
        """
        digest = self.record(h).blob_digest
        if digest == NOT_SEALED:
            raise Refused("not-sealed", f"{self._path(h)}: no blob was sealed yet")
        return self._path(h) / _blob_name(digest)

    def reserve(self, record: EpochRecord) -> None:
        """Name the wrapping key of an epoch before the key is made (step 6.2.2).

        Raises: BadInput (a blob is named), Refused (epoch-exists), and as all methods.
        """
        if record.blob_digest != NOT_SEALED:
            raise BadInput("a reserved epoch record names no blob")
        found = self._record_if_present(record.epoch_hash)
        if found is not None and found != record:
            raise Refused("epoch-exists", f"{self._path(record.epoch_hash)} has another record")
        self._make_folder(record.epoch_hash)
        self._write_record(record)

    def seal(self, record: EpochRecord, blob: bytes) -> EpochRecord:
        """Write `blob`, then the record that names it: renaming that is the commit (step 1.11.6).

        `record` says all but the digest. Gives back what is on disk now. The blob that was named
        before, if any, is deleted.
        Raises: BadInput (too long a blob), Refused (epoch-state), and as all methods.
        """
        if len(blob) > BLOB_CAP:
            raise BadInput(f"a sealed blob has at most {BLOB_CAP} bytes")
        sealed = replace(record, blob_digest=hashlib.sha256(blob).digest())
        self._check_succession(self._record_if_present(sealed.epoch_hash), sealed)
        self._make_folder(sealed.epoch_hash)
        folder = self._path(sealed.epoch_hash)
        names.keep(folder / _blob_name(sealed.blob_digest), blob, "blob")
        self._write_record(sealed)
        self._remove_unnamed(sealed)
        return sealed

    def change(self, record: EpochRecord) -> None:
        """Put `record` in the place of the epoch's record: its state, keys, clients or pairs.

        Raises: Refused (epoch-state, other-blob), and as all methods.
        """
        found = self.record(record.epoch_hash)
        self._check_succession(found, record)
        if found.blob_digest != record.blob_digest:
            raise Refused("other-blob", f"{self._path(record.epoch_hash)}: only seal changes blobs")
        self._write_record(record)

    def sign_again(self) -> None:
        """Every record, by the key that signs now: that before it is about to go (step 6.7.9)."""
        for record in self.records():
            self._write_record(record)

    def keep(self, h: EpochHash, document: EpochDocument, content: bytes) -> None:
        """Write a public document of epoch `h`; what is once kept never changes."""
        self._make_folder(h)
        names.keep(self._path(h) / document.value, content, document.step_name)

    def renew(self, h: EpochHash, document: EpochDocument, content: bytes) -> None:
        """Put a document into the place of the one before: after a repair, another DONE."""
        self._make_folder(h)
        files.replace(self._path(h) / document.value, content, "epoch-renewed")

    def kept(self, h: EpochHash, document: EpochDocument) -> bytes | None:
        """What `keep` was given, or None."""
        return files.read_if_present(self._path(h) / document.value, names.DOCUMENT_CAP)

    def discard(self, h: EpochHash) -> None:
        """Remove what an unfinished creation left (step 2.6.8); before, destroy its wrapping key.

        The wallet goes with its last epoch. Raises: Refused (not-prepared), and as all methods.
        """
        state = self.record(h).state
        if state is not EpochState.PREPARED:
            raise Refused("not-prepared", f"{self._path(h)}: state is {state.name.lower()}")
        files.remove_folder(self._path(h), "epoch-folder")
        drop_if_empty(self._wallet)

    def drop(self, h: EpochHash) -> None:
        """Remove a successor that another one overtook; before, destroy its wrapping key.

        Raises: Refused (not-staged), and as all methods.
        """
        state = self.record(h).state
        if state not in _NEVER_SIGNED:
            raise Refused("not-staged", f"{self._path(h)}: state is {state.name.lower()}")
        files.remove_folder(self._path(h), "epoch-folder")

    def unreserve(self, h: EpochHash) -> None:
        """Take back `reserve` of a staged epoch; its documents stay.

        Raises: Refused (not-staged): it was sealed; and as all methods.
        """
        record = self.record(h)
        if record.state is not EpochState.STAGED or record.blob_digest != NOT_SEALED:
            raise Refused("not-staged", f"{self._path(h)}: state is {record.state.name.lower()}")
        self._remove_share(h)

    def forget_share(self, h: EpochHash) -> None:
        """Leave nothing of a retired epoch but its public documents; before, destroy its key.

        Raises: Refused (not-retiring), and as all methods.
        """
        record = self._record_if_present(h)
        if record is None:
            return
        if record.state is not EpochState.RETIRING:
            raise Refused("not-retiring", f"{self._path(h)}: state is {record.state.name.lower()}")
        self._remove_share(h)

    def forget_shares(self) -> None:
        """Leave nothing of a destroyed wallet but public documents; before, destroy its keys."""
        for h in self.hashes():
            self._remove_share(h)

    def clean(self) -> None:
        """At start: delete the blobs and pair states that no record names (step 1.11.6).

        An epoch with neither record nor certificate never came to be, and goes as a whole.
        """
        for h in self.hashes():
            record = self._record_if_present(h)
            if record is not None:
                self._remove_unnamed(record)
            elif self.kept(h, EpochDocument.CERTIFICATE) is None:
                files.remove_folder(self._path(h), "epoch-folder")
            elif self._blobs(h):  # whoever sees the certificate had a record: do not touch the blob
                raise Tampered(f"{self._path(h) / 'record'} is missing")
        drop_if_empty(self._wallet)

    def _path(self, h: EpochHash) -> Path:
        return self._wallet / "epochs" / h.hex()

    def _make_folder(self, h: EpochHash) -> None:
        files.create_folder(self._wallet, "wallet-folder")
        files.create_folder(self._wallet / "epochs", "epochs-folder")
        files.create_folder(self._path(h), "epoch-folder")

    def _record_if_present(self, h: EpochHash) -> EpochRecord | None:
        path = self._path(h) / "record"
        raw = files.read_if_present(path, RECORD_CAP)
        if raw is None:
            return None
        try:
            record = parse(raw, self._wallet_id, self._index, self._verify)
        except HsmMpcError as error:
            raise Tampered(f"{path}: {error}") from error
        if record.epoch_hash != h:
            raise Tampered(f"{path} is the record of epoch {record.epoch_hash.hex()}")
        return record

    def _write_record(self, record: EpochRecord) -> None:
        raw = record.to_bytes(self._wallet_id, self._index, self._sign)
        if len(raw) > RECORD_CAP:  # nobody would read it again
            raise BadInput(f"an epoch record has at most {RECORD_CAP} bytes")
        files.replace(self._path(record.epoch_hash) / "record", raw, "record")

    def _check_succession(self, found: EpochRecord | None, wanted: EpochRecord) -> None:
        if found is None or wanted.state in (found.state, *_MAY_FOLLOW[found.state]):
            return
        raise Refused(
            "epoch-state",
            f"{self._path(wanted.epoch_hash)}: state {wanted.state.name.lower()} "
            f"does not follow {found.state.name.lower()}",
        )

    def _remove_share(self, h: EpochHash) -> None:
        for name in self._blobs(h):
            files.remove(self._path(h) / name, "unnamed")
        if files.present(self._path(h) / "record"):
            files.remove(self._path(h) / "record", "record-without-share")

    def _blobs(self, h: EpochHash) -> tuple[str, ...]:
        return tuple(name for name in files.entries(self._path(h)) if name.startswith("blob-"))

    def _remove_unnamed(self, record: EpochRecord) -> None:
        folder = self._path(record.epoch_hash)
        pairs = folder / "pairs"
        found = [*self._blobs(record.epoch_hash)]
        if files.present(pairs):
            found += [f"pairs/{name}" for name in files.entries(pairs)]
        named = {_blob_name(record.blob_digest)}
        named |= {f"pairs/{pair.peer}-{pair.generation}" for pair in record.pairs}
        for name in found:
            if name not in named:
                files.remove(folder / name, "unnamed")


def drop_if_empty(wallet: Path) -> None:
    """Remove the folder of a wallet that holds no epoch and nothing else.

    Raises: BackendError, Tampered.
    """
    if not files.present(wallet):
        return
    inside = files.entries(wallet)
    if not inside or (inside == ("epochs",) and not files.entries(wallet / "epochs")):
        files.remove_folder(wallet, "wallet-folder")


def _blob_name(digest: bytes) -> str:
    return f"blob-{digest.hex()}"
