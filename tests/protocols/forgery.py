"""A dealer who may deal anything, of a key generation or of a refresh.

Secrets of test data are Python integers here; the product never does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hsm_mpc.protocols import schnorr
from hsm_mpc.protocols.dealing import (
    AnyDealing,
    PadKey,
    Session,
    keys_message,
    possession_message,
)
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
    proven: int | None = None,
    shown: bytes | None = None,
) -> AnyDealing:
    """A dealing of the test's choice: `coefficients` by their power of x.

    `shares` and `raw_shares` replace the right ones for some receivers; `proven` is shown and
    proven as e, and `shown` shown as E, which is then proven with whatever is known.
    """
    suite, arena = session.suite, own.arena
    commitments = tuple(times_base(suite, a) for a in coefficients.values())
    known, width = ephemeral if proven is None else proven, suite.group.point_length
    key = shown or times_base(suite, known)
    keys = [session.key_of(index) for index in session.receivers]
    with arena.scope() as take:
        first = filled(take(32), encoded(suite, next(iter(coefficients.values()))))
        secret = filled(take(32), encoded(suite, ephemeral))
        claimed = filled(take(32), encoded(suite, known))
        halves, plaintext = take(width * len(keys)), take(32)
        with first.open() as signing, own.open() as static, halves.open() as half:
            signed = possession_message(session, commitments, key)
            possession = schnorr.sign(suite, arena, signing, commitments[0], signed)
            signed = keys_message(session, me, commitments, key)
            with claimed.open() as e:
                secrets = {
                    PadKey.EPHEMERAL: (e, key),
                    PadKey.STATIC: (static, session.key_of(me)),
                }
                of_keys = {
                    each.value: schnorr.sign(suite, arena, *secrets[each], signed)
                    for each in kind.proves_keys
                }
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
    return kind(commitments, possession, key, tuple(sealed), **of_keys)


def proving_keys(
    session: Session, me: int, dealing: AnyDealing, own: Secret, ephemeral: int
) -> AnyDealing:
    """`dealing` with new proofs of the keys of dealer `me`, who knows both."""
    suite, arena = session.suite, own.arena
    signed = keys_message(session, me, dealing.commitments, dealing.ephemeral)
    with arena.scope() as take, own.open() as v:
        with filled(take(32), encoded(suite, ephemeral)).open() as e:
            of_ephemeral = schnorr.sign(suite, arena, e, dealing.ephemeral, signed)
        of_static = schnorr.sign(suite, arena, v, session.key_of(me), signed)
    return replace(dealing, ephemeral_possession=of_ephemeral, static_possession=of_static)


def powers_from(lowest: int, coefficients: Sequence[int]) -> dict[int, int]:
    return dict(enumerate(coefficients, lowest))
