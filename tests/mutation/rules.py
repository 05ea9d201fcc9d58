"""What is a check, rule by rule. docs/mutants.md says the same in words (page.py)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.mutation.conditions import ignored, parts
from tests.mutation.refusals import (
    adds_to,
    called,
    hands_back,
    is_nothing,
    leaves,
    lists_of_bad,
    lists_of_good,
    names_a_culprit,
    never_returning,
    only_refuses,
    refuses,
    removes,
)
from tests.mutation.tree import Place, Tree

_LIMITS = frozenset({"strict", "maximum_concurrent_rpcs"})
_CAPS = frozenset({"CAP", "KEPT", "LARGEST", "LONGEST", "MOST", "OPEN"})
_FLAGS = frozenset({"O_NOFOLLOW", "O_EXCL", "LOCK_NB"})


@dataclass(frozen=True, slots=True)
class Deletion:
    """What goes: how it is shown, which node it is, and where what comes instead."""

    text: str
    at: ast.AST
    place: Place
    without: ast.AST


Rule = Callable[[Tree, ast.AST], Iterator[Deletion]]


def branches(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """An `if` or `elif` one side of which refuses, leaves early, holds a cap, or removes."""
    if not isinstance(node, ast.If):
        return
    function = tree.function(node) or tree.root
    lists, raising = lists_of_bad(function), never_returning(tree.root)
    refused = refuses(node.body, lists, raising)
    if _finds(tree, node) and not refused:
        accepts = True
    elif refused or _is_guard(tree, node) or _holds_a_cap(node.test):
        accepts = False
    elif (
        refuses(node.orelse, lists, raising)
        or _keeps_the_good(node, function)
        or _gives(tree, node)
        or removes(node.body)
    ):
        accepts = True
    else:
        return
    for part in parts(node.test, Place(node, "test", None), accepts=accepts):
        yield Deletion(tree.text(part.shown), node.test, part.place, part.without)


def _keeps_the_good(node: ast.If, function: ast.AST) -> bool:
    """Adds to a list, and `function` refuses if nothing is in it."""
    return any(adds_to(each, lists_of_good(function)) for each in node.body)


def _gives(tree: Tree, node: ast.If) -> bool:
    """Returns what was asked for, and behind it nothing is returned."""
    given = isinstance(node.body[-1], ast.Return) and not leaves(node.body[-1])
    behind = tree.place(node).behind()
    return given and bool(behind) and isinstance(behind[-1], ast.Return) and leaves(behind[-1])


def _is_guard(tree: Tree, node: ast.If) -> bool:
    """All it does is to leave, and what follows is not just a refusal of everybody else."""
    behind = tree.place(node).behind()
    last = bool(behind) and isinstance(behind[0], ast.Raise)
    return len(node.body) == 1 and leaves(node.body[0]) and not last


def _holds_a_cap(test: ast.expr) -> bool:
    """`… > MOST`, `… >= MOST`."""
    match test:
        case ast.Compare(ops=[ast.Gt() | ast.GtE()], comparators=[ast.Name(id=name)]):
            return _is_a_cap(name)
    return False


def _is_a_cap(name: str) -> bool:
    return name.isupper() and not _CAPS.isdisjoint(name.split("_"))


def _finds(tree: Tree, node: ast.If) -> bool:
    """A loop ends with the first that passes, and refuses or goes on for ever if none does."""
    loop = tree.parent(node)
    if not isinstance(node.body[-1], ast.Return) or not isinstance(loop, (ast.For, ast.While)):
        return False
    if isinstance(loop, ast.While):
        return isinstance(loop.test, ast.Constant)
    return any(isinstance(each, ast.Raise) for each in tree.place(loop).behind())


def calls(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """A call that only refuses; of `require(a and b)` each of both."""
    if not isinstance(node, ast.stmt) or not only_refuses(node) or called(node) == "blame":
        return
    assert isinstance(node, ast.Expr)
    assert isinstance(node.value, ast.Call)
    call = node.value
    found = []
    if call.args and isinstance(call.args[0], (ast.Compare, ast.BoolOp)):
        found = list(parts(call.args[0], Place(call, "args", 0), accepts=True))
    if len(found) > 1:
        for part in found:
            yield Deletion(tree.text(part.shown), node, part.place, part.without)
    else:
        yield Deletion(_without_texts(tree, call), node, tree.place(node), ast.Pass())


def _without_texts(tree: Tree, call: ast.Call) -> str:
    """The source of a call without its texts, which are for people and may change."""
    arguments = [
        tree.text(each)
        for each in call.args
        if not isinstance(each, ast.JoinedStr)
        and not (isinstance(each, ast.Constant) and isinstance(each.value, str))
        and "str(" not in tree.text(each)
    ]
    return f"{tree.text(call.func)}({', '.join(arguments)})"


def raises(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """A `raise` that no `if` guards: it refuses whatever comes so far."""
    handled = any(isinstance(each, ast.ExceptHandler) for each in tree.above(node))
    match node:
        case ast.Raise(exc=ast.Call(func=error)) | ast.Raise(exc=ast.expr() as error):
            if not handled and not isinstance(tree.parent(node), ast.If):
                yield Deletion(f"raise {tree.text(error)}", node, tree.place(node), ast.Pass())


def culprits(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """What names a culprit, unless all its `if` does is that."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return
    parent = tree.parent(node)
    alone = isinstance(parent, ast.If) and len(parent.body) == 1
    if names_a_culprit(node, lists_of_bad(tree.function(node) or tree.root)) and not alone:
        yield Deletion(_without_texts(tree, node.value), node, tree.place(node), ast.Pass())


