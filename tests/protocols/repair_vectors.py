"""Our own vectors of a repair (section 8.3): `python -m tests.protocols.repair_vectors`.

Every scalar is SHA-512 of its label, so that the file can be made anew from nothing.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from tests.protocols.refresh_reference import Curve
from tests.protocols.refresh_vectors import CURVES
from tests.protocols.repair_reference import Repair, session_of

FILE: Final = Path(__file__).with_name("vectors") / "repair.json"
CASES: Final = ((2, 3, 3, (1, 2)), (3, 5, 1, (2, 4, 5)), (4, 7, 5, (1, 3, 6, 7)))
"""t, n, the holder whose share was lost, and the helpers."""


def drawn(curve: Curve, label: str) -> int:
    digest = hashlib.sha512(f"hsm_mpc repair vector: {label}".encode()).digest()
    return int.from_bytes(digest, "big") % curve.order


def case(name: str, t: int, n: int, lost: int, helpers: tuple[int, ...]) -> dict[str, Any]:
    curve = CURVES[name]

    def scalar(what: str) -> int:
        return drawn(curve, f"{name} {t}-of-{n} {what}")

    def written(scalars: list[int]) -> list[str]:
        return [curve.scalar(each).hex() for each in scalars]

    key = [scalar(f"a {k}") for k in range(t)]
    shares = {i: sum(a * i**k for k, a in enumerate(key)) for i in range(1, n + 1)}
    deliveries = {i: scalar(f"v {i}") for i in range(1, n + 1)}
    repair = Repair(curve, session_of(f"repair {name} {t}-of-{n}"), lost, helpers, deliveries)
    deltas, splits = {}, {}
    for i in helpers:
        others = [scalar(f"delta {i} {k}") for k in helpers[:-1]]
        deltas[i] = [*others, repair.factor(i) * shares[i] - sum(others)]
        splits[i] = repair.split(i, deltas[i], scalar(f"e {i}"))
    digest, sums = repair.digest(splits), {}
    for place, k in enumerate(helpers):
        sums[k] = sum(deltas[i][place] for i in helpers)
    liar, accuser, place = helpers[0], helpers[-1], len(helpers) - 1
    false = curve.scalar(deltas[liar][place] + 1)
    wrong = curve.scalar(sums[liar] + 1)
    return {
        "suite": name,
        "t": t,
        "n": n,
        "session": repair.session.hex(),
        "lost": lost,
        "helpers": list(helpers),
        "delivery_secrets": written(list(deliveries.values())),
        "shares": written(list(shares.values())),
        "commitments": [curve.point(a).hex() for a in key],
        "splits": [
            {
                "deltas": written(deltas[i]),
                "ephemeral_secret": curve.scalar(scalar(f"e {i}")).hex(),
                "message": splits[i].hex(),
            }
            for i in helpers
        ],
        "sums": [
            {
                "sum": curve.scalar(sums[k]).hex(),
                "ephemeral_secret": curve.scalar(scalar(f"e' {k}")).hex(),
                "message": repair.summed(k, curve.scalar(sums[k]), scalar(f"e' {k}"), digest).hex(),
            }
            for k in helpers
        ],
        "complaint_of_a_delta": {
            "accuser": accuser,
            "false_message": repair.split(
                liar, deltas[liar], scalar(f"e {liar}"), raw={accuser: false}
            ).hex(),
            "nonce": curve.scalar(scalar("k")).hex(),
            "complaint": repair.complaint(accuser, liar, scalar(f"e {liar}"), scalar("k")).hex(),
        },
        "complaint_of_a_sum": {
            "accuser": lost,
            "false_message": repair.summed(liar, wrong, scalar(f"e' {liar}"), digest).hex(),
            "nonce": curve.scalar(scalar("k'")).hex(),
            "complaint": repair.complaint(lost, liar, scalar(f"e' {liar}"), scalar("k'")).hex(),
        },
    }


def made() -> str:
    """The content of the file."""
    cases = [case(name, *sizes) for name in CURVES for sizes in CASES]
    return json.dumps(cases, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(made(), "ascii")
