"""What people read of `doctor` and `inventory`."""

from __future__ import annotations

from hsm_mpc.app.doctor import Diagnosis, Finding
from hsm_mpc.app.inventory import Inventory, ListedKey
from hsm_mpc.cli import host


def test_each_finding_is_a_line_and_its_mend_stands_below() -> None:
    findings = (Finding("ok", "swap", "off"), Finding("fail", "store", "gone", "make one", 2))
    lines = host._findings(Diagnosis.of(findings)).splitlines()
    assert [line.split() for line in lines] == [
        *(["ok", "swap", "off"], ["fail", "store", "gone"], ["mend:", "make", "one"]),
    ]


def test_an_inventory_says_what_its_verdicts_mean_and_what_differs() -> None:
    different = ListedKey("different", "kek", "label", "00ff", ("CKA_WRAP is true",))
    said = host._keys(Inventory((different,), ("a key of wallet x",), 6))
    assert "label: CKA_WRAP is true" in said
    assert "missing     a key of wallet x" in said
    assert "different: not as hsm-mpc makes its keys" in said
    assert "orphaned:" not in said
