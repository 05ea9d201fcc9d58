"""A share sealed in a holder's token, kept in its folder for whatever processes come after."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Final

from hsm_mpc.agent.opener import OpenableShare
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.capabilities import Wrapping
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash, HolderIndex, Scheme, WalletId
from hsm_mpc.sealing.context import Context
from hsm_mpc.sealing.sealed import SealedShare, seal
from hsm_mpc.secure.arena import Arena, publish
from hsm_mpc.secure.entropy import Entropy
from hsm_mpc.wrapping.token_keys import found_key, made_key
from tests.softhsm import secret_of

WALLET: Final = WalletId(b"wallet of a share"[:16])
CONTENT: Final = bytes(range(64))
"""Of a test's share, which is no secret."""

_CONTEXT: Final = Context(WALLET, HolderIndex(1), Scheme.TAPROOT, 0, 2, EpochHash(bytes(32)))
_KEY_ID: Final = hashlib.sha256(WALLET).digest()[: keys.KEY_ID_BYTES]


def seal_in(folder: Path, token: Token, arena: Arena, wrapping: Wrapping) -> None:
    """Make a wrapping key, and a blob under it in `folder`. On a shielded thread."""
    key = keys.generate_wrapping_key(token, _KEY_ID, keys.wrapping_label(WALLET), wrapping)
    content = secret_of(arena, CONTENT)
    entropy = Entropy(token.fill_random)
    wrapper = made_key(token, key, wrapping)
    _file(folder).write_bytes(seal(content, _CONTEXT, [wrapper], entropy, int(time.time())))


def found_in(folder: Path, token: Token) -> OpenableShare:
    """The share of `seal_in`, its key found in the token."""
    sealed = SealedShare.parse(_file(folder).read_bytes())
    key = keys.find_wrapping_key(token, _KEY_ID, keys.wrapping_label(WALLET))
    assert key is not None
    return OpenableShare(sealed, found_key(token, key), _CONTEXT, sealed.digest)


def opens(share: OpenableShare, arena: Arena) -> bool:
    """Whether the token gives its content now. On a shielded thread."""
    with arena.scope() as take:
        into = take(len(CONTENT))
        share.open_into(into)
        return publish(into) == CONTENT


def _file(folder: Path) -> Path:
    return folder / "share"
