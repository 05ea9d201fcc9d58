"""Our own vectors of a resharing (section 8.3): `python -m tests.protocols.reshare_vectors`.

Every scalar is SHA-512 of its label, so that the file can be made anew from nothing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from tests.protocols.refresh_reference import Curve
from tests.protocols.refresh_vectors import CURVES
from tests.protocols.reshare_reference import Reshare, value

FILE: Final = Path(__file__).with_name("vectors") / "reshare.json"
CASES: Final = (
    (2, 3, (1, 3), 3, 5),
    (3, 4, (2, 3, 4), 3, 4),
    (4, 6, (1, 2, 4, 6), 2, 3),
)
"""t, n, the dealers, t' and n': growing, as before, shrinking."""


def drawn(curve: Curve, label: str) -> int:
    digest = hashlib.sha512(f"hsm_mpc reshare vector: {label}".encode()).digest()
    return int.from_bytes(digest, "big") % curve.order


def case(
    name: str, t: int, n: int, dealers: tuple[int, ...], new_t: int, new_n: int
) -> dict[str, Any]:
    curve, title = CURVES[name], f"{name} {t}-of-{n} to {new_t}-of-{new_n}"

    def scalar(what: str) -> int:
        return drawn(curve, f"{title} {what}")

    def written(scalars: list[int]) -> list[str]:
        return [curve.scalar(each).hex() for each in scalars]

    def points(scalars: list[int]) -> list[str]:
        return [curve.point(each).hex() for each in scalars]

    key = [scalar(f"a {k}") for k in range(t)]
    shares = [value(key, index) for index in range(1, n + 1)]
    deliveries = tuple(scalar(f"v {index}") for index in range(1, n + 1))
    receivers = tuple(scalar(f"v' {index}") for index in range(1, new_n + 1))
    session = hashlib.sha256(f"reshare {title}".encode()).digest()
    reshare = Reshare(curve, session, dealers, deliveries, receivers)
    dealt = {
        i: [reshare.part(i, shares[i - 1]), *(scalar(f"f {i} {k}") for k in range(1, new_t))]
        for i in dealers
    }
    after = [sum(dealt[i][k] for i in dealers) for k in range(new_t)]
    assert (after[0] - key[0]) % curve.order == 0
    accuser, accused = new_n, dealers[0]
    wrong = {accuser: curve.scalar(value(dealt[accused], accuser) + 1)}
    ephemeral, nonce = scalar(f"e {accused}"), scalar("k")
    false = reshare.dealing(accused, dealt[accused], ephemeral, raw=wrong)
    bases = (ephemeral, deliveries[accused - 1])
    revealed = curve.equal_logs(session, receivers[accuser - 1], bases, nonce)
    return {
        "suite": name,
        "t": t,
        "n": n,
        "new_t": new_t,
        "new_n": new_n,
        "session": session.hex(),
        "dealers": list(dealers),
        "delivery_secrets": written(list(deliveries)),
        "shares": written(shares),
        "commitments": points(key),
        "receiver_secrets": written(list(receivers)),
        "dealings": [
            {
                "part": curve.scalar(dealt[i][0]).hex(),
                "coefficients": written(dealt[i][1:]),
                "ephemeral_secret": curve.scalar(scalar(f"e {i}")).hex(),
                "dealing": reshare.dealing(i, dealt[i], scalar(f"e {i}")).hex(),
            }
            for i in dealers
        ],
        "new_commitments": points(after),
        "new_shares": written([value(after, index) for index in range(1, new_n + 1)]),
        "complaint": {
            "accuser": accuser,
            "false_dealing": false.hex(),
            "nonce": curve.scalar(nonce).hex(),
            "complaint": (accused.to_bytes(2, "big") + revealed).hex(),
        },
    }


def made() -> str:
    """The content of the file."""
    cases = [case(name, *sizes) for name in CURVES for sizes in CASES]
    return json.dumps(cases, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(made(), "ascii")
