"""`lab.refresh`: wallets of a whole lab refreshed one after the other while a client signs.

It asks for a signature of the very wallet that is refreshed, again and again: no request may fail.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hsm_mpc.bench.lab import TRANSPORT, N, T, percentile
from hsm_mpc.bench.measure import Measured, repeated, side_by_side
from hsm_mpc.bench.report import Row
from hsm_mpc.errors import HsmMpcError
from hsm_mpc.hsm import keys
from hsm_mpc.hsm.register import Register, Registers
from hsm_mpc.hsm.token import Token
from hsm_mpc.ids import EpochHash, WalletId

NAME: Final = "lab.refresh"

KEYS_MADE: Final = 1
REGISTERS_WRITTEN: Final = 4
"""Promise, acknowledgement, adoption, and anew for the successor (step 6.2.1)."""
FILES_MADE_DURABLE: Final = 91
"""Files and folders that a holder syncs, its audit lines among them."""

TARGET: Final = 2.0
"""How many times as long as without refreshes a signature may take, at the 99th percentile."""

_MICROSECONDS: Final = 1e6
_FILE_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class MeasuredWallet:
    """Both are done once with a wallet, by a client that verifies what comes of it."""

    sign: Callable[[bytes], object]
    refresh: Callable[[], object]


@dataclass
class _Signing:
    """How long each signature took, in µs, and how many requests failed."""

    took_us: list[float] = field(default_factory=list)
    failed: int = 0

    def once(self, sign: Callable[[bytes], object]) -> None:
        began = time.perf_counter()
        try:
            sign(os.urandom(32))
        except HsmMpcError:
            self.failed += 1
        else:
            self.took_us.append((time.perf_counter() - began) * _MICROSECONDS)


def parts(token: Token, file: Path, *, rounds: int) -> dict[str, float]:
    """What the slow parts of a refresh cost one holder, in µs: median of each, times how often.

    Args:
        file: a new one, on the disk of the stores.
    """
    wallet_id, registers = WalletId(os.urandom(16)), Registers(token)
    label, register = keys.wrapping_label(wallet_id), Register(EpochHash(os.urandom(32)))

    def key() -> None:
        keys.generate_wrapping_key(token, os.urandom(keys.KEY_ID_BYTES), label)

    def written() -> None:
        registers.write(wallet_id, register)

    def durable() -> None:
        with file.open("wb") as opened:
            opened.write(bytes(_FILE_BYTES))
            opened.flush()
            os.fsync(opened.fileno())

    each = [Measured(repeated(part), 1) for part in (key, written, durable)]
    a_key, a_register, a_file = side_by_side(each, rounds=rounds)
    return {
        "keys": KEYS_MADE * a_key.wall_us,
        "registers": REGISTERS_WRITTEN * a_register.wall_us,
        "files": FILES_MADE_DURABLE * a_file.wall_us,
    }


def row(
    scheme: str, wallets: Sequence[MeasuredWallet], parts_us: Mapping[str, float], seconds: float
) -> Row:
    """Refresh each wallet once, after some seconds of signing without refreshes.

    Args:
        parts_us: what a key, a write of the register and a durable file cost one holder alone.
    """
    alone = _Signing()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        alone.once(wallets[0].sign)
    beside, refreshes_us = _Signing(), []
    for wallet in wallets:
        with _signed_all_the_time(wallet.sign, beside):
            began = time.perf_counter()
            wallet.refresh()
            refreshes_us.append((time.perf_counter() - began) * _MICROSECONDS)
    p99 = percentile(beside.took_us, 99)
    p99_alone = percentile(alone.took_us, 99)
    failed = alone.failed + beside.failed
    return Row(
        name=NAME,
        t=T,
        n=N,
        scheme=scheme,
        wall_us=round(statistics.median(refreshes_us), 1),
        p50_us=round(statistics.median(beside.took_us), 1),
        p99_us=round(p99, 1),
        p99_alone_us=round(p99_alone, 1),
        failed=failed,
        transport=TRANSPORT,
        parts_us={name: round(us, 1) for name, us in parts_us.items()},
        note=(
            f"{scheme}, {len(wallets)} wallets; p99 of {len(beside.took_us)} signatures meanwhile "
            f"{p99 / p99_alone:.1f} × that without refreshes, target {TARGET:g}; "
            f"{failed} requests failed"
        ),
    )


@contextmanager
def _signed_all_the_time(sign: Callable[[bytes], object], into: _Signing) -> Iterator[None]:
    """One request after the other while the body runs, and one at least."""
    over = threading.Event()

    def signing() -> None:
        into.once(sign)
        while not over.is_set():
            into.once(sign)

    thread = threading.Thread(target=signing)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
