"""The signer's channel keys: drawn at each start, certified once by the identity key (step 1.6.2a).

All messages that need not prove anything later carry their signature, so that no message costs an
HSM operation.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

from hsm_mpc.certificates.channel import LONGEST_VALIDITY, Channel, UnsignedChannel
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.entropy import SEED_BYTES, Entropy
from hsm_mpc.tags import Tag, tagged_hash

PROTOCOL_VERSION: Final = 1

_SECRET_KEY_BYTES: Final = 64
_BOOT_BYTES: Final = 16
_RENEWED_BEFORE_END: Final = 3600
"""Seconds."""

IdSign = Callable[[Tag, bytes], bytes]


class ChannelKeys:
    """⟦ch⟧ and ⟦cx⟧ of one start of the signer, and their certificate, renewed before its end."""

    def __init__(
        self, arena: Arena, entropy: Entropy, identity: VerifyingKey, sign: IdSign, now: int
    ) -> None:
        """Draw both keys and have them certified.

        Raises:
            BackendError: the HSM does not sign.
        """
        self._identity = identity
        self._identity_sign = sign
        self._boot = os.urandom(_BOOT_BYTES)
        self._signing = arena.take(_SECRET_KEY_BYTES)
        self._exchange = arena.take(SEED_BYTES)
        self._renewing = threading.Lock()
        entropy.seed(self._exchange)
        with arena.scope() as take:
            seed = take(SEED_BYTES)
            entropy.seed(seed)
            with seed.open() as source, self._signing.open() as target:
                self._signing_public = sodium.ed25519_keypair(source, target)
        with self._exchange.open() as secret:
            self._exchange_public = sodium.x25519_public(secret)
        self._channel = self._certified(now)

    def current(self, now: int) -> Channel:
        """The certificate, a new one if the old one ends within the hour."""
        with self._renewing:
            if now > self._channel.content.not_after - _RENEWED_BEFORE_END:
                self._channel = self._certified(now)
            return self._channel

    def sign(self, tag: Tag, message: bytes) -> bytes:
        """`ChSign(tag, message)`, 64 bytes, under the certificate that `current` gave last."""
        signed = tagged_hash(tag, self._channel.signed_message(message))
        with self._signing.open() as secret_key:
            return sodium.ed25519_sign(secret_key, signed)

    def wipe(self) -> None:
        """The signer ends."""
        self._signing.release()
        self._exchange.release()

    def _certified(self, now: int) -> Channel:
        content = UnsignedChannel(
            boot=self._boot,
            signing_key=self._signing_public,
            exchange_key=self._exchange_public,
            lowest=PROTOCOL_VERSION,
            highest=PROTOCOL_VERSION,
            not_before=now,
            not_after=now + LONGEST_VALIDITY,
        )
        message = content.signed_message(self._identity)
        return Channel(self._identity, content, self._identity_sign(Tag.CHANNEL, message))
