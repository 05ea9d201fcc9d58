"""The process that is scanned: it opens a sealed share by the product's own path, and fails to.

    LD_BIND_NOW=1 python -m tests.memory_scan.target FOLDER MODULE BACKEND BEHAVIOUR

It never learns what the scanner knows.
BEHAVIOUR is `careful`, or `leaking`: then it keeps copies, to prove that the scan finds them.
"""

from __future__ import annotations

import ctypes
import gc
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from hsm_mpc.errors import HsmMpcError
from hsm_mpc.groups.secp256k1 import SECP256K1
from hsm_mpc.hsm import canary, direct, keys, rsa
from hsm_mpc.hsm.cryptoki import ObjectClass
from hsm_mpc.hsm.module import Module
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.hsm.token import Token
from hsm_mpc.sealing.cms import Blob, encode
from hsm_mpc.sealing.context import Context
from hsm_mpc.sealing.sealed import SealedShare, unseal
from hsm_mpc.secure import libcrypto
from hsm_mpc.secure.arena import Arena, Secret, move_bytes, publish
from hsm_mpc.secure.mapping import Backend
from hsm_mpc.secure.process import harden, run_shielded
from hsm_mpc.wrapping.base import WrappingKey
from hsm_mpc.wrapping.pkcs11 import Pkcs11Key
from hsm_mpc.wrapping.pkcs11_rsa import Pkcs11RsaKey
from tests.memory_scan.checkpoints import (
    Step,
    around_the_content,
    checkpoint,
    checkpoint_with_registers,
    stop_opened,
    stop_unwrapped,
    stopping_after,
)
from tests.memory_scan.needles import KEY_LAYOUTS
from tests.memory_scan.scene import CONTEXT, KEY_LABEL, SHARE_BYTES, TOKEN, Folder

THREADS: Final = 4
OPENINGS: Final = 50
ONE: Final = bytes(31) + b"\1"
MOVED_LENGTHS: Final = (8, 16, 24, 32, 48, 64)


def do_nothing(_: Secret) -> None:
    """Go on."""


def fail(_: Secret) -> None:
    raise RuntimeError("in the middle")


def leak(data_key: Secret) -> None:
    """Keep a data key in every layout, and hold a piece of it in registers."""
    content = publish(data_key)
    kept = [layout.lay_out(content) for layout in KEY_LAYOUTS.values()]
    checkpoint("copies kept")
    checkpoint_with_registers(content[8:16])
    assert kept