def handlers(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """`except …: return False`, and whatever else leaves with nothing there."""
    if leaves(node) and isinstance(tree.parent(node), ast.ExceptHandler):
        yield Deletion(f"except: {tree.text(node)}", node, tree.place(node), ast.Pass())


def readers(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """`for _ in …: pass`: what is read only to be checked."""
    match node:
        case ast.For(body=[ast.Pass()]):
            shown = f"for {tree.text(node.target)} in {tree.text(node.iter)}"
            yield Deletion(shown, node, tree.place(node), ast.Pass())


def handed_back(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """A call that gives its argument back or refuses it, where the result is used."""
    if isinstance(node, ast.Call) and hands_back(node) and not _is_statement(tree, node):
        yield Deletion(tree.text(node), node, tree.place(node), node.args[0])


def _is_statement(tree: Tree, call: ast.Call) -> bool:
    return isinstance(tree.parent(call), ast.Expr)


def filters(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """The `if` of a comprehension."""
    if isinstance(node, ast.comprehension):
        for index, condition in enumerate(node.ifs):
            for part in parts(condition, Place(node, "ifs", index), accepts=True):
                text = f"for {tree.text(node.target)}: if {tree.text(part.shown)}"
                yield Deletion(text, condition, part.place, part.without)


def predicates(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """What a function that says yes or no says at last."""
    function = tree.function(node)
    if not isinstance(node, ast.Return) or function is None or node.value is None:
        return
    match function.returns, node.value:
        case ast.Name(id="bool"), ast.Constant():
            return
        case ast.Name(id="bool"), value:
            for always in (True, False):
                text = f"{tree.text(node)}: always {always}"
                place = Place(node, "value", None)
                yield Deletion(text, node, place, ignored(value, accepts=always))


def choices(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """`return x if … else None`."""
    match node:
        case ast.Return(value=ast.IfExp(test=test, body=body, orelse=orelse) as choice) if (
            is_nothing(body) != is_nothing(orelse)
        ):
            for part in parts(test, Place(choice, "test", None), accepts=is_nothing(orelse)):
                yield Deletion(tree.text(part.shown), choice, part.place, part.without)


def cuts(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """`x[:MOST]`."""
    match node:
        case ast.Subscript(
            value=value, slice=ast.Slice(lower=None, upper=ast.Name(id=name)), ctx=ast.Load()
        ) if _is_a_cap(name):
            yield Deletion(tree.text(node), node, tree.place(node), value)


def limits(tree: Tree, node: ast.AST) -> Iterator[Deletion]:
    """An argument or a flag by which a library refuses for us."""
    if isinstance(node, ast.Call):
        for index, keyword in enumerate(node.keywords):
            if keyword.arg in _LIMITS and called(node) != "zip":
                text = f"{tree.text(keyword)} of {tree.text(node.func)}"
                nothing = ast.keyword(None, ast.Dict([], []))
                yield Deletion(text, node, Place(node, "keywords", index), nothing)
    if isinstance(node, ast.Attribute) and node.attr in _FLAGS:
        yield Deletion(tree.text(node), node, tree.place(node), ast.Constant(0))


RULES: tuple[Rule, ...] = (
    branches,
    calls,
    raises,
    culprits,
    handlers,
    readers,
    handed_back,
    filters,
    predicates,
    choices,
    cuts,
    limits,
)
