"""`wallet order` and `admin sign`: what people are shown, what files hold, what is refused."""

from __future__ import annotations

import resource
import signal
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from hsm_mpc.app import administrator, orders
from hsm_mpc.app.admin import answering
from hsm_mpc.app.administrator import KeyPlace
from hsm_mpc.app.consents import Plans
from hsm_mpc.app.consents import of as plans_of
from hsm_mpc.app.history import told_of
from hsm_mpc.app.order_files import Prepared, write, write_new
from hsm_mpc.app.shown_order import ShownOrder
from hsm_mpc.certificates.order import Order
from hsm_mpc.certificates.plan import Plan
from hsm_mpc.cli.orders import text_of
from hsm_mpc.errors import BackendError, BadConfig, BadInput, NameTaken, NotReady, Refused
from hsm_mpc.ids import EpochHash
from hsm_mpc.regular import replace_durably
from hsm_mpc.secure.process import run_shielded
from hsm_mpc.succession.order_plan import OrderPlan
from hsm_mpc.wire.envelope import bundle
from tests.agents import add, agent, forget_all, put_in
from tests.coordinator.office import Office
from tests.coordinator.test_ordering import back, waiting

__all__ = ["agent"]

NOWHERE = Path("/nowhere")
in_file = KeyPlace.of_file


@pytest.fixture
def keys(tmp_path: Path) -> list[Path]:
    """Of three administrators."""
    files = [tmp_path / f"{name}.key" for name in "abc"]
    for file in files:
        administrator.init(file)
    return files


def policy_of(made: list[administrator.AdministratorKey]) -> bytes:
    entries = "".join(f"    - {{alg: {each.alg}, key: {each.key}}}\n" for each in made)
    head = "version: 1\npermissions: [raw, message]\nadministrators:\n  threshold: 2\n  keys:\n"
    return (head + entries).encode()


def prepared(office: Office, **changes: object) -> Prepared[ShownOrder]:
    waits = office.client.show("treasury")
    asked = {"suspects": ["h3"], "reason": "h3 burnt", "margin_accepted": True, **changes}
    return orders.prepare(NOWHERE, "treasury", waits.body.hash.hex(), **asked)  # type: ignore[arg-type]


def rule(refused: pytest.ExceptionInfo[Refused]) -> str:
    return refused.value.rule


@pytest.fixture
def ruled(connected: Office, tmp_path: Path) -> tuple[Office, list[Path]]:
    """A wallet with 2 of 3 administrators, whose next epoch holder 3 has not confirmed."""
    files = [tmp_path / f"{name}.key" for name in "abc"]
    made = [administrator.init(file) for file in files]
    connected.made(policy_file=policy_of(made))
    waiting(connected, 3)
    return connected, files


def test_the_counted_holders_order_where_the_policy_names_nobody(connected: Office) -> None:
    connected.made()
    waiting(connected, 3)
    order = prepared(connected)
    assert (order.shown.counted, order.shown.suspects) == (("h1", "h2"), ("h3",))
    assert (order.shown.survives, order.shown.administrators) == (0, None)
    shown = orders.carry_out(NOWHERE, "treasury", order, ())
    assert shown.retired is not None
    assert (shown.retired.ordered, shown.retired.suspects) == (True, ("h3",))
    assert (shown.retired.state, shown.retired.waiting_for) == ("waiting", ("h3",))
    back(connected, 3)
    told = told_of(connected.client.chain("treasury"), connected.world.roster)
    first, second = told.epochs
    assert first.order is not None
    assert (first.order.counted, first.order.suspects) == (("h1", "h2"), ("h3",))
    assert (first.order.reason, second.order) == ("h3 burnt", None)


