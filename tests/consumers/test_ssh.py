"""ssh-keygen verifies a file that a quorum signed (OpenSSH's PROTOCOL.sshsig)."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path
from typing import Final

import pytest

from hsm_mpc.encoding import lv32, u32be
from hsm_mpc.errors import Declined
from tests.consumers.wallet import Wallet
from tests.programs import program

MAGIC: Final = b"SSHSIG"
ALGORITHM: Final = lv32(b"ssh-ed25519")
ABOUT: Final = lv32(b"file") + lv32(b"") + lv32(b"sha512")
"""Namespace, a reserved field, hash: both the signed bytes and the signature's file say them."""
FILE: Final = b"pay the baker\n"
SIGNED: Final = MAGIC + ABOUT + lv32(hashlib.sha512(FILE).digest())


@pytest.fixture
def folder(tmp_path: Path, raw_wallet: Wallet) -> Path:
    """Who may sign, and the signature of `FILE`."""
    key = ALGORITHM + lv32(raw_wallet.public_key)
    line = f'treasury namespaces="file" ssh-ed25519 {base64.b64encode(key).decode()}\n'
    (tmp_path / "allowed").write_text(line)
    signature = ALGORITHM + lv32(raw_wallet.sign(SIGNED))
    blob = MAGIC + u32be(1) + lv32(key) + ABOUT + lv32(signature)
    armored = base64.encodebytes(blob).decode()
    (tmp_path / "signature").write_text(
        f"-----BEGIN SSH SIGNATURE-----\n{armored}-----END SSH SIGNATURE-----\n"
    )
    return tmp_path


def verified(folder: Path, file: bytes, namespace: str = "file") -> tuple[int, str]:
    """Exit code and what ssh-keygen says."""
    who = ("-f", "allowed", "-I", "treasury", "-n", namespace)
    done = subprocess.run(
        [program("ssh-keygen"), "-Y", "verify", *who, "-s", "signature"],
        cwd=folder,
        input=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode()


def test_ssh_keygen_takes_the_signature_of_a_file(folder: Path) -> None:
    code, said = verified(folder, FILE)
    assert code == 0
    assert said.startswith('Good "file" signature for treasury with ED25519 key')


def test_ssh_keygen_refuses_another_file(folder: Path) -> None:
    code, said = verified(folder, FILE + b"\n")
    assert code == 255
    assert "incorrect signature" in said


def test_ssh_keygen_refuses_the_same_file_for_another_purpose(folder: Path) -> None:
    code, _ = verified(folder, FILE, "git")
    assert code == 255


def test_holders_that_sign_only_messages_decline_it(message_wallet: Wallet) -> None:
    with pytest.raises(Declined) as declined:
        message_wallet.sign(SIGNED)
    assert declined.value.rule == "permission"
