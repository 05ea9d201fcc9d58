"""`bench`: which rows there are, and what each needs set up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar

from hsm_mpc.app import holder as holder_app
from hsm_mpc.app import lab as lab_app
from hsm_mpc.app.acting import at_work
from hsm_mpc.app.client import connected
from hsm_mpc.app.holder import OpenHolder, opened, shielded
from hsm_mpc.app.lab_report import LabReport
from hsm_mpc.app.wallet import LAB_POLICY
from hsm_mpc.bench import (
    dkg,
    envelope,
    lab,
    lab_refresh,
    recovery,
    refresh,
    release,
    repair,
    schemes,
    sign,
    unseal,
    wallet,
)
from hsm_mpc.bench.floor import FloorLine
from hsm_mpc.bench.lab_refresh import MeasuredWallet
from hsm_mpc.bench.parties import COORDINATOR
from hsm_mpc.bench.report import Report, Row, report
from hsm_mpc.bench.schemes import MeasuredScheme
from hsm_mpc.bench.wallet import Others
from hsm_mpc.client.verified import VerifiedWallet
from hsm_mpc.client.wallets import WalletClient
from hsm_mpc.config import HolderConfig, KnownClient, KnownCoordinator
from hsm_mpc.errors import BadConfig
from hsm_mpc.lab.folder import LabFolder
from hsm_mpc.lab.kind import TOKEN
from hsm_mpc.lab.kinds import KINDS
from hsm_mpc.requests import RequestType
from hsm_mpc.secure.arena import Arena
from hsm_mpc.taproot.derivation import Path as KeyPath

Progress = Callable[[str], None]

__all__ = ["FloorLine", "Report", "Row", "run"]

_Result = TypeVar("_Result")

_RowOfSize = Callable[..., Row]
"""`row(scheme, t, n, arena, rounds=…)`."""

_WALLETS: Final = (1, 100, 1000)
_WALLETS_QUICK: Final = (1, 50)
_ROUNDS: Final = 60
_ROUNDS_QUICK: Final = 5
_LAB_SECONDS: Final = 5.0
_LAB_SECONDS_QUICK: Final = 0.5
_REFRESHES: Final = 100
_REFRESHES_QUICK: Final = 2
_RETURNS: Final = 7
_RETURNS_QUICK: Final = 2
_SIZES: Final = ((2, 3), (3, 5), (11, 16))
_LARGE: Final = 10
"""Holders from which on everything takes so long that fewer rounds are enough."""
_IN_FLIGHT: Final = (1, 8)
_ARENA_BYTES: Final = 512 * 1024


@dataclass(frozen=True, slots=True)
class _Effort:
    """How much is measured, and who is told."""

    quick: bool
    progress: Progress

    @property
    def rounds(self) -> int:
        return _ROUNDS_QUICK if self.quick else _ROUNDS

    @property
    def wallets(self) -> tuple[int, ...]:
        return _WALLETS_QUICK if self.quick else _WALLETS

    @property
    def lab_seconds(self) -> float:
        return _LAB_SECONDS_QUICK if self.quick else _LAB_SECONDS

    @property
    def refreshes(self) -> int:
        return _REFRESHES_QUICK if self.quick else _REFRESHES

    @property
    def returns(self) -> int:
        return _RETURNS_QUICK if self.quick else _RETURNS

    def rounds_of(self, n: int) -> int:
        return max(1, self.rounds // 4) if n > _LARGE else self.rounds


def run(only: str, *, quick: bool, progress: Progress) -> Report:
    """Measure the rows whose name begins with `only`.

    Raises:
        BadConfig: no SoftHSM2 module is known.
    """
    effort = _Effort(quick, progress)
    rows = [
        row
        for names, measured in _GROUPS.items()
        if any(name.startswith(only) for name in names)
        for row in measured(only, effort)
    ]
    return report(tuple(rows))


def _each_size(
    scheme: MeasuredScheme, name: str, row: _RowOfSize, _: str, effort: _Effort
) -> Iterable[Row]:
    for t, n in _SIZES:
        effort.progress(f"measuring {scheme.name}.{name} {t}-of-{n}")
        yield _in_memory(partial(row, scheme, t, n, rounds=effort.rounds_of(n)))


def _envelope(only: str, effort: _Effort) -> Iterable[Row]:
    effort.progress("measuring envelopes")
    with _folder() as folder:
        rows = _in_memory(lambda arena: envelope.rows(folder, arena, rounds=effort.rounds))
    return [row for row in rows if row.name.startswith(only)]


def _in_memory(measured: Callable[[Arena], _Result]) -> _Result:
    """On a shielded thread, with protected memory of its own."""
    arena = Arena(_ARENA_BYTES)
    try:
        return shielded(lambda: measured(arena))
    finally:
        arena.close()


@contextmanager
def _folder() -> Iterator[Path]:
    """A private folder for the time of a measurement; TMPDIR says on which disk."""
    with tempfile.TemporaryDirectory(prefix="hsm-mpc-bench-") as folder:
        yield Path(folder)


def _signer(only: str, effort: _Effort) -> Iterable[Row]:
    """The rows of a holder with a token and a store."""
    with _folder() as folder:
        prepared = lab_app.prepare_holder(folder / "h1", "h1")
        holder_app.init(prepared.config, prompt=False)
        with opened(prepared.config, prompt=False) as holder:
            if unseal.NAME.startswith(only):
                yield from _unseal(holder, effort)
            if release.NAME.startswith(only):
                yield _release(holder, folder, effort)


def _unseal(holder: OpenHolder, effort: _Effort) -> Iterable[Row]:
    """A row for each number of wallets on the token, which grows meanwhile."""
    token, arena, entropy = holder.token, holder.arena, holder.entropy
    made = 0
    for wallets in effort.wallets:
        effort.progress(f"measuring {unseal.NAME}, {wallets} wrapping keys")
        unseal.fill_token(token, wallets - made - 1)
        made = wallets
        yield shielded(partial(unseal.row, token, arena, entropy, wallets, rounds=effort.rounds))


def _release(holder: OpenHolder, folder: Path, effort: _Effort) -> Row:
    """The holder acts under a roster with two others that exist here only."""
    effort.progress(f"measuring {release.NAME}")

    def measured() -> Row:
        with Others.made(folder, holder.arena) as others:
            roster = wallet.roster(holder.identity().key, others)
            (folder / "roster").write_bytes(roster.to_bytes())
            desks = at_work(replace(holder, config=_knowing(others, holder.config, folder)))
            row = release.row(desks.holder, desks.signing, others, folder, rounds=effort.rounds)
            desks.close()
            return row

    return shielded(measured)


def _knowing(others: Others, config: HolderConfig, folder: Path) -> HolderConfig:
    coordinator = KnownCoordinator(number=COORDINATOR, key=others.coordinator.key.encoded.hex())
    client = KnownClient(name="me", key=others.client.key.encoded.hex())
    known = {"coordinators": (coordinator,), "clients": (client,), "roster": folder / "roster"}
    return config.model_copy(update=known)


def _whole_lab(only: str, effort: _Effort) -> Iterable[Row]:
    """The rows of a lab of three holders, made for them and destroyed after."""
    with _folder() as parent:
        folder = parent / "l"
        running = lab_app.up(folder, lab.N, effort.progress)
        try:
            yield from _lab_rows(running, only, effort)
            if lab_refresh.NAME.startswith(only):
                yield _lab_refresh(running, parent, effort)
        finally:
            lab_app.destroy(folder)


def _lab_rows(running: LabReport, only: str, effort: _Effort) -> Iterable[Row]:
    with connected(running.client_config) as client:
        for scheme in schemes.ALL:
            created = client.create(scheme.name, scheme.scheme, lab.T, LAB_POLICY)
            if lab.SIGN.startswith(only):
                signed = partial(_signed, client, created)
                yield from _signing_rows(scheme.name, signed, _pids(running), effort)
    if lab.MEMORY.startswith(only):
        first = running.holders[0]
        yield lab.memory_row({"signer": first.signer_pid or 0, "front": first.front_pid or 0})


def _lab_refresh(running: LabReport, parent: Path, effort: _Effort) -> Row:
    scheme = schemes.ALL[0]
    parts = _parts_of_a_refresh(parent / "parts", effort)
    with connected(running.client_config) as client:
        wallets = []
        for number in range(effort.refreshes):
            effort.progress(f"making wallet {number + 1} of {effort.refreshes}")
            name = f"refreshed-{number}"
            created = client.create(name, scheme.scheme, lab.T, LAB_POLICY)
            refresh_it = partial(client.refresh, name, ())
            wallets.append(MeasuredWallet(partial(_signed, client, created), refresh_it))
        effort.progress(f"measuring {lab_refresh.NAME}")
        return lab_refresh.row(scheme.name, wallets, parts, effort.lab_seconds)


def _parts_of_a_refresh(folder: Path, effort: _Effort) -> dict[str, float]:
    """Wall time of one holder alone, on a token and a disk as those of the lab; in a process of its
    own, for in this one SoftHSM2 may have the tokens of another row.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as own:
        return own.submit(_measured_parts, folder, effort.rounds).result()


