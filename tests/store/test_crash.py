"""SIGKILL before and after every durable step: the store is in the old state or in the new.

Each scenario is a list of operations. A run in which nothing is killed tells the state before and
after each; then a child process is killed at every step of it, and the store that it leaves, opened
again, must be in one of the two, must hold no temporary file and a whole audit log, and where it
is in the old one, the same operation must lead to the new.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hsm_mpc import audit, steps
from hsm_mpc.errors import BadConfig
from hsm_mpc.ids import EpochHash, WalletId
from hsm_mpc.store import audit_log
from hsm_mpc.store.attempts import AttemptDocument
from hsm_mpc.store.destruction import DestructionDocument
from hsm_mpc.store.epochs import EpochDocument, Epochs
from hsm_mpc.store.holder import ALL_STEPS, HolderStore
from hsm_mpc.store.proposals import SessionDocument
from hsm_mpc.store.record import EpochRecord, EpochState
from hsm_mpc.store.repairs import RepairDocument
from hsm_mpc.tags import Tag, tagged_hash
from tests.crash.deaths import MOMENTS, Moment, killing_at
from tests.named_steps import observed
from tests.store.children import killed
from tests.store.records import INDEX, KEY, WALLET, H, record

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROPOSAL = b"a proposal"
PH = tagged_hash(Tag.PROPOSAL, PROPOSAL)
PLAN = b"a plan"
PLAN_DIGEST = hashlib.sha256(PLAN).digest()
H2 = EpochHash(b"i" * 32)
ALPHA = bytes(8) + b"\x80\0"
BLOB = os.urandom(700)
REWRAPPED = os.urandom(700)

OF_AN_EPOCH = (
    EpochDocument.BODY,
    EpochDocument.ROSTER,
    EpochDocument.POLICY,
    EpochDocument.CLIENTS,
)
OF_A_SUCCESSION = (EpochDocument.TRANSCRIPT, EpochDocument.RETIREMENT, EpochDocument.DESTROYED)

Operation = Callable[[Path], None]
State = dict[str, object]


def wallet_of(store: HolderStore) -> Epochs:
    return store.wallet(WALLET, INDEX, KEY.sign, KEY.public.verify)


def in_store(work: Callable[[HolderStore], object]) -> Operation:
    def operation(place: Path) -> None:
        with HolderStore.open(place) as store:
            work(store)

    return operation


def in_wallet(work: Callable[[Epochs], object]) -> Operation:
    return in_store(lambda store: work(wallet_of(store)))


def keep_session_document(document: SessionDocument) -> Operation:
    return in_store(lambda store: store.proposals.keep(PH, document, b"content"))


def keep_epoch_document(document: EpochDocument) -> Operation:
    return in_wallet(lambda epochs: epochs.keep(H, document, b"content"))


def keep_attempt_document(document: AttemptDocument) -> Operation:
    return in_store(lambda store: store.attempts(WALLET).keep(ALPHA, document, b"content"))


def keep_of_repair(document: RepairDocument) -> Operation:
    return in_store(lambda store: store.repairs(WALLET).keep(PH, document, b"content"))


def keep_of_destruction(document: DestructionDocument) -> Operation:
    return in_store(lambda store: store.destruction(WALLET).keep(document, b"content"))


def to_state(h: EpochHash, state: EpochState) -> Operation:
    return in_wallet(
        lambda epochs: epochs.change(dataclasses.replace(epochs.record(h), state=state))
    )


def prepare(epochs: Epochs) -> None:
    for document in OF_AN_EPOCH:
        epochs.keep(H, document, b"content")
    epochs.seal(record(), BLOB)


def create(place: Path) -> None:
    HolderStore.create(place).close()


def leave_a_mess(place: Path) -> None:
    """What a crash may leave, for the scenario that opens the store after it."""
    with HolderStore.open(place) as store:
        store.audit.append("x", NOW, {})
        wallet_of(store).seal(record(), BLOB)
    inner = place / "wallets" / WALLET.hex() / "epochs" / H.hex()
    for name in (f"blob-{bytes(32).hex()}", ".tmp-1"):
        (inner / name).touch(mode=0o600)
    (place / ".tmp-2").mkdir(mode=0o700)
    for name in ("proposals", "wallets"):
        (place / name / bytes(32 if name == "proposals" else 16).hex()).mkdir(mode=0o700)
    with (place / "audit" / "log").open("ab") as log:
        log.write(b"{torn")


@dataclass(frozen=True)
class Scenario:
    before: tuple[Operation, ...]
    operations: tuple[Operation, ...]


SCENARIOS = {
    "store creation": Scenario((), (create, in_store(lambda s: s.keep_card(b"card")))),
    "epoch 0": Scenario(
        (create,),
        (
            in_store(lambda s: s.proposals.begin(PROPOSAL)),
            *(keep_session_document(document) for document in SessionDocument),
            in_wallet(prepare),
            keep_epoch_document(EpochDocument.CERTIFICATE),
            to_state(H, EpochState.CERTIFIED),
            keep_epoch_document(EpochDocument.DONE),
            keep_epoch_document(EpochDocument.DONES),
            to_state(H, EpochState.ACTIVE),
            in_store(lambda s: s.proposals.forget(PH)),
        ),
    ),
    "prepare and seal": Scenario(
        (create,),
        (
            in_wallet(lambda e: e.reserve(record(EpochState.STAGED))),
            in_wallet(lambda e: e.seal(record(EpochState.STAGED), BLOB)),
            to_state(H, EpochState.ACKED),
        ),
    ),
    "rewrap": Scenario(
        (create, in_wallet(lambda e: e.seal(record(), BLOB))),
        (in_wallet(lambda e: e.seal(record(key_generation=1), REWRAPPED)),),
    ),
    "discard": Scenario(
        (
            create,
            in_store(lambda s: s.proposals.begin(PROPOSAL)),
            in_wallet(lambda e: e.seal(record(), BLOB)),
            in_wallet(lambda e: e.seal(record(h=H2), BLOB)),
        ),
        (
            in_wallet(lambda e: e.discard(H)),
            in_wallet(lambda e: e.discard(H2)),
            in_store(lambda s: s.proposals.forget(PH)),
        ),
    ),
    "audit": Scenario(
        (create,),
        (
            in_store(lambda s: s.audit.append("partial", NOW, {"k": 0})),
            in_store(lambda s: s.audit.append("partial", NOW, {"k": 1})),
            in_store(lambda s: s.audit.checkpoint(NOW, lambda *_: b"signature")),
        ),
    ),
    "an attempt": Scenario(
        (create, in_wallet(lambda e: e.seal(record(), BLOB))),
        (
            *(keep_attempt_document(document) for document in AttemptDocument),
            in_store(lambda s: s.attempts(WALLET).carry(ALPHA, b"of another vote")),
            in_store(lambda s: s.attempts(WALLET).forget_carried(ALPHA)),
            in_store(lambda s: s.attempts(WALLET).forget(ALPHA)),
        ),
    ),
    "retiring": Scenario(
        (create, in_wallet(lambda e: e.seal(record(EpochState.ACTIVE), BLOB))),
        (
            *(keep_epoch_document(document) for document in OF_A_SUCCESSION),
            to_state(H, EpochState.RETIRING),
            keep_epoch_document(EpochDocument.CERTIFICATE),
            in_wallet(lambda e: e.forget_share(H)),
        ),
    ),
    "an overtaken successor": Scenario(
        (
            create,
            in_wallet(lambda e: e.seal(record(), BLOB)),
            in_wallet(lambda e: e.seal(record(EpochState.STAGED, h=H2), BLOB)),
        ),
        (in_wallet(lambda e: e.drop(H2)),),
    ),
    "a repair": Scenario(
        (create, in_wallet(lambda e: e.seal(record(EpochState.ACTIVE), BLOB))),
        (
            in_store(lambda s: s.repairs(WALLET).put_offer(b"a key")),
            in_store(lambda s: s.repairs(WALLET).put_offer(b"a key and more")),
            *(keep_of_repair(document) for document in RepairDocument),
            in_wallet(lambda e: e.renew(H, EpochDocument.DONE, b"done")),
            in_wallet(lambda e: e.renew(H, EpochDocument.DONE, b"done again")),
            in_store(lambda s: s.repairs(WALLET).put_lineage(b"another key")),
            in_store(lambda s: s.repairs(WALLET).remove_offer()),
        ),
    ),
    "a wallet's end": Scenario(
        (
            create,
            in_wallet(lambda e: e.seal(record(EpochState.ACTIVE), BLOB)),
            keep_epoch_document(EpochDocument.CERTIFICATE),
        ),
        (
            keep_of_destruction(DestructionDocument.DESTROY),
            in_wallet(lambda e: e.forget_shares()),
            keep_of_destruction(DestructionDocument.DESTROYED),
        ),
    ),
    "plans": Scenario(
        (create,),
        (
            in_store(lambda s: s.plans.offer(PLAN, b"named")),
            in_store(lambda s: s.plans.agree(PLAN_DIGEST, b"consent")),
            in_store(lambda s: s.plans.renew(PLAN_DIGEST, b"by another key")),
            in_store(lambda s: s.plans.decline(PLAN_DIGEST)),
            in_store(lambda s: s.plans.forget(PLAN_DIGEST)),
        ),
    ),
    "ended key generations": Scenario(
        (create,),
        (
            in_store(lambda s: s.ended.add(WALLET, 100)),
            in_store(lambda s: s.ended.add(WALLET, 200)),
            in_store(lambda s: s.ended.forget_before(201)),
        ),
    ),
    "evidence": Scenario((create,), (in_store(lambda s: s.evidence.keep(b"two messages")),)),
    "rotation": Scenario(
        (create,),
        (
            in_store(lambda s: s.keep_rotation(b"first")),
            in_store(lambda s: s.keep_rotation(b"second")),
            in_store(lambda s: s.end_rotation()),
        ),
    ),
    "refused pin": Scenario(
        (create,),
        (
            in_store(lambda s: s.refused_pin.remember((1, 2))),
            in_store(lambda s: s.refused_pin.remember((1, 4))),
            in_store(lambda s: s.refused_pin.forget()),
        ),
    ),
    "opening after a crash": Scenario((create, leave_a_mess), (in_wallet(lambda _: None),)),
}


def state_of(place: Path) -> State | None:
    """What the store says after it was opened again, or None where it is not made yet."""
    try:
        store = HolderStore.open(place)
    except BadConfig:
        return None
    with store:
        if store.wallet_ids():
            wallet_of(store)  # cleans: a wallet of which nothing came to be is gone
        wallets = {i: wallet_of(store) for i in store.wallet_ids()}
        state: State = {
            "card": store.card(),
            "rotation": store.rotation(),
            "audit": store.audit.tail,
            "evidence": store.evidence.kept(),
            "pin refused": [source for source in range(6) if _is_refused(place, source)],
            "proposals": {
                ph: (
                    store.proposals.load(ph),
                    [store.proposals.kept(ph, d) for d in SessionDocument],
                )
                for ph in store.proposals.hashes()
            },
            "plans": {
                d: (
                    store.plans.plan(d),
                    store.plans.named(d),
                    store.plans.consent(d),
                    store.plans.is_declined(d),
                )
                for d in store.plans.digests()
            },
            "wallets": {i: epochs.records() for i, epochs in wallets.items()},
            "attempts": {
                i: [
                    (a, store.attempts(i).kept(a, d))
                    for a in _begun(store, i)
                    for d in AttemptDocument
                ]
                for i in wallets
            },
            "repairs": {
                i: (
                    store.repairs(i).orders(),
                    store.repairs(i).offer(),
                    store.repairs(i).lineage(),
                )
                for i in wallets
            },
            "ends": {
                i: [store.destruction(i).kept(d) for d in DestructionDocument] for i in wallets
            },
            "blobs": {
                one.epoch_hash: epochs.blob(one.epoch_hash)
                for epochs in wallets.values()
                for one in epochs.records()
                if one.blob_digest != bytes(32) and not _is_going(store, one)
            },
        }
        noise = {
            f"blob-{one.blob_digest.hex()}"
            for epochs in wallets.values()
            for one in epochs.records()
            if _is_going(store, one)
        }
        if any(store.plans.is_declined(d) for d in store.plans.digests()):
            noise.add("consent")  # which counts for nothing any more
        file, floor = audit_log.open_to_read(place / "audit")
        with file:
            assert len(audit.last_lines(file, 1000, floor)) == store.audit.tail.seq
    lazily_made = {"attempts", "plans", "repairs"}
    files = (path for path in place.rglob("*") if path.is_file() or not lazily_made & {*path.parts})
    state["files"] = sorted(
        str(file.relative_to(place)) for file in files if file.name not in noise
    )
    assert not [name for name in state["files"] if ".tmp-" in name]  # type: ignore[attr-defined]
    return state


def _is_going(store: HolderStore, one: EpochRecord) -> bool:
    """Whether its blob may be gone before the record."""
    return one.state is EpochState.RETIRING or store.destruction(WALLET).is_decided


def _begun(store: HolderStore, wallet_id: WalletId) -> list[bytes]:
    """Attempts of which a message is kept; an empty folder is none."""
    attempts = store.attempts(wallet_id)
    return [a for a in attempts.all() if any(attempts.kept(a, d) for d in AttemptDocument)]


def _is_refused(place: Path, source: int) -> bool:
    """Looked at without `check`, which forgets."""
    path = place / "refused-pin"
    return path.exists() and path.read_bytes() == f"1 {source}\n".encode()


@dataclass(frozen=True)
class Step:
    """One durable step of a scenario, and what surrounds the operation that it is part of."""

    name: str
    number: int  # within the operation
    operation: Operation
    start: Path  # a copy of the store before the operation
    old: State | None
    new: State | None


def steps_of(scenario: Scenario, folder: Path) -> list[Step]:
    """Every step of a run in which nothing is killed."""
    place, found = folder / "store", []
    for operation in scenario.before:
        operation(place)
    for count, operation in enumerate(scenario.operations):
        seen: list[str] = []
        start = copied(place, folder / f"start-{count}")
        old = state_of(copied(place, folder / f"old-{count}"))
        with observed(recorder(seen)):
            operation(place)
        new = state_of(copied(place, folder / f"new-{count}"))
        found += [Step(name, n, operation, start, old, new) for n, name in enumerate(seen)]
    return found


def recorder(seen: list[str]) -> steps.Observer:
    return lambda when, name: seen.append(name) if when == "before" else None


def copied(place: Path, copy: Path) -> Path:
    """Opening cleans, so it is never done to the store that the run goes on with."""
    if place.exists():
        shutil.copytree(place, copy)
    return copy


def run_and_die(step: Step, place: Path, moment: Moment) -> bool:
    """Run the operation in a child that kills itself before or after this step."""

    def work() -> None:
        with observed(killing_at(moment, step.number)):
            step.operation(place)

    return killed(work)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_kill_at_any_step_leaves_the_old_state_or_the_new(name: str, folder: Path) -> None:
    for step in steps_of(SCENARIOS[name], folder):
        for moment in MOMENTS:
            where = f"killed {moment} {step.name} (step {step.number} of its operation)"
            place = copied(step.start, folder / "killed")
            assert run_and_die(step, place, moment), where
            found = state_of(place)
            assert found in (step.old, step.new), where
            if found == step.old:
                step.operation(place)
            assert state_of(place) == step.new, where
            shutil.rmtree(place)


def test_the_scenarios_pass_every_durable_step_of_the_store(folder: Path) -> None:
    seen: set[str] = set()
    for name, scenario in SCENARIOS.items():
        (folder / name).mkdir()
        seen |= {step.name for step in steps_of(scenario, folder / name)}
    assert seen == set(ALL_STEPS)
