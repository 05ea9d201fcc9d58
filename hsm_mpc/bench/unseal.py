"""`signer.unseal`: a share from its blob into protected memory, beside the bare C_Decrypt."""

from __future__ import annotations

import os
import time
from typing import Final

from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.bench.floor import AboveFloor, Count, above_floor
from hsm_mpc.bench.measure import Batch, Measured, repeated
from hsm_mpc.bench.operation import Operation
from hsm_mpc.bench.report import Row, row_above_floor
from hsm_mpc.errors import BackendError
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.cryptoki import BYTES, ffi
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash, HolderIndex, Scheme, WalletId
from hsm_mpc.sealing.cms import SHARE_BYTES
from hsm_mpc.sealing.context import Context
from hsm_mpc.sealing.sealed import SealedShare, seal
from hsm_mpc.secure.arena import Arena, Secret
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.wrapping.pkcs11 import IV_BYTES, WRAPPED_BYTES, Pkcs11Key

NAME: Final = "signer.unseal"

TARGET_US: Final = 60.0
"""CPU time that unsealing may cost above the bare decryption (decision 10 says on what machine)."""

_REPEATS: Final = 50


def fill_token(token: Token, count: int) -> None:
    """Make `count` wrapping keys of other wallets: a token in use is not an empty one."""
    for _ in range(count):
        key_id, label = os.urandom(keys.KEY_ID_BYTES), keys.wrapping_label(os.urandom(16))
        keys.generate_wrapping_key(token, key_id, label)


def row(token: Token, arena: Arena, entropy: Entropy, wallets: int, *, rounds: int) -> Row:
    """Measure, on a shielded thread, with one wrapping key more: of `wallets` in the token."""
    wallet_id = WalletId(os.urandom(16))
    key_id = os.urandom(keys.KEY_ID_BYTES)
    key = keys.generate_wrapping_key(token, key_id, keys.wrapping_label(wallet_id))
    with arena.scope() as take:
        content, scratch = take(SHARE_BYTES), take(WRAPPED_BYTES)
        share = _sealed(content, wallet_id, Pkcs11Key(token, key), entropy)
        measured = above_floor(
            Measured(repeated(lambda: share.open_into(content)), _REPEATS),
            [Count("1.11.4", bare_decryption(token, key, scratch), 1)],
            rounds=rounds,
        )
    return row_above_floor(NAME, measured, _note(measured, wallets))


def _note(measured: AboveFloor, wallets: int) -> str:
    above = measured.whole.cpu_us - measured.floor_us
    wrapping_keys = "1 wrapping key" if wallets == 1 else f"{wallets} wrapping keys"
    return (
        f"{above:.1f} µs above the bare decryption, target {TARGET_US:g}; "
        f"{wrapping_keys} on the token"
    )


def _sealed(
    content: Secret, wallet_id: WalletId, key: Pkcs11Key, entropy: Entropy
) -> OpenableShare:
    epoch_hash = EpochHash(os.urandom(32))
    context = Context(wallet_id, HolderIndex(1), Scheme.TAPROOT, 0, 2, epoch_hash)
    sealed = SealedShare.parse(seal(content, context, [key], entropy, int(time.time())))
    return OpenableShare(sealed, key, context, sealed.digest)


def bare_decryption(token: Token, key: Key, scratch: Secret) -> Operation:
    """C_DecryptInit and C_Decrypt of a wrapped data key into `scratch`, and nothing else."""
    return Operation(
        "unwrapping a data key",
        "C_DecryptInit, C_Decrypt",
        lambda: _decrypting(token, key, scratch),
    )


def _decrypting(token: Token, key: Key, scratch: Secret) -> Batch:
    iv = os.urandom(IV_BYTES)
    with token.session() as session, scratch.open() as pointer:
        session.set_gcm(iv, b"")
        token.calls.C_EncryptInit(session.handle, session.gcm, key.handle)
        out = ffi.new("CK_BYTE[]", WRAPPED_BYTES)
        session.length[0] = WRAPPED_BYTES
        plain = ffi.cast(BYTES, pointer)
        if token.calls.C_Encrypt(session.handle, plain, 32, out, session.length):
            raise BackendError("the token does not encrypt")
        ciphertext = bytes(out)

    def batch(repeats: int) -> None:
        with token.session() as session, scratch.open() as pointer:
            target = ffi.cast(BYTES, pointer)
            init, decrypt = token.calls.C_DecryptInit, token.calls.C_Decrypt
            handle, gcm, length = session.handle, session.gcm, session.length
            session.set_gcm(iv, b"")
            for _ in range(repeats):
                init(handle, gcm, key.handle)
                length[0] = WRAPPED_BYTES
                if decrypt(handle, ciphertext, WRAPPED_BYTES, target, length):
                    raise BackendError("the token does not decrypt")

    return batch
