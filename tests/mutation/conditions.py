"""A condition taken apart: each part that refuses by itself is a check of its own.

What refuses if `a or b` holds has two checks. So has what refuses unless `a and b` hold, or unless
`a <= b <= c`, and what refuses if `(a, b) != (c, d)`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tests.mutation.tree import Place


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a condition, where it hangs, and what stands there when it is not heeded."""

    shown: ast.expr
    place: Place
    without: ast.expr


def parts(node: ast.expr, place: Place, *, accepts: bool) -> Iterator[Part]:
    """The parts of the condition `node`, on which something is accepted, or else refused."""
    match node:
        case ast.UnaryOp(op=ast.Not()):
            yield from parts(node.operand, Place(node, "operand", None), accepts=not accepts)
        case ast.BoolOp(op=ast.And()) if accepts:
            yield from _each(node, accepts)
        case ast.BoolOp(op=ast.Or()) if not accepts:
            yield from _each(node, accepts)
        case ast.Compare(ops=[_, _, *_]) if accepts:
            yield from _links(node, place)
        case ast.Compare(
            left=ast.Tuple() | ast.Name(), ops=[op], comparators=[ast.Tuple(elts=[_, *_])]
        ) if isinstance(op, ast.Eq if accepts else ast.NotEq):
            yield from _elements(node, place)
        case _:
            yield Part(node, place, ignored(node, accepts=accepts))


def ignored(node: ast.expr, *, accepts: bool) -> ast.expr:
    """`node` is computed still, with all that this does or raises; what it says is not heeded."""
    operator = ast.Or() if accepts else ast.And()
    return ast.BoolOp(operator, [node, ast.Constant(accepts)])


def _each(node: ast.BoolOp, accepts: bool) -> Iterator[Part]:
    for index, operand in enumerate(node.values):
        yield from parts(operand, Place(node, "values", index), accepts=accepts)


def _links(node: ast.Compare, place: Place) -> Iterator[Part]:
    """`a <= b <= c` is `a <= b` and `b <= c`."""
    sides = [node.left, *node.comparators]
    links = [
        ast.Compare(sides[at], [operator], [sides[at + 1]]) for at, operator in enumerate(node.ops)
    ]
    for link in links:
        others: list[ast.expr] = [each for each in links if each is not link]
        yield Part(link, place, ast.BoolOp(ast.And(), [*others, ast.Constant(True)]))


def _elements(node: ast.Compare, place: Place) -> Iterator[Part]:
    """`(a, b) != (c, d)` is `a != c` or `b != d`; so is `x != (c, d)`, with `x[0]` and `x[1]`."""
    right = node.comparators[0]
    assert isinstance(right, ast.Tuple)
    pairs = [
        ast.Compare(_element(node.left, at), node.ops, [wanted])
        for at, wanted in enumerate(right.elts)
    ]
    operator = ast.Or() if isinstance(node.ops[0], ast.NotEq) else ast.And()
    nothing = ast.Constant(isinstance(operator, ast.And))
    for pair in pairs:
        others: list[ast.expr] = [each for each in pairs if each is not pair]
        yield Part(pair, place, ast.BoolOp(operator, [*others, nothing]))


def _element(side: ast.expr, at: int) -> ast.expr:
    if isinstance(side, ast.Tuple):
        return side.elts[at]
    return ast.Subscript(side, ast.Constant(at), ast.Load())
