"""What maker and target agree on: names, files, the context of the blobs. Nothing secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from hsm_mpc.hsm import keys
from hsm_mpc.ids import EpochHash, HolderIndex, Scheme, WalletId
from hsm_mpc.sealing.context import Context

TOKEN: Final = "scan"
CONTEXT: Final = Context(
    wallet_id=WalletId(b"wallet of a scan"),
    holder=HolderIndex(1),
    scheme=Scheme.TAPROOT,
    epoch=0,
    threshold=2,
    epoch_hash=EpochHash(bytes(32)),
)
KEY_LABEL: Final = keys.wrapping_label(CONTEXT.wallet_id)
SHARE_BYTES: Final = 64


class Folder:
    """The files that maker and target share, under one private folder."""

    def __init__(self, path: Path, softhsm: str) -> None:
        self.path = path
        self.softhsm = softhsm
        self.pin = path / "pin"
        self.blob = path / "blob"
        self.orphan = path / "blob of a destroyed key"
        self.rsa_blob = path / "blob of an RSA key"
        self._key_ids = path / "key ids"

    @property
    def environment(self) -> dict[str, str]:
        """Under which SoftHSM finds its tokens here; made by the first who asks."""
        configuration = self.path / "softhsm2.conf"
        (self.path / "tokens").mkdir(mode=0o700, exist_ok=True)
        configuration.write_text(
            f"directories.tokendir = {self.path}/tokens\nobjectstore.backend = file\n"
            "log.level = ERROR\nslots.removable = false\n"
        )
        return {"SOFTHSM2_CONF": str(configuration)}

    def write_key_ids(self, *key_ids: bytes) -> None:
        self._key_ids.write_text(json.dumps([key_id.hex() for key_id in key_ids]))

    def key_ids(self) -> list[bytes]:
        """CKA_IDs of the wrapping keys of `blob`, `orphan` and `rsa_blob`."""
        return [bytes.fromhex(key_id) for key_id in json.loads(self._key_ids.read_text())]


class SigningFolder:
    """What the maker of a wallet leaves for the signer, in the same folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.certificate = path / "certificate"
        self.pin = path / "pin"
        """Of the first holder's token, where it is another than that of all tests."""
        self._tokens = path / "token labels"

    def store(self, index: int) -> Path:
        """Of one holder."""
        return self.path / f"h{index}"

    def write_tokens(self, labels: list[str]) -> None:
        self._tokens.write_text(json.dumps(labels))

    def tokens(self) -> list[str]:
        """Labels, in the order of the holders."""
        return list(json.loads(self._tokens.read_text()))
