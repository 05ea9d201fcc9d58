"""A dealer who may deal anything, of a key generation or of a refresh.

Secrets of test data are Python integers here; the product never does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hsm_mpc.protocols import schnorr
from hsm_mpc.protocols.dealing import AnyDealing, Session, possession_message
from hsm_mpc.protocols.pads import Route, session_pads, static_halves
from hsm_mpc.protocols.suite import Suite
from hsm_mpc.secure.arena import Secret
from tests.secure.bytes_of import filled, write


def encoded(suite: Suite, scalar: int) -> bytes:
    return suite.group.scalar_bytes(scalar % suite.group.order)


def times_base(suite: Suite, scalar: int) -> bytes:
    point = suite.group.base_multiple(scalar)
    assert point is not None
    return bytes(point)


def forged_dealing(
    kind: type[AnyDealing],
    session: Session,
    me: int,
    own: Secret,
    coefficients: Mapping[int, int],
    ephemeral: int,
    *,
    shares: Mapping[int, int] | None = None,
    raw_shares: Mapping[int, bytes] | None = None,
    shown: bytes | None = None,
) -> AnyDealing:
    """A dealing of the test's choice: `coefficients` by their power of x.

    `shares` and `raw_shares` replace the right ones for some receivers; `shown` is shown as E.
    """
    suite, arena = session.suite, own.arena
    commitments = tuple(times_base(suite, a) for a in coefficients.values())
    key, width = shown or times_base(suite, ephemeral), suite.group.point_length
    keys = [session.key_of(index) for index in session.receivers]
    with arena.scope() as take:
        first = filled(take(32), encoded(suite, next(iter(coefficients.values()))))
        secret = filled(take(32), encoded(suite, ephemeral))
        halves, plaintext = take(width * len(keys)), take(32)
        with first.open() as signing, own.open() as static, halves.open() as half:
            signed = possession_message(session, commitments, key)
            possession = schnorr.sign(suite, arena, signing, commitments[0], signed)
            static_halves(suite, static, keys, half)
            sealed = []
            with session_pads(suite, session.context, arena) as pads, secret.open() as sending:
                for index, receiver in enumerate(keys, 1):
                    value = sum(a * index**k for k, a in coefficients.items())
                    value = (shares or {}).get(index, value)
                    write(plaintext, (raw_shares or {}).get(index, encoded(suite, value)))
                    route = Route(key, session.key_of(me), receiver)
                    with plaintext.open() as share:
                        at = half + width * (index - 1)
                        sealed.append(pads.seal(sending, at, route, share, 32))
    return kind(commitments, possession, key, tuple(sealed))


def powers_from(lowest: int, coefficients: Sequence[int]) -> dict[int, int]:
    return dict(enumerate(coefficients, lowest))
