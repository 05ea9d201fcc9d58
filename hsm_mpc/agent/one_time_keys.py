"""What dies with one key generation: d_i, v_i, and what is kept between its rounds (2.6.2)."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hsm_mpc.agent.acting import ActingHolder
from hsm_mpc.agent.kek_digest import kek_digest_of
from hsm_mpc.certificates.extension import Extension
from hsm_mpc.certificates.hello import Hello
from hsm_mpc.groups.base import Group
from hsm_mpc.hsm.keys import Key
from hsm_mpc.protocols import dkg
from hsm_mpc.protocols.rounds import abort
from hsm_mpc.secure.arena import Secret, Take
from hsm_mpc.wrapping.base import WrappingKey
from hsm_mpc.wrapping.token_keys import made_key


@dataclass(frozen=True, slots=True)
class Dealt:
    """Between msg1 and round 3."""

    keep: dkg.Keep1to2
    extension: Extension


@dataclass(slots=True)
class OneTimeKeys:
    """The secrets of a session, and what its HELLO says of them."""

    own: Hello
    key: WrappingKey
    """KEK_0."""
    static: Secret
    delivery: Secret
    dealt: Dealt | None = None

    @classmethod
    def drawn(cls, holder: ActingHolder, group: Group, key: Key, take: Take) -> OneTimeKeys:
        """Fresh ones, in slots of `take`.

        Raises:
            BackendError: the HSM gives no randomness.
        """
        static, delivery = take(group.scalar_length), take(group.scalar_length)
        for secret in (static, delivery):
            group.random_nonzero(secret, holder.entropy)
        wrapping = made_key(holder.token, key, holder.wrapping)
        own = Hello(
            os.urandom(32),
            group.public_point(static),
            group.public_point(delivery),
            kek_digest_of(holder.token, wrapping),
        )
        return cls(own, wrapping, static, delivery)

    def wipe(self) -> None:
        """All of it; what was wiped before is wiped."""
        if self.dealt is not None:
            abort(self.dealt.keep)
        self.static.release()
        self.delivery.release()
