"""Our own vectors of a refresh (section 8.3): `python -m tests.protocols.refresh_vectors`.

Every scalar is SHA-512 of its label, so that the file can be made anew from nothing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from hsm_mpc.groups.proofs import COCKTAIL_ED25519, COCKTAIL_SECP256K1
from tests.protocols.refresh_reference import Curve, Dealer

FILE: Final = Path(__file__).with_name("vectors") / "refresh.json"
CURVES: Final = {
    "secp256k1": Curve(COCKTAIL_SECP256K1.group, COCKTAIL_SECP256K1.suite_id),
    "ed25519": Curve(COCKTAIL_ED25519.group, COCKTAIL_ED25519.suite_id),
}
CASES: Final = ((2, 3, (1, 2)), (3, 5, (1, 2, 3, 4, 5)), (4, 7, (1, 3, 4, 7)))
"""t, n and the dealers."""


def drawn(curve: Curve, label: str) -> int:
    digest = hashlib.sha512(f"hsm_mpc refresh vector: {label}".encode()).digest()
    return int.from_bytes(digest, "big") % curve.order


def case(name: str, t: int, n: int, dealers: tuple[int, ...]) -> dict[str, Any]:
    curve, holders = CURVES[name], range(1, n + 1)

    def scalar(what: str) -> int:
        return drawn(curve, f"{name} {t}-of-{n} {what}")

    def written(scalars: list[int]) -> list[str]:
        return [curve.scalar(each).hex() for each in scalars]

    def points(scalars: list[int]) -> list[str]:
        return [curve.point(each).hex() for each in scalars]

    session = hashlib.sha256(f"{name} {t}-of-{n}".encode()).digest()
    key = [scalar(f"a {k}") for k in range(t)]
    deliveries = [scalar(f"v {index}") for index in holders]
    dealing = [
        Dealer(i, tuple(scalar(f"b {i} {k}") for k in range(1, t)), scalar(f"e {i}"))
        for i in dealers
    ]
    after = [key[0], *(key[k] + sum(d.coefficients[k - 1] for d in dealing) for k in range(1, t))]
    accuser, accused = n, dealing[0]
    false = accused.dealing(curve, session, deliveries, {accuser: accused.delta(accuser) + 1})
    bases = (accused.ephemeral, deliveries[accused.index - 1])
    revealed = curve.equal_logs(session, deliveries[accuser - 1], bases, scalar("k"))
    return {
        "suite": name,
        "t": t,
        "n": n,
        "session": session.hex(),
        "dealers": list(dealers),
        "delivery_secrets": written(deliveries),
        "shares": written([sum(a * i**k for k, a in enumerate(key)) for i in holders]),
        "commitments": points(key),
        "dealings": [
            {
                "coefficients": written(list(dealer.coefficients)),
                "ephemeral_secret": curve.scalar(dealer.ephemeral).hex(),
                "dealing": dealer.dealing(curve, session, deliveries).hex(),
            }
            for dealer in dealing
        ],
        "renewed_commitments": points(after),
        "renewed_shares": written([sum(a * i**k for k, a in enumerate(after)) for i in holders]),
        "complaint": {
            "accuser": accuser,
            "false_dealing": false.hex(),
            "nonce": curve.scalar(scalar("k")).hex(),
            "complaint": (accused.index.to_bytes(2, "big") + revealed).hex(),
        },
    }


def made() -> str:
    """The content of the file."""
    cases = [case(name, *sizes) for name in CURVES for sizes in CASES]
    return json.dumps(cases, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(made(), "ascii")
