"""A holder's token of any kind and a share sealed under it: what maker and target agree on."""

from __future__ import annotations

import os
from multiprocessing import get_context
from pathlib import Path
from typing import Final
from unittest import mock

from hsm_mpc.app import token as token_app
from hsm_mpc.app.holder import find_token
from hsm_mpc.config import load_holder
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.pin import PinSource
from hsm_mpc.lab.holder_folder import make_holder_folder
from hsm_mpc.lab.kind import Kind
from hsm_mpc.lab.kinds import KINDS
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.wrapping.token_keys import made_key
from tests.memory_scan import own_memory
from tests.memory_scan.maker import filling_with, sealed_under
from tests.memory_scan.scanner_secrets import Secrets
from tests.memory_scan.scene import KEY_LABEL, TOKEN
from tests.secure.bytes_of import filled

KEY_ID: Final = bytes(range(20))
WRAPPINGS: Final = {
    "softhsm": Wrapping.AES_GCM,
    "nss": Wrapping.AES_GCM,
    "p11kit": Wrapping.RSA_OAEP_SHA1,
    "opencryptoki": Wrapping.RSA_OAEP_SHA1,
}
"""Not found out here, which takes seconds where keys are RSA keys."""


class ModuleFolder:
    """The files of one scene. The holder's folder is as the lab makes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.holder = path / "holder"
        self.config = self.holder / "holder.yaml"
        self.pin = self.holder / "pin"
        self.blob = path / "blob"


def make(path: Path, kind_name: str) -> Secrets:
    """Choose secrets, let another process make the token and seal them, and be gone."""
    folder, kind = ModuleFolder(path), KINDS[kind_name]
    chosen = Secrets().with_pin_of(kind.pin_characters)
    # No new program: it has all the code, and loads the module after the fork.
    maker = get_context("fork").Process(target=_make, args=(folder, kind, chosen))
    maker.start()
    maker.join()
    assert maker.exitcode == 0
    return chosen


def _make(folder: ModuleFolder, kind: Kind, chosen: Secrets) -> None:
    arena = Arena()
    ours = own_memory.environment(folder.path, kind)
    with mock.patch.dict(os.environ, {kind.variable: ours["LD_PRELOAD"]}):
        make_holder_folder(folder.holder, TOKEN, kind, arena)
    folder.pin.write_bytes(chosen.pin)
    os.environ.update(ours)
    token_app.create(folder.config, f"file:{folder.holder / 'so-pin'}", prompt=False)
    token, wrapping = find_token(load_holder(folder.config)), WRAPPINGS[kind.name]
    token.login(PinSource.parse(f"file:{folder.pin}").read(arena).secret)
    key = keys.generate_wrapping_key(token, KEY_ID, KEY_LABEL, wrapping)
    entropy = Entropy(filling_with(chosen.hsm))
    entropy.os_fill = filling_with(chosen.system)
    secret = filled(arena.take(len(chosen.share)), chosen.share)
    folder.blob.write_bytes(sealed_under(made_key(token, key, wrapping), secret, entropy))
