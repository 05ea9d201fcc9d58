"""`wallet repair` where the policy names administrators: what files hold, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm_mpc.app import administrator, order_files, repairs
from hsm_mpc.app.shown_repair import ShownRepair
from hsm_mpc.cli.orders import question_of, text_of
from hsm_mpc.errors import BadInput, NotReady
from tests.app.test_orders import NOWHERE, in_file, policy_of
from tests.coordinator.office import Office
from tests.coordinator.test_repair import lose_store, signs_in_every_pair


@pytest.fixture
def ruled(connected: Office, tmp_path: Path) -> tuple[Office, list[Path]]:
    """A wallet with 2 of 3 administrators, whose third holder has lost its store."""
    files = [tmp_path / f"{name}.key" for name in "abc"]
    made = [administrator.init(file) for file in files]
    connected.made(policy_file=policy_of(made))
    lose_store(connected, 3)
    return connected, files


def test_two_of_three_administrators_sign_a_repair_in_files(
    ruled: tuple[Office, list[Path]], tmp_path: Path
) -> None:
    office, keys = ruled
    order = repairs.prepare(NOWHERE, "treasury", "h3")
    written = order_files.write(order, tmp_path / "plan")
    shown = administrator.show(written.file)
    assert shown == written.order == order.shown
    assert isinstance(shown, ShownRepair)
    assert shown.administrators is not None
    assert (shown.repair.lost, shown.repair.helpers) == ("h3", ("h1", "h2"))
    files: list[Path] = []
    for key in (keys[2], keys[0]):
        with pytest.raises(NotReady, match="2 of 3 administrators sign the repair of h3's share"):
            repairs.carry_out(NOWHERE, "treasury", "h3", files)
        out = tmp_path / f"{key.stem}.signature"
        signed = administrator.sign(written.file, in_file(key), out, shown.plan)
        assert (signed.administrator, signed.order) == (keys.index(key), shown)
        assert not key.with_suffix(".orders").exists()
        files.append(out)
    assert repairs.carry_out(NOWHERE, "treasury", "h3", files).epoch == 1
    signs_in_every_pair(office)


def test_a_signature_of_something_else_is_refused(
    ruled: tuple[Office, list[Path]], tmp_path: Path
) -> None:
    office, keys = ruled
    order = order_files.write(repairs.prepare(NOWHERE, "treasury", "h3"), tmp_path / "plan")
    signature = tmp_path / "signature"
    administrator.sign(order.file, in_file(keys[0]), signature, order.order.plan)
    office.world.now[0] += 24 * 3600  # the plan is over, and another one is asked for
    with pytest.raises(BadInput, match="not a signature of this order"):
        repairs.carry_out(NOWHERE, "treasury", "h3", [signature])
    with pytest.raises(BadInput, match="h9"):
        repairs.prepare(NOWHERE, "treasury", "h9")


def test_what_administrators_read_of_it(ruled: tuple[Office, list[Path]]) -> None:
    shown = repairs.prepare(NOWHERE, "treasury", "h3").shown
    lines = text_of(shown).splitlines()
    assert len([line for line in lines if line.startswith("overruled    by 2 of 3: ")]) == 3
    assert f"plan         {shown.plan}" in lines
    assert any(line.startswith("repair       the share of h3 in wallet treasury") for line in lines)
    assert question_of(shown) == "Shall h3 get its share of wallet treasury again?"
