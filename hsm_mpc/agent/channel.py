"""The signer's channel keys: drawn at each start, certified once by the identity key (step 1.6.2a).

All messages that need not prove anything later carry their signature, so that no message costs an
HSM operation.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hsm_mpc.certificates.channel import CLOCK_TOLERANCE, LONGEST_VALIDITY, Channel, UnsignedChannel
from hsm_mpc.certificates.terms import PROTOCOL_VERSION
from hsm_mpc.identity import VerifyingKey
from hsm_mpc.protocols.rounds import kept
from hsm_mpc.secure import sodium
from hsm_mpc.secure.arena import Arena
from hsm_mpc.secure.entropy import SEED_BYTES, Entropy
from hsm_mpc.secure.secret import Secret
from hsm_mpc.tags import Tag, tagged_hash

_SECRET_KEY_BYTES: Final = 64
_BOOT_BYTES: Final = 16
_RENEWED_BEFORE_END: Final = 3600
"""Seconds."""

IdSign = Callable[[Tag, bytes], bytes]


@dataclass(frozen=True, slots=True)
class ChannelSigner:
    """The channel key under one certificate, whatever is renewed meanwhile."""

    channel: Channel
    secret_key: Secret

    def sign(self, tag: Tag, message: bytes) -> bytes:
        """`ChSign(tag, message)`, 64 bytes."""
        signed = tagged_hash(tag, self.channel.signed_message(message))
        with self.secret_key.open() as secret_key:
            return sodium.ed25519_sign(secret_key, signed)


class ChannelKeys:
    """⟦ch⟧ and ⟦cx⟧ of one start of the signer, and their certificate, renewed before its end."""

    def __init__(
        self, arena: Arena, entropy: Entropy, identity: VerifyingKey, sign: IdSign, now: int
    ) -> None:
        """Draw both keys and have them certified.

        Raises:
            BackendError: the HSM does not sign, or gives no randomness.
        """
        self._identity = identity
        self._identity_sign = sign
        self._boot = os.urandom(_BOOT_BYTES)
        self._renewing = threading.Lock()
        with kept(arena) as keep:
            self._secret_key, self._exchange = keep(_SECRET_KEY_BYTES), keep(SEED_BYTES)
            entropy.seed(self._exchange)
            with arena.scope() as take:
                seed = take(SEED_BYTES)
                entropy.seed(seed)
                with seed.open() as source, self._secret_key.open() as target:
                    self._signing_public = sodium.ed25519_keypair(source, target)
            with self._exchange.open() as secret:
                self._exchange_public = sodium.x25519_public(secret)
            self._channel = self._certified(now)

    def signer(self, now: int) -> ChannelSigner:
        """The key under a certificate that is valid for a while; a new one if it ends soon.

        Raises:
            BackendError: a new one is due and the HSM does not sign.
        """
        channel = self._channel
        wait = not _is_valid(channel, now)
        if _is_due(channel, now) and self._renewing.acquire(blocking=wait):
            try:
                if _is_due(self._channel, now):  # nobody was faster
                    self._channel = self._certified(now)
            finally:
                self._renewing.release()
        return ChannelSigner(self._channel, self._secret_key)

    def certify_again(self, identity: VerifyingKey, now: int) -> None:
        """Another identity key stands for this holder (step 6.7.9): the same keys under it.

        Raises:
            BackendError: the HSM does not sign.
        """
        with self._renewing:
            if self._channel.identity != identity:
                self._identity = identity
                self._channel = self._certified(now)

    def wipe(self) -> None:
        """The signer ends."""
        self._secret_key.release()
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


def _is_due(channel: Channel, now: int) -> bool:
    """It ends within the hour; or the clock was set back, and others take it for a later one."""
    content = channel.content
    return not (
        content.not_before - CLOCK_TOLERANCE <= now <= content.not_after - _RENEWED_BEFORE_END
    )


def _is_valid(channel: Channel, now: int) -> bool:
    return channel.content.not_before - CLOCK_TOLERANCE <= now <= channel.content.not_after