class Target:
    """A holder's process, reduced to what opens a share."""

    def __init__(self, folder: Folder, backend: Backend) -> None:
        self.arena = Arena(backend=backend)
        mapping = self.arena._mapping
        checkpoint(f"pages {mapping.address} {mapping.length}")
        self.token = self.log_in(folder)
        checkpoint("logged in")
        key_id, gone_id, rsa_id = folder.key_ids()
        found = keys.wrapping_key(self.token, key_id, KEY_LABEL)
        self.key = Pkcs11Key(self.token, found)
        self.destroyed = Pkcs11Key(self.token, replace(found, handle=1 << 20, key_id=gone_id))
        rsa_half = keys.wrapping_key(self.token, rsa_id, KEY_LABEL, ObjectClass.PRIVATE_KEY)
        self.rsa_key = Pkcs11RsaKey(self.token, rsa_half)
        self.share = SealedShare.parse(folder.blob.read_bytes())
        self.orphan = SealedShare.parse(folder.orphan.read_bytes())
        self.rsa_share = SealedShare.parse(folder.rsa_blob.read_bytes())

    def log_in(self, folder: Folder) -> Token:
        pin = PinSource.parse(f"file:{folder.pin}").read(self.arena)
        checkpoint("PIN read")
        token = Module.load(folder.softhsm, folder.environment).token(TOKEN)
        token.login(pin.secret)
        pin.secret.release()
        assert canary.arm(token)
        return token

    def abort_in_every_way(self) -> None:
        blob, foreign = self.share.blob, replace(CONTEXT, epoch=1)
        self.abort("wrong tag", parsed(replace(blob, tag=flipped(blob.tag))))
        self.abort("wrong wrapped key", parsed(with_wrapped_key_flipped(blob)))
        wrong = parsed(with_wrapped_key_flipped(self.rsa_share.blob))
        self.abort("wrong key wrapped by RSA", wrong, key=self.rsa_key)
        self.abort("expected another context", self.share, expected=foreign)
        self.abort("context exchanged", parsed(replace(blob, context=foreign)), expected=foreign)
        self.abort("key missing", self.orphan, key=self.destroyed)
        self.abort("failure before the content", self.share, before=fail)
        self.abort("failure after the content", self.share, after=fail)

    def succeed(self, use: Step, before: Step = stop_unwrapped, *, by_rsa: bool = False) -> None:
        """Open the share with a checkpoint at every step, and use it."""
        sealed, key = (self.rsa_share, self.rsa_key) if by_rsa else (self.share, self.key)
        decryption = (rsa, "decrypt_oaep_into") if by_rsa else (direct, "decrypt_gcm_into")
        with self.arena.scope() as take:
            share = take(SHARE_BYTES)
            with (
                stopping_after(*decryption, "data key decrypted"),
                stopping_after(libcrypto, "aes256gcm_open", "content decrypted"),
                around_the_content(before, stop_opened),
            ):
                unseal(sealed, key, CONTEXT, sealed.digest, share)
            checkpoint("window shut")
            use(share)
            checkpoint("used")
        checkpoint("wiped")

    def compute(self, share: Secret) -> None:
        """What signing does to a share: copies, arithmetic in place, a public point."""
        with self.arena.scope() as take:
            scalar, polynomial = take(32), take(64)
            with share.open() as source, scalar.open() as target, polynomial.open() as x_and_one:
                move_bytes(x_and_one, source, 32)
                move_bytes(x_and_one + 32, ONE, 32)
                SECP256K1.horner_at(x_and_one, 2, 1, target)
                checkpoint("x + 1 computed")
                move_bytes(target, source, 32)
            point = SECP256K1.public_point(scalar)
            SECP256K1.negate(scalar)
            SECP256K1.multiply_public(scalar, 7)
        checkpoint(f"point {point.hex()}")

    def move(self, share: Secret) -> None:
        """Copies of every size class of memmove, which keeps the last one in registers."""
        with self.arena.scope() as take:
            copy = take(SHARE_BYTES)
            for length in MOVED_LENGTHS:
                name = f"moved {length}"
                with share.open() as source, copy.open() as target:
                    move_bytes(target, source, length)
                    checkpoint(name)

    def interrupt(self, share: Secret) -> None:
        """Signals to this thread while its registers hold the share: none may spill them."""
        thread = threading.get_ident()
        with self.arena.scope() as take:
            copy = take(SHARE_BYTES)
            with share.open() as source, copy.open() as target:
                ctypes.memmove(target, source, SHARE_BYTES)
                signal.pthread_kill(thread, signal.SIGUSR1)
                checkpoint("signal sent")

    def open_often(self) -> None:
        """As a busy signer does: from several threads, nobody looking."""

        def work() -> None:
            for _ in range(OPENINGS):
                with self.arena.scope() as take:
                    unseal(self.share, self.key, CONTEXT, self.share.digest, take(SHARE_BYTES))

        threads = [threading.Thread(target=run_shielded, args=(work,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        checkpoint("many opened")

    def abort(
        self,
        name: str,
        share: SealedShare,
        *,
        key: WrappingKey | None = None,
        expected: Context = CONTEXT,
        before: Step = do_nothing,
        after: Step = do_nothing,
    ) -> None:
        """Open what does not open; a checkpoint while the exception lives, and one afterwards."""

        def work() -> None:
            try:
                with self.arena.scope() as take, around_the_content(before, after):
                    unseal(share, key or self.key, expected, share.digest, take(SHARE_BYTES))
            except (HsmMpcError, RuntimeError) as failure:
                checkpoint(f"{name}: {type(failure).__name__}")
            else:
                checkpoint(f"{name}: opened")

        run_shielded(work)
        checkpoint(f"{name}: over")


def flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def with_wrapped_key_flipped(blob: Blob) -> Blob:
    (recipient,) = blob.recipients
    broken = replace(recipient, wrapped=flipped(recipient.wrapped))
    return replace(blob, recipients=(broken,))


def parsed(blob: Blob) -> SealedShare:
    """The blob as if the epoch record named it so."""
    return SealedShare.parse(encode(blob))


def main() -> None:
    path, softhsm, backend, behaviour = sys.argv[1:]
    signal.signal(signal.SIGUSR1, lambda *_: None)
    checkpoint("started")
    harden()
    target = Target(Folder(Path(path), softhsm), cast("Backend", backend))
    if behaviour == "leaking":
        run_shielded(lambda: target.succeed(do_nothing, before=leak))
        return
    run_shielded(lambda: target.succeed(target.compute))
    checkpoint("thread over")
    run_shielded(lambda: target.succeed(target.move))
    run_shielded(lambda: target.succeed(do_nothing))
    run_shielded(lambda: target.succeed(target.interrupt))
    run_shielded(lambda: target.succeed(do_nothing, by_rsa=True))
    target.open_often()
    target.abort_in_every_way()
    gc.collect()
    target.arena.close()
    checkpoint("arena closed")


if __name__ == "__main__":
    main()
