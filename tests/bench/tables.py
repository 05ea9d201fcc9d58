"""All floor tables of the bench, with stand-ins for what needs a token or a disk."""

from __future__ import annotations

from hsm_mpc.bench import schemes, tables
from hsm_mpc.bench.dkg import ext_bytes
from hsm_mpc.bench.floor import Count
from hsm_mpc.bench.operation import Operation
from hsm_mpc.bench.operations import window
from hsm_mpc.bench.schemes import MeasuredScheme
from hsm_mpc.bench.tables_dkg import key_generation
from hsm_mpc.bench.tables_refresh import refreshed
from hsm_mpc.bench.tables_repair import repaired
from hsm_mpc.secure.arena import Arena

STAND_IN = Operation("stand-in", "nothing", lambda: lambda repeats: None)
SIZES = ((2, 3), (3, 5), (11, 16))


def all_tables(arena: Arena) -> list[tuple[str, tuple[Count, ...]]]:
    opened = window(arena)
    found = [
        ("envelope.sign", tables.envelope_signed(84, opened)),
        ("envelope.verify", tables.envelope_verified(84)),
        ("signer.partial", tables.released_partial(2, 32, opened, STAND_IN, STAND_IN)),
    ]
    for scheme in schemes.ALL:
        for t, n in SIZES:
            found.append((f"{scheme.name}.sign {t}", scheme.signature(t, 32, opened)))
            found.append((f"{scheme.name}.dkg {t}", generation(scheme, t, n, opened)))
            found.append((f"{scheme.name}.refresh {t}", refreshed(scheme.curve, t, n, opened)))
            found.append((f"{scheme.name}.repair {t}", repaired(scheme.curve, t, n, opened)))
    return found


def generation(scheme: MeasuredScheme, t: int, n: int, opened: Operation) -> tuple[Count, ...]:
    return key_generation(scheme.curve, t, n, ext_bytes(scheme.suite, n), opened)
