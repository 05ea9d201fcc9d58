"""Which statements refuse something, name a culprit, or leave early without a result."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

_REFUSING = re.compile(
    r"_?((check|require|refuse|verify|expect|blame|accept)(_.*)?|raise_if_\w+|end|f?lock"
    r"|make_room|expire|drop_torn|parse_point|public_share)"
)
_HANDED_BACK = re.compile(r"_?(check|require)_.*|checked_name|parse_point")


def called(node: ast.AST) -> str:
    """The name of the function or method that the statement or expression `node` calls, or ""."""
    if isinstance(node, ast.Expr):
        node = node.value
    if not isinstance(node, ast.Call):
        return ""
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def only_refuses(node: ast.stmt) -> bool:
    """A call whose result nobody takes, of a function that by its name does nothing but refuse."""
    return isinstance(node, ast.Expr) and _REFUSING.fullmatch(called(node)) is not None


def hands_back(node: ast.AST) -> bool:
    """A call of a function that gives its first argument back, or refuses it."""
    return _HANDED_BACK.fullmatch(called(node)) is not None


def lists_of_bad(function: ast.AST) -> frozenset[str]:
    """The names of lists that `function` raises for if anything is in them."""
    tests = [each.test for each in _raising(function)]
    return frozenset(test.id for test in tests if isinstance(test, ast.Name))


def lists_of_good(function: ast.AST) -> frozenset[str]:
    """The names of lists that `function` raises for if nothing is in them."""
    tests = [each.test for each in _raising(function)]
    return frozenset(
        test.operand.id
        for test in tests
        if isinstance(test, ast.UnaryOp)
        and isinstance(test.op, ast.Not)
        and isinstance(test.operand, ast.Name)
    )


def _raising(function: ast.AST) -> Iterator[ast.If]:
    for each in ast.walk(function):
        if isinstance(each, ast.If) and any(isinstance(inner, ast.Raise) for inner in each.body):
            yield each


def adds_to(node: ast.stmt, lists: frozenset[str]) -> bool:
    """An addition to one of `lists`."""
    match node:
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append" | "add"))
        ):
            return name in lists
    return False


def names_a_culprit(node: ast.stmt, lists: frozenset[str]) -> bool:
    """`faults.blame(…)`, or an addition to one of `lists`."""
    return called(node) == "blame" or adds_to(node, lists)


def never_returning(module: ast.AST) -> frozenset[str]:
    """The names of functions that raise whatever they are given."""
    return frozenset(
        each.name
        for each in ast.walk(module)
        if isinstance(each, ast.FunctionDef)
        and isinstance(each.returns, ast.Name)
        and each.returns.id == "NoReturn"
    )


def refuses(block: Sequence[ast.stmt], lists: frozenset[str], raising: frozenset[str]) -> bool:
    """Whether whoever enters `block` is refused or blamed; `raising` are functions that raise."""
    return any(
        isinstance(each, ast.Raise) or names_a_culprit(each, lists) or called(each) in raising
        for each in block
    )


def removes(block: Sequence[ast.stmt]) -> bool:
    """Whether whoever enters `block` is removed from the disk."""
    return any(called(each) in ("remove", "remove_folder") for each in block)


def leaves(node: ast.AST) -> bool:
    """Goes away with nothing: `return`, `return None`, `return False`, `continue`, `break`."""
    match node:
        case ast.Continue() | ast.Break() | ast.Return(value=None):
            return True
        case ast.Return(value=value):
            return is_nothing(value)
    return False


def is_nothing(value: ast.AST | None) -> bool:
    """`None`, `False` or `()`."""
    match value:
        case ast.Constant(value=None | False) | ast.Tuple(elts=[]):
            return True
    return False