def test_two_of_three_administrators_sign_in_files(
    ruled: tuple[Office, list[Path]], tmp_path: Path
) -> None:
    office, keys = ruled
    order = prepared(office)
    assert order.shown.administrators is not None
    assert order.shown.administrators.threshold == 2
    written = write(order, tmp_path / "plan")
    assert administrator.show(written.file) == written.order == order.shown
    files: list[Path] = []
    for key in (keys[2], keys[0]):
        with pytest.raises(NotReady, match=f"2 of 3 administrators .* {len(files)} have"):
            orders.carry_out(NOWHERE, "treasury", prepared(office), files)
        out = tmp_path / f"{key.stem}.signature"
        signed = administrator.sign(written.file, in_file(key), out, order.shown.plan)
        assert (signed.administrator, signed.file) == (keys.index(key), out)
        files.append(out)
    shown = orders.carry_out(NOWHERE, "treasury", prepared(office), files)
    assert shown.retired is not None
    assert shown.retired.ordered


def test_a_suspect_and_a_hash_are_named(connected: Office) -> None:
    connected.made()
    waits = waiting(connected, 3)
    with pytest.raises(BadInput, match="who is missing is named"):
        prepared(connected, suspects=[])
    with pytest.raises(BadInput):
        prepared(connected, suspects=["h9"])
    for wrong in ("", "zz", waits.body.hash.hex()[:-2]):
        with pytest.raises(BadInput):
            orders.prepare(NOWHERE, "treasury", wrong, ["h3"], "why", margin_accepted=True)


def test_a_file_that_is_no_order_or_no_signature_of_it_is_refused(
    ruled: tuple[Office, list[Path]], tmp_path: Path
) -> None:
    office, keys = ruled
    order = prepared(office)
    plan = write(order, tmp_path / "plan").file
    other = write(prepared(office, reason="stolen"), tmp_path / "other")
    signature = tmp_path / "signature"
    administrator.sign(other.file, in_file(keys[0]), signature, other.order.plan)
    with pytest.raises(BadInput, match="not a signature of this order"):
        orders.carry_out(NOWHERE, "treasury", order, [signature])
    for content in (b"", b"x", plan.read_bytes()):
        (tmp_path / "wrong").write_bytes(content)
        with pytest.raises(BadInput, match="wrong"):
            orders.carry_out(NOWHERE, "treasury", order, [tmp_path / "wrong"])
    (tmp_path / "wrong").write_bytes(plan.read_bytes()[:-1])
    for file in (tmp_path / "wrong", tmp_path / "none", tmp_path):
        with pytest.raises(BadInput, match=str(file)):
            administrator.show(file)
    with pytest.raises(BadInput, match="plan"):
        write(order, plan)
    with pytest.raises(BadInput, match="no-folder"):
        write(order, tmp_path / "no-folder" / "plan")


# The administrator


