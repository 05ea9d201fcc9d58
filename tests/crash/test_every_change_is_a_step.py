"""Every durable write and every HSM call of the source stands in a named step, and is killed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm_mpc.store.holder import ALL_STEPS
from tests.conftest import ROOT
from tests.named_steps import HSM

PACKAGE = ROOT / "hsm_mpc"

NOT_DURABLE = {
    "agent/admin.py": "sockets and a pass for a child: they die with the process",
    "agent/keeper.py": "a socket",
    "agent/sockets.py": "sockets",
    "app/agent.py": "the folder of a socket",
    "app/audit_log.py": "a copy for its reader; made anew when it is asked for again",
    "app/bench.py": "a bench's own folder, gone at its end",
    "app/client.py": "a public key, written for people beside the key itself",
    "app/demo.py": "the demo's folder",
    "app/demo_share.py": "the demo's folder",
    "app/history.py": "a copy for its reader; made anew when it is asked for again",
    "app/lab.py": "a laboratory",
    "app/lab_running.py": "a laboratory",
    "app/order_files.py": "a copy for its reader; made anew when it is asked for again",
    "bench": "measures calls by themselves",
    "cli/output.py": "what somebody asked to be written",
    "lab": "makes laboratories; the product's own steps run inside of them",
    "secure/mapping.py": "memory",
    "store/lock.py": "the pid of whoever has the lock, for people",
}
"""Files and folders of the package whose writes need not survive a crash, and why."""

CHANGES = frozenset(
    {
        *("fsync", "fdatasync", "ftruncate", "truncate", "pwrite", "write_bytes", "write_text"),
        *("rename", "replace", "link", "unlink", "rmdir", "rmtree", "mkdir", "chmod", "touch"),
        *("generate_key", "generate_keypair"),
    }
)
"""Functions and methods of the standard library that change a disk; those of python-pkcs11 that
make keys."""

PARTS_OF_STEPS = {
    "coordinator/evidence.py": {"_write"},
    "hsm/generation.py": {"make"},
    "hsm/objects.py": {"_all_found"},
    "hsm/rsa.py": {"_public_half"},
    "hsm/token.py": {"_login"},
    "regular.py": {"replace_private", "replace_durably"},
    "seed_file.py": {"_write"},
    "store/audit_log.py": {"_drop_torn", "_write_durably"},
    "store/files.py": {"sync_folder", "write_all"},
}
"""Functions that are called in a step only: their calls are looked at instead of their bodies."""

HARMLESS = {"C_CloseSession", "C_GetFunctionList", "C_Logout"}
"""What gives a session back, and what tells of functions: no token is asked."""


OF_ONE_STEP = {
    *("seed.write", "orders.remember", "wallets.remember", "case.write"),
    *("registry.open", "registry.add", "registry.confirm"),
    *("registry.age", "registry.attempt", "registry.succession"),
    *("registry.plan", "registry.drop-plan", "registry.destroyed", "registry.repaired"),
    "registry.lineage",
}
"""Files of clients, administrators and coordinators: a seed, what was ordered, known wallets,
evidence, a database (test_files_of_one_step.py).
"""


def test_every_durable_write_and_hsm_call_stands_in_a_step() -> None:
    assert list(outside_of_steps(PACKAGE)) == []


def test_every_step_in_the_source_is_known_to_the_harness() -> None:
    """Names that are put together, as `f"{name}.write"`, are those of the store and of objects."""
    tree = [ast.parse(file.read_text("utf-8")) for file in sorted(PACKAGE.rglob("*.py"))]
    names = {
        str(call.args[0].value)
        for node in tree
        for call in ast.walk(node)
        if isinstance(call, ast.Call) and _is_step(call) and isinstance(call.args[0], ast.Constant)
    }
    assert names - HSM - set(ALL_STEPS) == OF_ONE_STEP
    put_together = {"key.destroy", "register.create", "register.destroy"}
    assert HSM - names == put_together


def test_only_what_is_there_is_excepted() -> None:
    for path in (*NOT_DURABLE, *PARTS_OF_STEPS):
        assert (PACKAGE / path).exists(), path
    for path, functions in PARTS_OF_STEPS.items():
        tree = ast.parse((PACKAGE / path).read_text("utf-8"))
        assert functions <= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("path.unlink()", ["f.py:2 unlink"]),
        ("os.fsync(1)", ["f.py:2 fsync"]),
        ("files.sync_folder(path)", ["f.py:2 sync_folder"]),
        ("calls.C_Decrypt(1)", ["f.py:2 C_Decrypt"]),
        ("calls.C_CloseSession(1)", []),
        ("with step('a.b'): path.unlink()", []),
        ("with suppress(OSError), step('a.b'):\n        path.unlink()", []),
        ("with suppress(OSError): path.unlink()", ["f.py:2 unlink"]),
        ("with step('a.b'): pass\n    path.unlink()", ["f.py:3 unlink"]),
        ("with step('a.b'):\n        def g(): path.unlink()", ["f.py:3 unlink"]),
        ("text.replace('a', 'b')", []),
    ],
)
def test_a_change_outside_of_a_step_is_found(tmp_path: Path, body: str, found: list[str]) -> None:
    (tmp_path / "f.py").write_text(f"def f():\n    {body}\n")
    assert list(outside_of_steps(tmp_path)) == found


def outside_of_steps(package: Path) -> Iterator[str]:
    """`FILE:LINE FUNCTION` of every change that no `with step(...)` surrounds."""
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package).as_posix()
        if not any(path == skipped or path.startswith(f"{skipped}/") for skipped in NOT_DURABLE):
            tree = ast.parse(file.read_text("utf-8"))
            for line, name in _unnamed(tree, PARTS_OF_STEPS.get(path, set())):
                yield f"{path}:{line} {name}"


def _unnamed(node: ast.AST, parts: set[str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.FunctionDef) and node.name in parts:
        return
    if isinstance(node, ast.With) and any(_is_step(item.context_expr) for item in node.items):
        for inner in node.body:
            yield from _in_functions_only(inner, parts)
        return
    if isinstance(node, ast.Call) and (name := _change(node)) is not None:
        yield node.lineno, name
    for child in ast.iter_child_nodes(node):
        yield from _unnamed(child, parts)


def _in_functions_only(node: ast.AST, parts: set[str]) -> Iterator[tuple[int, str]]:
    """Below a step: what a function that is only defined there does runs who knows when."""
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        yield from _unnamed(node, parts)
        return
    for child in ast.iter_child_nodes(node):
        yield from _in_functions_only(child, parts)


def _is_step(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Call) and _name(expression.func) == "step"


def _change(call: ast.Call) -> str | None:
    """The name of what changes a disk or asks an HSM, or None."""
    name = _name(call.func)
    if name.startswith("C_"):
        return None if name in HARMLESS else name
    if name == "replace" and not (
        isinstance(call.func, ast.Attribute) and _name(call.func.value) in ("os", "path")
    ):
        return None  # of a str, or of dataclasses
    in_parts = any(name in functions for functions in PARTS_OF_STEPS.values())
    return name if name in CHANGES or (in_parts and name not in ("_write",)) else None


def _name(expression: ast.expr) -> str:
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""
