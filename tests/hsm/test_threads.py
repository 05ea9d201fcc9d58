"""Without CKF_OS_LOCKING_OK threads crash SoftHSM; and some modules want more care than that."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from dataclasses import replace

import pytest

from hsm_mpc.hsm import direct, gcm, keys, rsa
from hsm_mpc.hsm.administration import administration
from hsm_mpc.hsm.cryptoki import Hash, address_of, ffi
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.profiles import SOFTHSM
from hsm_mpc.hsm.register import Register, Registers
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash, WalletId
from tests.named_steps import observed
from tests.rsa_pairs import brought_in

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


@pytest.mark.parametrize("alone", [True, False])
def test_objects_change_with_nobody_else_in_a_module_that_does_not_bear_it(
    token: Token, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    """openCryptoki 3.8.1 crashes otherwise; SoftHSM 2.6.1 fails to make an object."""
    assert token.profile is SOFTHSM
    assert token.profile.changes_alone
    monkeypatch.setattr(token.module, "profile", replace(SOFTHSM, changes_alone=alone))
    only: dict[str, set[int | None]] = defaultdict(set)
    with administration(token) as session:
        pair = brought_in(session, 0, os.urandom(20), "a pair")
    with observed(lambda _, name: only[name].add(token.module.gate._only)):
        made = keys.generate_wrapping_key(token, os.urandom(20), keys.wrapping_label(bytes(16)))
        keys.destroy(token, made)
        Registers(token).write(WalletId(bytes(16)), Register(EpochHash(bytes(32))))
        Registers(token).destroy(WalletId(bytes(16)))
        # Its public half is there for so long.
        rsa.encrypt_oaep(token, pair, Hash.SHA1, address_of(ffi.new("CK_BYTE[32]")), 32)
    me = threading.get_ident() if alone else None
    changes = ("key.generate", "key.destroy", "register.create", "register.destroy", "key.encrypt")
    for change in changes:
        assert only[change] == {me}
    assert only["object.find"] == {None}