def test_a_key_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "admin.key"
    made = administrator.init(file)
    assert (made.alg, len(bytes.fromhex(made.key)), made.file) == (2, 32, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_size == 32
    with pytest.raises(NameTaken):
        administrator.init(file)


def test_only_an_administrator_of_that_wallet_signs(
    ruled: tuple[Office, list[Path]], tmp_path: Path
) -> None:
    office, keys = ruled
    order = prepared(office)
    plan = write(order, tmp_path / "plan").file
    administrator.init(tmp_path / "stranger.key")
    out = tmp_path / "signature"
    with pytest.raises(BadInput, match="not one of the wallet's administrators"):
        administrator.sign(plan, in_file(tmp_path / "stranger.key"), out, order.shown.plan)
    keys[0].chmod(0o644)
    with pytest.raises(BadConfig, match="chmod 600"):
        administrator.sign(plan, in_file(keys[0]), out, order.shown.plan)
    assert not out.exists()


@pytest.mark.usefixtures("agent")
def test_administrators_sign_by_the_keys_in_their_agents(connected: Office, tmp_path: Path) -> None:
    """Of either kind; and they remember what they have ordered as others do."""
    add(tmp_path, "ed25519")
    add(tmp_path, "ecdsa", "-b", "256")
    made = administrator.in_agent().keys
    assert [each.comment for each in made] == ["ed25519", "ecdsa--b-256"]
    connected.made(policy_file=policy_of([*made]))
    waiting(connected, 3)
    order = prepared(connected)
    plan = write(order, tmp_path / "plan").file
    memory, none = KeyPlace.of_agent(tmp_path / "memory"), tmp_path / "none"
    with pytest.raises(BadInput, match="more than one administrator: ed25519, ecdsa"):
        administrator.sign(plan, memory, none, order.shown.plan)
    forget_all()
    with pytest.raises(BadInput, match="no key of the wallet's administrators"):
        administrator.sign(plan, memory, none, order.shown.plan)
    files = [tmp_path / f"{each.comment}.signature" for each in made]
    for number, file in enumerate(files):
        put_in(tmp_path / made[number].comment)
        signed = administrator.sign(plan, memory, file, order.shown.plan)
        assert (signed.administrator, signed.file) == (number, file)
        forget_all()
    assert order.shown.successor in memory.orders.read_text()
    shown = orders.carry_out(NOWHERE, "treasury", order, files)
    assert shown.retired is not None
    assert shown.retired.ordered


def test_what_was_shown_is_what_is_signed(ruled: tuple[Office, list[Path]], tmp_path: Path) -> None:
    office, keys = ruled
    order, other = prepared(office), prepared(office, reason="stolen")
    plan = write(other, tmp_path / "plan").file
    with pytest.raises(BadInput, match="another order than the one that was shown"):
        administrator.sign(plan, in_file(keys[0]), tmp_path / "signature", order.shown.plan)


def test_an_order_whose_time_is_over_is_not_signed(
    ruled: tuple[Office, list[Path]], tmp_path: Path
) -> None:
    office, keys = ruled
    plan = OrderPlan.from_bytes(prepared(office).encoded)
    old = replace(plan, order=replace(plan.order, deadline=7))
    (tmp_path / "plan").write_bytes(old.to_bytes())
    digest = Plan.of(old.order).digest.hex()
    with pytest.raises(Refused) as refused:
        administrator.sign(tmp_path / "plan", in_file(keys[0]), tmp_path / "signature", digest)
    assert rule(refused) == "deadline"


def test_holders_sign_where_no_administrator_is_named(
    connected: Office, keys: list[Path], tmp_path: Path
) -> None:
    connected.made()
    waiting(connected, 3)
    order = prepared(connected)
    plan = write(order, tmp_path / "plan").file
    with pytest.raises(BadInput, match="its holders sign"):
        administrator.sign(plan, in_file(keys[0]), tmp_path / "signature", order.shown.plan)


def test_nothing_is_signed_for_a_successor_that_nobody_shows_to_be_adopted(
    ruled: tuple[Office, list[Path]], tmp_path: Path
) -> None:
    """Whoever hands over a file has the administrator remember a successor, and sign for no other
    one of that epoch: it has to be one, and those that are counted have adopted it.
    """
    office, keys = ruled
    parts = OrderPlan.from_bytes(prepared(office).encoded).to_parts()
    order = Order.from_terms(parts[0][1:])
    for other in (
        replace(order, successor=EpochHash(b"o" * 32)),
        replace(order, counted=(1, 2, 3), suspects=(), margin_accepted=False),
    ):
        file = tmp_path / "plan"
        file.write_bytes(bundle([Plan.of(other).to_bytes(), *parts[1:]]))
        with pytest.raises(BadInput, match=r"another successor|other holders"):
            administrator.show(file)
        with pytest.raises(BadInput, match=r"another successor|other holders"):
            administrator.sign(
                file, in_file(keys[0]), tmp_path / "out", Plan.of(other).digest.hex()
            )
    assert not keys[0].with_suffix(".orders").exists()


def test_an_administrator_orders_one_successor_of_an_epoch(
    ruled: tuple[Office, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 6.5.9. Of the same successor it may sign again: that is no second order."""
    office, keys = ruled
    monkeypatch.setattr(OrderPlan, "_check", lambda plan: None)  # as if both had been adopted
    plan = OrderPlan.from_bytes(prepared(office).encoded)
    other = replace(plan, order=replace(plan.order, successor=plan.order.epoch_hash))
    for name, each in (("one", plan), ("other", other)):
        (tmp_path / name).write_bytes(each.to_bytes())
    digests = [Plan.of(each.order).digest.hex() for each in (plan, other)]
    for out in ("1", "2"):
        administrator.sign(tmp_path / "one", in_file(keys[0]), tmp_path / out, digests[0])
    with pytest.raises(Refused) as refused:
        administrator.sign(tmp_path / "other", in_file(keys[0]), tmp_path / "3", digests[1])
    assert rule(refused) == "other-order"
    assert not (tmp_path / "3").exists()
    administrator.sign(tmp_path / "other", in_file(keys[1]), tmp_path / "4", digests[1])
    assert len((tmp_path / "a.orders").read_text().splitlines()) == 1


def test_what_cannot_be_remembered_is_not_signed(
    ruled: tuple[Office, list[Path]], tmp_path: Path
) -> None:
    office, keys = ruled
    order = prepared(office)
    plan = write(order, tmp_path / "plan").file
    keys[0].with_suffix(".orders").mkdir()
    with pytest.raises(BackendError):
        administrator.sign(plan, in_file(keys[0]), tmp_path / "signature", order.shown.plan)
    assert not (tmp_path / "signature").exists()


def test_of_two_orders_that_are_signed_at_once_one_counts(
    ruled: tuple[Office, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has read that nothing was signed, and what the one remembers the other writes over."""
    office, keys = ruled
    plan = OrderPlan.from_bytes(prepared(office).encoded)
    both = threading.Barrier(2)

    def together(file: Path, content: bytes) -> None:
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        replace_durably(file, content)

    def signed(name: str, each: OrderPlan) -> str:
        (tmp_path / name).write_bytes(each.to_bytes())
        digest, out = Plan.of(each.order).digest.hex(), tmp_path / f"{name}.signature"
        try:
            administrator.sign(tmp_path / name, in_file(keys[0]), out, digest)
        except Refused as refused:
            return refused.rule
        return "signed"

    monkeypatch.setattr(administrator, "replace_durably", together)
    monkeypatch.setattr(OrderPlan, "_check", lambda plan: None)  # as if both had been adopted
    other = replace(plan, order=replace(plan.order, successor=plan.order.epoch_hash))
    with ThreadPoolExecutor(2) as pool:
        assert {*pool.map(signed, ("one", "other"), (plan, other))} == {"signed", "other-order"}


def test_a_disk_that_is_full_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    """It would stand in the way of the next try."""
    file = tmp_path / "signature"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
        with pytest.raises(BadInput, match="signature"):
            write_new(file, bytes(64))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    write_new(file, bytes(64))
    assert file.read_bytes() == bytes(64)


# The holder's operator


def test_an_operator_is_shown_the_order(connected: Office) -> None:
    connected.made()
    connected.world.asking = frozenset([1])
    run_shielded(lambda: connected.world.restarted(1))
    waiting(connected, 3)
    order = prepared(connected)
    with pytest.raises(NotReady):
        orders.carry_out(NOWHERE, "treasury", order, ())
    consents = connected.world.parties[1].ceremonies.consents
    (told,) = answering(Plans, lambda: plans_of(consents))(())
    (plan,) = TypeAdapter(Plans).validate_json(told).plans  # as a signer at work answers
    assert (plan.kind, plan.wallet, plan.digest) == ("order", "treasury", order.shown.plan)
    assert plan.order == order.shown
    for line in ("suspected    h3", f"plan         {order.shown.plan}", "reason       h3 burnt"):
        assert line in text_of(order.shown).splitlines()
