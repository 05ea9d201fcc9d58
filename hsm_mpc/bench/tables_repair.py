"""How often each numbered step of a repair (section 6.7) needs which C operation.

Counted is what the steps say of all parties together: t helpers, the first of n holders, and the
last one, whose share they repair. Each checks every message itself.
"""

from __future__ import annotations

from hsm_mpc.bench.floor import Count, counts, times
from hsm_mpc.bench.operation import Operation
from hsm_mpc.bench.tables_dkg import Curve, evaluations, signed, verified
from hsm_mpc.bench.tables_refresh import INDEX


def repaired(on: Curve, t: int, n: int, window: Operation) -> tuple[Count, ...]:
    """All parties together."""
    return (*times(t, _helper(on, t, n, window)), *_lost(on, t, n, window))


def _helper(on: Curve, t: int, n: int, window: Operation) -> tuple[Count, ...]:
    """One of t: what it splits, and what it adds up."""
    return (
        Count("1.8.1", window, 2),
        *counts("6.7.2", on.parsed, n + t),
        *counts("1.8.6", on.scalars(t)),
        *counts("6.7.3", on.multiplied),
        *counts("6.7.3", on.added, t - 1),
        *counts("6.7.3", on.base, t + 1),
        *signed(on, "6.7.3", _split_message(on, t)),
        *signed(on, "6.7.3", _split_message(on, t) + INDEX),
        *counts("2.3.3", on.agreed, 3 * t),  # the static half of a pair serves both directions
        *counts("2.3.5", on.pad, 2 * t),
        *counts("2.3.6", on.sealed, t),
        *counts("2.3.6", on.opened, t),
        *_public(on, t, t - 1),
        *counts("6.7.4", on.checked, t),
        *counts("6.7.4", on.base, t),
        *counts("6.7.5", on.added, t - 1),
        *counts("1.8.6", on.scalars(1)),
        *counts("6.7.5", on.base),
        *signed(on, "6.7.5", _sum_message(on)),
        *signed(on, "6.7.5", _sum_message(on)),
        *counts("6.7.5", on.agreed, 2),
        *counts("6.7.5", on.pad),
        *counts("6.7.5", on.sealed),
    )


def _lost(on: Curve, t: int, n: int, window: Operation) -> tuple[Count, ...]:
    """Holder r."""
    return (
        Count("1.8.1", window, 1),
        *counts("6.7.2", on.parsed, n + t),
        *_public(on, t, t),
        *counts("6.7.5", on.parsed, t),
        *verified(on, "6.7.5", _sum_message(on), 2 * t),
        *counts("6.7.5", on.agreed, 2 * t),
        *counts("6.7.5", on.pad, t),
        *counts("6.7.5", on.opened, t),
        *counts("6.7.5", on.checked, t),
        *counts("6.7.5", on.base, t),
        *counts("6.7.5", on.summed(t), t),
        *counts("6.7.5", on.added, t - 1),
        *counts("6.7.5", on.base),
        *counts("6.7.5", on.horner(n), t - 1),
        *counts("6.7.5", on.encoded),
    )


def _public(on: Curve, t: int, others: int) -> tuple[Count, ...]:
    """Step 6.7.4 as everybody takes it: messages of so many others; every sum, the own one, too."""
    return (
        *counts("6.7.4", on.parsed, others * (t + 1)),
        *verified(on, "6.7.4", _split_message(on, t), others),
        *verified(on, "6.7.4", _split_message(on, t) + INDEX, others),
        *counts("6.7.4", on.summed(t), t),
        *evaluations(on, "6.7.4", t, t),
        *counts("6.7.4", on.product, t),
    )


def _split_message(on: Curve, t: int) -> int:
    """Bytes that PoP signs: context ‖ D ‖ E."""
    return len(on.suite.hash(b"")) + on.suite.group.point_length * (t + 1)


def _sum_message(on: Curve) -> int:
    """Bytes that PoP' and PoP'^V sign: context ‖ digest ‖ u16be(k) ‖ E'."""
    return len(on.suite.hash(b"")) + 32 + 2 + on.suite.group.point_length