def _measured_parts(folder: Path, rounds: int) -> dict[str, float]:
    prepared = lab_app.prepare_holder(folder, "parts")
    holder_app.init(prepared.config, prompt=False)
    with opened(prepared.config, prompt=False) as holder:
        return lab_refresh.parts(holder.token, folder / "durable", rounds=rounds)


def _recovery(_: str, effort: _Effort) -> Iterable[Row]:
    """The row of a lab whose HSM dies and comes back, made for it and destroyed after."""
    try:
        for kind in recovery.KINDS:
            KINDS[kind].module()
    except BadConfig as missing:
        yield recovery.left_out(str(missing))
        return
    with _folder() as parent:
        folder = LabFolder(parent / "l")
        running = lab_app.up(folder.path, recovery.N, effort.progress, recovery.KINDS)
        try:
            yield _recovery_row(folder, running, effort)
        finally:
            lab_app.destroy(folder.path)


def _recovery_row(folder: LabFolder, running: LabReport, effort: _Effort) -> Row:
    scheme, holder = schemes.ALL[0], running.holders[-1]
    server = folder.holder(holder.name) / TOKEN / "socket"
    with connected(running.client_config) as client:
        created = client.create(scheme.name, scheme.scheme, recovery.T, LAB_POLICY)
        effort.progress(f"measuring {recovery.NAME}")
        signed = partial(_signed, client, created)
        return recovery.row(signed, holder.signer_pid or 0, server, returns=effort.returns)


