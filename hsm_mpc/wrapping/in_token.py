"""What all wrapping keys inside a PKCS#11 token share: they are found once and found again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hsm_mpc.hsm import keys
from hsm_mpc.hsm.keys import Key
from hsm_mpc.hsm.token import Token
from hsm_mpc.wrapping.base import WrappingKey

_Result = TypeVar("_Result")


class KeyInToken(WrappingKey):
    """A wrapping key of one wallet and epoch, found in its token. Its handle is cached.

    Args:
        key: as `keys.generate_wrapping_key` or `keys.wrapping_key` gave it.
    """

    def __init__(self, token: Token, key: Key) -> None:
        super().__init__(keys.key_uri(token, key.key_id, key.object_class))
        self._token = token
        self._key = key

    def _with_key(self, use: Callable[[Key], _Result]) -> _Result:
        """`use` with the cached handle; once more with a new one if the token forgot it.

        Raises:
            MissingKey: the token answers and has no such key any more.
        """
        self._key, result = keys.used(self._token, self._key, use)
        return result
