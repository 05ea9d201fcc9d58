"""How often each numbered step of a refresh (section 6.4) needs which C operation.

Counted is what the steps say of a refresh in which all holders deal, in the cheapest way: Feldman's
check of a polynomial without constant term divides the delta by the index, not a point.
"""

from __future__ import annotations

from typing import Final

from hsm_mpc.bench.floor import Count, counts
from hsm_mpc.bench.operation import Operation
from hsm_mpc.bench.tables_dkg import Curve, evaluations, pads, signed, verified

INDEX: Final = 2
"""Bytes of the dealer's index, which PoP^E and PoP^V sign behind what PoP signs (6.4.2, 6.7.3)."""


def refreshed(on: Curve, t: int, n: int, window: Operation) -> tuple[Count, ...]:
    """The share of one holder, averaged over holders (the price of 6.4.3 grows with the index)."""
    message = len(on.suite.hash(b"")) + on.suite.group.point_length * t
    return (
        Count("1.8.1", window, 2),
        *counts("6.4.1", on.parsed, n + t),
        *counts("1.8.6", on.scalars(t)),
        *counts("6.4.2", on.base, t),
        *signed(on, "6.4.2", message),
        *signed(on, "6.4.2", message + INDEX),
        *signed(on, "6.4.2", message + INDEX),
        *counts("6.4.2", on.multiplied, n * (t - 1)),
        *pads(on, n),
        *counts("6.4.3", on.parsed, (n - 1) * t),
        *verified(on, "6.4.3", message, n - 1),
        *verified(on, "6.4.3", message + INDEX, 2 * (n - 1)),
        *counts("6.4.3", on.checked, n),
        *counts("6.4.3", on.multiplied, n),
        *counts("6.4.3", on.base, n),
        *counts("6.4.4", on.summed(n + 1), t - 1),
        *evaluations(on, "6.4.4", t, n),
        *counts("6.4.5", on.added, n),
        *counts("6.4.5", on.base),
        *_higher_coefficients(on, t, n),
    )


def _higher_coefficients(on: Curve, t: int, n: int) -> tuple[Count, ...]:
    """What only polynomials of more than one coefficient need."""
    if t == 2:
        return ()
    return (
        *counts("6.4.2", on.added, n * (t - 2)),
        *evaluations(on, "6.4.3", t - 1, n),
    )
