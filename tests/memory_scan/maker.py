"""Makes the token and seals the secret, in a process that is gone before the target reads it.

    python -m tests.memory_scan.maker FOLDER MODULE < SECRETS

SECRETS: share[64] ‖ os[32] ‖ hsm[32] in hex. What the scanner chose as randomness goes in by
pointer, so it knows the data key; the wrapping key never leaves the token.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from hsm_mpc.hsm import keys
from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.hsm.token import Token
from hsm_mpc.sealing.sealed import seal
from hsm_mpc.secure.arena import Arena, Secret
from hsm_mpc.secure.entropy import Entropy, Fill
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.wrapping.base import WrappingKey
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key
from hsm_mpc.wrapping.pkcs11_rsa import Pkcs11RsaKey
from tests.memory_scan.scene import CONTEXT, KEY_LABEL, SHARE_BYTES, TOKEN, Folder
from tests.secure.bytes_of import filled


def filling_with(content: bytes) -> Fill:
    def fill(pointer: int, length: int) -> None:
        assert length == len(content)
        ctypes.memmove(pointer, content, length)

    return fill


def new_token(folder: Folder, arena: Arena) -> Token:
    module = Module.load(folder.softhsm, folder.environment)
    pin = PinSource.parse(f"file:{folder.pin}").read(arena).secret
    so_pin = b"security officer"
    module.create_token(TOKEN, filled(arena.take(len(so_pin)), so_pin), pin)
    token = module.token(TOKEN)
    token.login(pin)
    keys.generate_canary_key(token)
    return token


def sealed_under(key: WrappingKey, secret: Secret, entropy: Entropy) -> bytes:
    return run_shielded(lambda: seal(secret, CONTEXT, [key], entropy, now=0))


def main() -> None:
    folder = Folder(Path(sys.argv[1]), sys.argv[2])
    told = bytes.fromhex(sys.stdin.read())
    share, system, hsm = told[:SHARE_BYTES], told[SHARE_BYTES:-32], told[-32:]
    arena = Arena()
    token = new_token(folder, arena)
    secret = filled(arena.take(SHARE_BYTES), share)
    entropy = Entropy(filling_with(hsm))
    entropy.os_fill = filling_with(system)
    kept, destroyed = (
        keys.generate_wrapping_key(token, os.urandom(20), KEY_LABEL) for _ in range(2)
    )
    folder.blob.write_bytes(sealed_under(Pkcs11Key(token, kept), secret, entropy))
    folder.orphan.write_bytes(sealed_under(Pkcs11Key(token, destroyed), secret, entropy))
    rsa = keys.generate_wrapping_key(token, os.urandom(20), KEY_LABEL, Wrapping.RSA_OAEP_SHA1)
    folder.rsa_blob.write_bytes(sealed_under(Pkcs11RsaKey(token, rsa), secret, entropy))
    folder.write_key_ids(kept.key_id, destroyed.key_id, rsa.key_id)
    keys.destroy(token, destroyed)


if __name__ == "__main__":
    main()