def _signed(client: WalletClient, wallet: VerifiedWallet, message: bytes) -> None:
    client.sign(wallet, RequestType.MESSAGE, message, KeyPath(), ())


def _signing_rows(
    scheme: str, sign: Callable[[bytes], object], pids: lab.Pids, effort: _Effort
) -> Iterable[Row]:
    for in_flight in _IN_FLIGHT:
        effort.progress(f"measuring {lab.SIGN}, {scheme}, {in_flight} in flight")
        seconds = effort.lab_seconds
        yield lab.signing_row(scheme, sign, pids, in_flight=in_flight, seconds=seconds)


def _pids(running: LabReport) -> dict[str, list[int]]:
    holders = running.holders
    return {
        "coordinator": [running.coordinator.pid or 0],
        "signers": [holder.signer_pid or 0 for holder in holders],
        "fronts": [holder.front_pid or 0 for holder in holders],
    }


_GROUPS: Final[dict[tuple[str, ...], Callable[[str, _Effort], Iterable[Row]]]] = {
    (unseal.NAME, release.NAME): _signer,
    **{
        (f"{scheme.name}.{name}",): partial(_each_size, scheme, name, row)
        for scheme in schemes.ALL
        for name, row in (
            (sign.NAME, sign.row),
            (dkg.NAME, dkg.row),
            (refresh.NAME, refresh.row),
            (repair.NAME, repair.row),
        )
    },
    (envelope.SIGN, envelope.VERIFY): _envelope,
    (lab.SIGN, lab.MEMORY, lab_refresh.NAME): _whole_lab,
    (recovery.NAME,): _recovery,
}
"""Rows that are measured together, in the order in which they are printed."""
