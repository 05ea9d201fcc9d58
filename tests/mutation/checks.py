"""Finds every check in a module, and compiles the module without one of them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.mutation.rules import RULES, Deletion
from tests.mutation.tree import Tree


@dataclass(frozen=True, slots=True)
class Check:
    """One check; its name stays the same when lines move."""

    path: str
    """Of the module, from the project's folder."""
    function: str
    text: str
    lines: range

    @property
    def name(self) -> str:
        """`hsm_mpc/store/files.py read_if_present: len(content) > cap`."""
        return f"{self.path} {self.function}: {self.text}"


def checks_of(source: str, path: str) -> list[Check]:
    """In the order in which they stand."""
    return [check for check, _ in _found(Tree(source), path)]


def checks_below(root: Path, folder: str) -> list[Check]:
    """Those of every module in `folder` and the folders below it."""
    files = sorted((root / folder).rglob("*.py"))
    return [
        check
        for file in files
        for check in checks_of(file.read_text("utf-8"), file.relative_to(root).as_posix())
    ]


def without(source: str, path: str, name: str) -> ast.Module:
    """The module without the check `name`. Raises `KeyError`: there is none of that name."""
    tree = Tree(source)
    deletion = {check.name: each for check, each in _found(tree, path)}[name]
    deletion.place.put(ast.copy_location(deletion.without, deletion.at))
    return ast.fix_missing_locations(tree.root)


def _found(tree: Tree, path: str) -> Iterator[tuple[Check, Deletion]]:
    seen: Counter[str] = Counter()
    found = [
        each
        for node in ast.walk(tree.root)
        if tree.in_body(node)
        for rule in RULES
        for each in rule(tree, node)
    ]
    for each in sorted(found, key=lambda each: _position(each.at)):
        first, _, last, _ = _position(each.at)
        function = tree.qualified(tree.function(each.at) or each.at)
        check = Check(path, function, each.text, range(first, last + 1))
        seen[check.name] += 1
        if seen[check.name] > 1:
            check = replace(check, text=f"{each.text} ({seen[check.name]})")
        yield check, each


def _position(node: ast.AST) -> tuple[int, int, int, int]:
    assert isinstance(node, (ast.stmt, ast.expr))
    return node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0
