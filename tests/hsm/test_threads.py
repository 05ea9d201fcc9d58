"""Locks: without CKF_OS_LOCKING_OK these threads crash SoftHSM."""

from __future__ import annotations

import os
import threading
import time

from hsm_mpc.hsm import direct, gcm
from hsm_mpc.hsm.cryptoki import address_of, ffi
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token

IV = bytes(12)


def test_eight_threads_decrypt_at_once_for_two_seconds(token: Token, key: Key) -> None:
    blobs = [(os.urandom(32), os.urandom(32)) for _ in range(8)]
    sealed = [
        gcm.encrypt_gcm(token, key, IV, data, address_of(ffi.from_buffer(plain)), 32)
        for plain, data in blobs
    ]
    stop = time.monotonic() + 2
    wrong: list[object] = []
    rounds = [0] * 8

    def work(me: int) -> None:
        out = ffi.new("CK_BYTE[48]")
        plain, data = blobs[me]
        try:
            while time.monotonic() < stop:
                direct.decrypt_gcm_into(token, key, IV, data, sealed[me], address_of(out), 48)
                if bytes(out[0:32]) != plain:
                    wrong.append(me)
                rounds[me] += 1
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert min(rounds) > 10
    assert len(token.pool._idle) <= 8
