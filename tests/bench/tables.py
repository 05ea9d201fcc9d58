"""All floor tables of the bench, with stand-ins for what needs a token or a disk."""

from __future__ import annotations

from hsm_mpc.bench import tables
from hsm_mpc.bench.dkg import ext_bytes
from hsm_mpc.bench.floor import Count
from hsm_mpc.bench.operation import Operation
from hsm_mpc.bench.operations import window
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
    for t, n in SIZES:
        found.append((f"taproot.sign {t}", tables.signature(t, 32, opened)))
        found.append((f"taproot.dkg {t}", tables.key_generation(t, n, ext_bytes(n), opened)))
    return found
