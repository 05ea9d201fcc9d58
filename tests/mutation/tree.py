"""A module's syntax with the way back up: where each node hangs, and in which function."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_SIGNS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}

Written = ast.expr | ast.stmt | ast.keyword
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node hangs: in a field of its parent, or at an index of a list there."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST) -> None:
        """Hang `node` here instead."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node

    def behind(self) -> Sequence[ast.AST]:
        """What stands behind it in its list."""
        if self.index is None:
            return ()
        siblings: Sequence[ast.AST] = getattr(self.parent, self.field)
        return siblings[self.index + 1 :]


class Tree:
    """The syntax of one module; whoever deletes something changes it in place."""

    def __init__(self, source: str) -> None:
        self._lines = source.encode("utf-8").splitlines(keepends=True)
        self.root = ast.parse(source)
        self._places: dict[ast.AST, Place] = {}
        for parent in ast.walk(self.root):
            for field, value in ast.iter_fields(parent):
                if isinstance(value, ast.AST):
                    self._places[value] = Place(parent, field, None)
                elif isinstance(value, list):
                    for index, node in enumerate(value):
                        if isinstance(node, ast.AST):
                            self._places[node] = Place(parent, field, index)

    def text(self, node: ast.AST) -> str:
        """`node` on one line as it stands in the source, which no version of Python words anew."""
        if isinstance(node, Written) and hasattr(node, "lineno"):
            line = " ".join(self._written(node).split())
            return re.sub(r"(?<=[(\[{]) |,? (?=[)\]}])", "", line)
        match node:  # only conditions.py makes nodes
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return f"{self.text(left)} {_SIGNS[type(operator)]} {self.text(right)}"
            case ast.Subscript(value=value, slice=ast.Constant(value=index)):
                return f"{self.text(value)}[{index!r}]"
        raise AssertionError(ast.dump(node))

    def _written(self, node: Written) -> str:
        """Columns count bytes."""
        lines = self._lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        return b"".join(lines).decode("utf-8")

    def place(self, node: ast.AST) -> Place:
        """Where `node` hangs."""
        return self._places[node]

    def parent(self, node: ast.AST) -> ast.AST | None:
        """What `node` hangs in; None for the module."""
        place = self._places.get(node)
        return place.parent if place is not None else None

    def above(self, node: ast.AST) -> list[ast.AST]:
        """Everything that `node` is in, the nearest first."""
        found = []
        parent = self.parent(node)
        while parent is not None:
            found.append(parent)
            parent = self.parent(parent)
        return found

    def function(self, node: ast.AST) -> Function | None:
        """The nearest function that `node` is in."""
        return next((each for each in self.above(node) if isinstance(each, Function)), None)

    def qualified(self, node: ast.AST) -> str:
        """The names of the classes and functions that `node` is in, outermost first."""
        named = (*reversed(self.above(node)), node)
        return ".".join(each.name for each in named if isinstance(each, ast.ClassDef | Function))

    def in_body(self, node: ast.AST) -> bool:
        """Whether `node` runs when its function is called: it is no default and no annotation."""
        for inner, outer in zip((node, *self.above(node)), self.above(node), strict=False):
            if isinstance(outer, Function):
                return self.place(inner).field == "body"
        return False
