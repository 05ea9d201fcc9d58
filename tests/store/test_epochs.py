"""store/epochs.py: records name blobs, and their rename is the commit (6.2, 1.11.6)."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from hsm_mpc.errors import BackendError, BadInput, Refused, Tampered
from hsm_mpc.ids import EpochHash, HolderIndex
from hsm_mpc.store import files
from hsm_mpc.store.epochs import BLOB_CAP, EpochDocument, Epochs, drop_if_empty
from hsm_mpc.store.record import EpochState, Pair, PairStatus
from tests.software_identity import p256_key
from tests.store.records import INDEX, KEY, OTHER_WALLET, WALLET, H, record

BLOB = b"sealed " * 100
H2 = EpochHash(b"i" * 32)


@pytest.fixture
def wallet(folder: Path) -> Path:
    return folder / WALLET.hex()


@pytest.fixture
def epochs(wallet: Path) -> Epochs:
    return Epochs(wallet, WALLET, INDEX, KEY.sign, KEY.public.verify)


def blob_path(wallet: Path, blob: bytes = BLOB, h: EpochHash = H) -> Path:
    return wallet / "epochs" / h.hex() / f"blob-{hashlib.sha256(blob).hexdigest()}"


def read_all(epochs: Epochs) -> None:
    epochs.hashes()
    epochs.blob(H)
    epochs.clean()


def test_a_sealed_share_is_found_again(epochs: Epochs, wallet: Path) -> None:
    sealed = epochs.seal(record(), BLOB)
    assert sealed.blob_digest == hashlib.sha256(BLOB).digest()
    assert epochs.hashes() == (H,)
    assert epochs.records() == (sealed,)
    assert epochs.record(H) == sealed
    assert epochs.blob(H) == BLOB
    assert blob_path(wallet).read_bytes() == BLOB


def test_a_record_that_could_not_be_read_again_is_not_written(epochs: Epochs) -> None:
    epochs.reserve(record())
    pairs = tuple(
        Pair(HolderIndex(peer), generation, PairStatus.STALE, bytes(32))
        for peer in range(1, 256)
        for generation in range(1, 9)
    )
    with pytest.raises(BadInput, match="at most 65536 bytes"):
        epochs.seal(record(pairs=pairs), BLOB)
    assert epochs.records() == (record(),)


def test_a_wallet_without_a_folder_has_no_epochs(epochs: Epochs, wallet: Path) -> None:
    assert epochs.hashes() == ()
    epochs.clean()
    files.create_folder(wallet, "wallet-folder")
    assert epochs.hashes() == ()


def test_an_epoch_without_a_record_is_missed_when_it_must_be_there(epochs: Epochs) -> None:
    with pytest.raises(Tampered, match="record is missing"):
        epochs.record(H)
    epochs.keep(H, EpochDocument.BODY, b"body")
    assert epochs.hashes() == (H,)
    assert epochs.records() == ()


def test_a_key_is_named_before_there_is_a_blob(epochs: Epochs) -> None:
    epochs.reserve(record(EpochState.STAGED))
    assert epochs.record(H) == record(EpochState.STAGED)
    with pytest.raises(Refused) as refusal:
        epochs.blob(H)
    assert refusal.value.rule == "not-sealed"


def test_reserving_the_same_again_is_no_failure(epochs: Epochs) -> None:
    epochs.reserve(record(EpochState.STAGED))
    epochs.reserve(record(EpochState.STAGED))


def test_a_reserved_record_names_no_blob(epochs: Epochs) -> None:
    with pytest.raises(BadInput, match="names no blob"):
        epochs.reserve(dataclasses.replace(record(), blob_digest=b"b" * 32))


@pytest.mark.parametrize("sealed", [False, True])
def test_reserving_never_overwrites_another_record(epochs: Epochs, sealed: bool) -> None:
    if sealed:
        epochs.seal(record(EpochState.STAGED), BLOB)
    else:
        epochs.reserve(record(EpochState.STAGED, key_generation=1))
    with pytest.raises(Refused) as refusal:
        epochs.reserve(record(EpochState.STAGED))
    assert refusal.value.rule == "epoch-exists"


def test_a_rewrap_replaces_the_blob_and_deletes_the_old_one(epochs: Epochs, wallet: Path) -> None:
    epochs.seal(record(EpochState.STAGED), BLOB)
    epochs.seal(record(EpochState.STAGED, kek_uri="pkcs11:id=%02", key_generation=1), b"rewrapped")
    assert epochs.blob(H) == b"rewrapped"
    assert epochs.record(H).key_generation == 1
    assert not blob_path(wallet).exists()


def test_sealing_the_same_blob_again_keeps_it(epochs: Epochs) -> None:
    epochs.seal(record(), BLOB)
    epochs.seal(record(), BLOB)
    assert epochs.blob(H) == BLOB


def test_a_blob_that_is_too_long_is_never_written(epochs: Epochs, wallet: Path) -> None:
    with pytest.raises(BadInput, match="16384"):
        epochs.seal(record(), bytes(BLOB_CAP + 1))
    assert not wallet.exists()
    epochs.seal(record(), bytes(BLOB_CAP))
    assert epochs.blob(H) == bytes(BLOB_CAP)


def test_blob_not_named_by_the_record_is_refused(epochs: Epochs, wallet: Path) -> None:
    epochs.seal(record(), BLOB)
    for changed in (BLOB[:-1] + b"X", BLOB[:-1], BLOB + b"X", b""):
        blob_path(wallet).write_bytes(changed)
        with pytest.raises(Tampered, match="not the blob that the record names"):
            epochs.blob(H)
    blob_path(wallet).unlink()
    with pytest.raises(Tampered, match="is missing"):
        epochs.blob(H)


def test_record_of_other_wallet_is_refused(epochs: Epochs, folder: Path, wallet: Path) -> None:
    other = Epochs(folder / "other", OTHER_WALLET, INDEX, KEY.sign, KEY.public.verify)
    other.seal(record(), BLOB)
    (folder / "other").rename(wallet)
    with pytest.raises(Tampered, match="record"):
        epochs.record(H)


@pytest.mark.parametrize(("index", "key"), [(4, 1), (3, 2)])
def test_a_record_of_another_holder_is_refused(wallet: Path, index: int, key: int) -> None:
    stranger = p256_key(key)
    writer = Epochs(wallet, WALLET, HolderIndex(index), stranger.sign, stranger.public.verify)
    writer.seal(record(), BLOB)
    reader = Epochs(wallet, WALLET, INDEX, KEY.sign, KEY.public.verify)
    with pytest.raises(Tampered):
        reader.records()


def test_a_record_of_another_epoch_is_refused(epochs: Epochs, wallet: Path) -> None:
    epochs.seal(record(), BLOB)
    (wallet / "epochs" / H.hex()).rename(wallet / "epochs" / H2.hex())
    with pytest.raises(Tampered, match=f"is the record of epoch {H.hex()}"):
        epochs.record(H2)


@pytest.mark.parametrize("at", [0, 1, 40, 80, -1])
def test_a_damaged_record_is_refused(epochs: Epochs, wallet: Path, at: int) -> None:
    epochs.seal(record(), BLOB)
    path = wallet / "epochs" / H.hex() / "record"
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Tampered, match=str(path)):
        epochs.record(H)


@pytest.mark.parametrize("name", ["record", "blob", "folder", "epochs"])
def test_a_wrong_mode_is_refused(epochs: Epochs, wallet: Path, name: str) -> None:
    epochs.seal(record(), BLOB)
    inner = wallet / "epochs" / H.hex()
    path = {
        "record": inner / "record",
        "blob": blob_path(wallet),
        "folder": inner,
        "epochs": wallet / "epochs",
    }[name]
    path.chmod(path.stat().st_mode | 0o040)
    with pytest.raises(Tampered, match="chmod"):
        read_all(epochs)


ALLOWED = {
    (EpochState.PREPARED, EpochState.CERTIFIED),
    (EpochState.CERTIFIED, EpochState.ACTIVE),
    (EpochState.ACTIVE, EpochState.RETIRING),
    (EpochState.STAGED, EpochState.ACKED),
    (EpochState.STAGED, EpochState.ADOPTED),
    (EpochState.STAGED, EpochState.ACTIVE),
    (EpochState.ACKED, EpochState.ACTIVE),
    (EpochState.ACKED, EpochState.ADOPTED),
    (EpochState.ADOPTED, EpochState.ACTIVE),
    *((state, state) for state in EpochState),
}


@pytest.mark.parametrize("before", EpochState)
@pytest.mark.parametrize("after", EpochState)
def test_a_state_is_followed_by_its_successors_only(
    epochs: Epochs, before: EpochState, after: EpochState
) -> None:
    sealed = epochs.seal(record(before), BLOB)
    changed = dataclasses.replace(sealed, state=after)
    if (before, after) in ALLOWED:
        epochs.change(changed)
        assert epochs.record(H) == changed
        return
    for attempt in (epochs.change, lambda wanted: epochs.seal(wanted, BLOB)):
        with pytest.raises(Refused) as refusal:
            attempt(changed)
        assert refusal.value.rule == "epoch-state"
    assert epochs.record(H) == sealed


def test_a_change_never_names_another_blob(epochs: Epochs) -> None:
    sealed = epochs.seal(record(), BLOB)
    with pytest.raises(Refused) as refusal:
        epochs.change(dataclasses.replace(sealed, blob_digest=b"b" * 32))
    assert refusal.value.rule == "other-blob"
    assert epochs.blob(H) == BLOB


def test_the_next_key_is_named_while_the_old_blob_stays(epochs: Epochs) -> None:
    sealed = epochs.seal(record(), BLOB)
    epochs.change(dataclasses.replace(sealed, key_generation=1))
    assert epochs.blob(H) == BLOB


def test_nothing_is_changed_that_is_not_there(epochs: Epochs) -> None:
    with pytest.raises(Tampered, match="record is missing"):
        epochs.change(record())


def test_a_certificate_is_kept_as_it_is(epochs: Epochs) -> None:
    assert epochs.kept(H, EpochDocument.CERTIFICATE) is None
    epochs.keep(H, EpochDocument.CERTIFICATE, b"certificate")
    with pytest.raises(Tampered, match="holds other bytes"):
        epochs.keep(H, EpochDocument.CERTIFICATE, b"another")
    assert epochs.kept(H, EpochDocument.CERTIFICATE) == b"certificate"


def test_a_discarded_epoch_is_gone_and_its_wallet_with_the_last(
    epochs: Epochs, wallet: Path
) -> None:
    epochs.seal(record(), BLOB)
    epochs.seal(record(h=H2), BLOB)
    epochs.discard(H)
    assert epochs.hashes() == (H2,)
    epochs.discard(H2)
    assert not wallet.exists()


@pytest.mark.parametrize(
    "state", [state for state in EpochState if state is not EpochState.PREPARED]
)
def test_only_a_prepared_share_is_discarded(epochs: Epochs, state: EpochState) -> None:
    epochs.seal(record(state), BLOB)
    with pytest.raises(Refused, match=state.name.lower()) as refusal:
        epochs.discard(H)
    assert refusal.value.rule == "not-prepared"
    assert epochs.blob(H) == BLOB


@pytest.mark.parametrize("state", [EpochState.STAGED, EpochState.ACKED, EpochState.ADOPTED])
def test_an_overtaken_successor_is_dropped_and_its_wallet_stays(
    epochs: Epochs, wallet: Path, state: EpochState
) -> None:
    epochs.seal(record(state), BLOB)
    epochs.drop(H)
    assert epochs.hashes() == ()
    assert wallet.exists()


@pytest.mark.parametrize(
    "state",
    [EpochState.PREPARED, EpochState.CERTIFIED, EpochState.ACTIVE, EpochState.RETIRING],
)
def test_what_may_have_signed_is_never_dropped(epochs: Epochs, state: EpochState) -> None:
    epochs.seal(record(state), BLOB)
    with pytest.raises(Refused, match=state.name.lower()) as refusal:
        epochs.drop(H)
    assert refusal.value.rule == "not-staged"
    assert epochs.blob(H) == BLOB


def test_a_staged_epoch_that_was_not_sealed_is_taken_back_and_keeps_its_documents(
    epochs: Epochs,
) -> None:
    epochs.reserve(record(EpochState.STAGED))
    epochs.keep(H, EpochDocument.BODY, b"body")
    epochs.unreserve(H)
    assert epochs.records() == ()
    assert epochs.kept(H, EpochDocument.BODY) == b"body"


@pytest.mark.parametrize("state", [EpochState.STAGED, EpochState.ACTIVE])
def test_what_was_sealed_is_not_taken_back(epochs: Epochs, state: EpochState) -> None:
    epochs.seal(record(state), BLOB)
    with pytest.raises(Refused, match=state.name.lower()) as refusal:
        epochs.unreserve(H)
    assert refusal.value.rule == "not-staged"
    assert epochs.blob(H) == BLOB


def test_what_may_have_been_shown_is_not_taken_back(epochs: Epochs) -> None:
    epochs.reserve(record(EpochState.ACTIVE))
    with pytest.raises(Refused, match="active"):
        epochs.unreserve(H)
    assert epochs.records() == (record(EpochState.ACTIVE),)


def test_a_retired_epoch_keeps_its_public_documents_only(epochs: Epochs, wallet: Path) -> None:
    epochs.seal(record(EpochState.RETIRING), BLOB)
    epochs.keep(H, EpochDocument.CERTIFICATE, b"certificate")
    epochs.forget_share(H)
    assert epochs.records() == ()
    assert not blob_path(wallet).exists()
    assert epochs.kept(H, EpochDocument.CERTIFICATE) == b"certificate"


def test_a_retired_epoch_is_forgotten_once(epochs: Epochs) -> None:
    epochs.seal(record(EpochState.RETIRING), BLOB)
    epochs.forget_share(H)
    epochs.forget_share(H)
    assert epochs.records() == ()


@pytest.mark.parametrize(
    "state", [state for state in EpochState if state is not EpochState.RETIRING]
)
def test_only_a_retiring_share_is_forgotten(epochs: Epochs, state: EpochState) -> None:
    epochs.seal(record(state), BLOB)
    with pytest.raises(Refused, match=state.name.lower()) as refusal:
        epochs.forget_share(H)
    assert refusal.value.rule == "not-retiring"
    assert epochs.blob(H) == BLOB


def test_discarding_survives_a_lost_blob(epochs: Epochs, wallet: Path) -> None:
    epochs.seal(record(), BLOB)
    blob_path(wallet).unlink()
    epochs.discard(H)
    assert epochs.hashes() == ()


def test_cleaning_deletes_what_no_record_names(epochs: Epochs, wallet: Path) -> None:
    pair = Pair(HolderIndex(2), 3, PairStatus.QUARANTINED, b"p" * 32)
    epochs.seal(record(pairs=(pair,)), BLOB)
    inner = wallet / "epochs" / H.hex()
    files.write_new(blob_path(wallet, b"other"), b"other", "blob")
    files.create_folder(inner / "pairs", "pairs-folder")
    for name in ("2-3", "2-4", "3-3"):
        files.write_new(inner / "pairs" / name, b"pair", "pair")
    epochs.clean()
    assert sorted(os.listdir(inner)) == sorted([blob_path(wallet).name, "pairs", "record"])
    assert os.listdir(inner / "pairs") == ["2-3"]
    assert epochs.blob(H) == BLOB


def test_cleaning_deletes_blobs_of_a_key_without_a_sealed_share(
    epochs: Epochs, wallet: Path
) -> None:
    epochs.reserve(record(EpochState.STAGED))
    files.write_new(blob_path(wallet), BLOB, "blob")
    epochs.clean()
    assert os.listdir(wallet / "epochs" / H.hex()) == ["record"]


def test_cleaning_removes_epochs_that_never_came_to_be(epochs: Epochs, wallet: Path) -> None:
    epochs.keep(H, EpochDocument.BODY, b"body")
    files.write_new(blob_path(wallet), BLOB, "blob")
    epochs.keep(H2, EpochDocument.CERTIFICATE, b"certificate")
    epochs.clean()
    assert epochs.hashes() == (H2,)


def test_cleaning_never_deletes_the_blob_of_a_record_that_is_lost_or_damaged(
    epochs: Epochs, wallet: Path
) -> None:
    epochs.seal(record(EpochState.ACTIVE), BLOB)
    epochs.keep(H, EpochDocument.CERTIFICATE, b"certificate")
    path = wallet / "epochs" / H.hex() / "record"
    path.write_bytes(b"\x01")
    with pytest.raises(Tampered, match="record"):
        epochs.clean()
    path.unlink()
    with pytest.raises(Tampered, match="record is missing"):
        epochs.clean()
    assert blob_path(wallet).read_bytes() == BLOB


def test_a_wallet_is_dropped_only_when_nothing_is_in_it(epochs: Epochs, wallet: Path) -> None:
    drop_if_empty(wallet)
    epochs.reserve(record())
    drop_if_empty(wallet)
    assert epochs.hashes() == (H,)
    epochs.discard(H)
    files.create_folder(wallet, "wallet-folder")
    files.write_new(wallet / "register", b"", "register")
    drop_if_empty(wallet)
    assert wallet.exists()
    (wallet / "register").unlink()
    drop_if_empty(wallet)
    assert not wallet.exists()


def test_a_record_that_cannot_be_signed_changes_nothing(wallet: Path, epochs: Epochs) -> None:
    def token_is_gone(*_: object) -> bytes:
        raise BackendError("the token is gone")

    sealed = epochs.seal(record(), BLOB)
    without_token = Epochs(wallet, WALLET, INDEX, token_is_gone, KEY.public.verify)
    with pytest.raises(BackendError, match="token"):
        without_token.change(dataclasses.replace(sealed, state=EpochState.CERTIFIED))
    assert epochs.record(H) == sealed
