"""What we measure ourselves against, in the same run: frost_rs 1.0.0, extra `[bench]`.

frost_rs is the ZF FROST crates in Rust under a Python face, a module for each curve. It passes
packages as base64 text, signs by RFC 9591 on all of them (no BIP 340) and looks at single shares
only if the aggregate does not verify.
Its wheels are for Python 3.11 on x86_64 only; elsewhere there is no peer.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hsm_mpc.bench.measure import Measured, repeated

SIGNATURE: Final = "frost_rs"
"""preprocess and sign of t signers, aggregate, verify."""
WITHOUT_VERIFY: Final = "frost_rs_without_verify"
"""The same, but for the last verification: aggregate has done one already."""
KEY_GENERATION: Final = "frost_rs"
"""round1, round2 and round3, per holder; its round 2 is encrypted."""


def _frost() -> Any:
    """frost_rs, or None."""
    try:
        return importlib.import_module("frost_rs")
    except ImportError:
        return None


_FROST: Final = _frost()
ABSENT: Final = "" if _FROST else "; frost_rs is not installed here (extra [bench]), so no peer"


@dataclass(frozen=True, slots=True)
class _Dealt:
    """What frost_rs made for n holders."""

    signing_keys: Mapping[str, str]
    public_keys: Mapping[str, str]


def _generated(frost: Any, t: int, n: int) -> _Dealt:
    names = [frost.get_id() for _ in range(n)]
    first = {name: frost.round1(name, t, n) for name in names}
    second = {
        name: frost.round2(kept, _others(name, {each: sent for each, (_, sent) in first.items()}))
        for name, (kept, _) in first.items()
    }
    third = {
        name: frost.round3(
            kept,
            _others(name, {each: sent for each, (_, sent) in first.items()}),
            {each: sent[name] for each, (_, sent) in second.items() if name in sent},
        )
        for name, (kept, _) in second.items()
    }
    return _Dealt(
        {name: keys[0] for name, keys in third.items()},
        {name: keys[1] for name, keys in third.items()},
    )


def _others(name: str, sent: Mapping[str, str]) -> dict[str, str]:
    return {each: package for each, package in sent.items() if each != name}


def key_generation(curve: str, t: int, n: int) -> dict[str, Measured]:
    """A key generation of n holders, to be measured per holder; `curve` is a module of frost_rs."""
    if _FROST is None:
        return {}
    frost = getattr(_FROST, curve)
    return {KEY_GENERATION: Measured(repeated(lambda: _generated(frost, t, n)), 1, parties=n)}


def signature(curve: str, t: int, n: int, message: bytes, repeats: int) -> dict[str, Measured]:
    """One signature of t of n, from nonces to the verified signature, all parties together."""
    if _FROST is None:
        return {}
    frost = getattr(_FROST, curve)
    dealt = _generated(frost, t, n)
    signers = dict(list(dealt.signing_keys.items())[:t])
    public = next(iter(dealt.public_keys.values()))

    def signed() -> Any:
        nonces = {name: frost.preprocess(key) for name, key in signers.items()}
        commitments = {name: nonce[1] for name, nonce in nonces.items()}
        shares = {
            name: frost.sign(message, commitments, nonces[name][0], key)
            for name, key in signers.items()
        }
        return frost.aggregate(message, commitments, shares, public)

    return {
        SIGNATURE: Measured(repeated(lambda: frost.verify(message, public, signed())), repeats),
        WITHOUT_VERIFY: Measured(repeated(signed), repeats),
    }
