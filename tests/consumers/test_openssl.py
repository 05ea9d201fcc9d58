"""openssl verifies a quorum's signature under the wallet's key as X.509 writes it (RFC 8410 §4)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.consumers.wallet import Wallet
from tests.programs import program

SUBJECT_PUBLIC_KEY_INFO: Final = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key."""


@pytest.fixture
def folder(tmp_path: Path, message_wallet: Wallet) -> Path:
    """A message, its signature and the key, as files."""
    message = b"pay the baker"
    (tmp_path / "key.der").write_bytes(SUBJECT_PUBLIC_KEY_INFO + message_wallet.public_key)
    (tmp_path / "message").write_bytes(message)
    (tmp_path / "signature").write_bytes(message_wallet.sign(message))
    return tmp_path


def verified(folder: Path) -> subprocess.CompletedProcess[str]:
    key = ("-pubin", "-keyform", "DER", "-inkey", "key.der")
    judged = ("-rawin", "-in", "message", "-sigfile", "signature")
    return subprocess.run(
        [program("openssl"), "pkeyutl", "-verify", *key, *judged],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_openssl_takes_the_signature_of_a_message(folder: Path) -> None:
    told = verified(folder)
    assert (told.returncode, told.stdout) == (0, "Signature Verified Successfully\n")


def test_openssl_refuses_another_message(folder: Path) -> None:
    (folder / "message").write_bytes(b"pay the bakers")
    told = verified(folder)
    assert told.returncode == 1
    assert "Signature Verification Failure" in told.stdout
