"""What counts as a check: each kind by an example, and what is left of it when it is deleted."""

from __future__ import annotations

import ast

import pytest

from tests.mutation.checks import checks_of, without

EXAMPLES = {
    "an if that raises": ("if x > 1: raise E('…')", {"x > 1": "if x > 1 and False:"}),
    "an elif that raises": (
        "if a: pass\nelif b: raise E",
        {"b": "elif b and False:"},
    ),
    "an else that raises": ("if a: pass\nelse: raise E", {"a": "if a or True:"}),
    "either of two": (
        "if a or b == 2: raise E",
        {"a": "if a and False or b == 2:", "b == 2": "if a or (b == 2 and False):"},
    ),
    "unless both": (
        "if not (a and b): raise E",
        {"a": "if not ((a or True) and b):", "b": "if not (a and (b or True)):"},
    ),
    "if both": ("if a and b: raise E", {"a and b": "if (a and b) and False:"}),
    "a range": (
        "if not 1 <= x <= 9: raise E",
        {"1 <= x": "if not (x <= 9 and True):", "x <= 9": "if not (1 <= x and True):"},
    ),
    "two values at once": (
        "if (a, b) != (c, d): raise E",
        {"a != c": "if b != d or False:", "b != d": "if a != c or False:"},
    ),
    "an if that names a culprit": (
        "if bad: faults.blame(j, 'late')",
        {"bad": "if bad and False:"},
    ),
    "each culprit of two": (
        "if bad:\n    faults.blame(i, 'a')\n    faults.blame(j, 'b')",
        {"bad": "if bad and False:", "faults.blame(i)": "pass", "faults.blame(j)": "pass"},
    ),
    "culprits that are raised for later": (
        "if bad: liars.append(j)\nif liars: raise E",
        {"bad": "if bad and False:", "liars": "if liars and False:"},
    ),
    "what is good, and nothing is": (
        "if good: whole.append(j)\nif not whole: raise E",
        {"good": "if good or True:", "whole": "if not (whole or True):"},
    ),
    "a culprit of what somebody else refused": (
        "try: f()\nexcept Bad: faults.blame(j, 'late')",
        {"faults.blame(j)": "pass"},
    ),
    "what is given to those that pass": (
        "if a and b: return x\nreturn None",
        {"a": "if (a or True) and b:", "b": "if a and (b or True):"},
    ),
    "what may be removed": ("if old: files.remove(x)", {"old": "if old or True:"}),
    "a guard": ("if x: return None\ny()", {"x": "if x and False:"}),
    "a guard of everybody else's refusal": ("if x: return\nraise E", {"raise E": "pass"}),
    "a cap": ("if len(x) >= MOST: drop(x)", {"len(x) >= MOST": "if len(x) >= MOST and False:"}),
    "a cut": ("return x[:_MOST_BYTES]", {"x[:_MOST_BYTES]": "return x"}),
    "a loop that ends with what passes": (
        "while True:\n    if good(): return 1",
        {"good()": "if good() or True:"},
    ),
    "a loop that refuses if nothing passes": (
        "for x in xs:\n    if good(x): return\nraise E",
        {"good(x)": "if good(x) or True:", "raise E": "pass"},
    ),
    "a call that only refuses": ("_check_path(p, 'a text')", {"_check_path(p)": "pass"}),
    "a call that refuses either": (
        "_require(a and b, 'a text')",
        {"a": "_require((a or True) and b", "b": "_require(a and (b or True)"},
    ),
    "the end of what is read": ("reader.end()", {"reader.end()": "pass"}),
    "a value that is handed back": (
        "return xs[require_index(i, n)]",
        {"require_index(i, n)": "return xs[i]"},
    ),
    "a comprehension's filter": (
        "return [x for x in xs if good(x)]",
        {"for x: if good(x)": "[x for x in xs if good(x) or True]"},
    ),
    "a choice": ("return x if good else None", {"good": "return x if good or True else None"}),
    "what is read only to be checked": ("for _ in chain: pass", {"for _ in chain": "pass"}),
    "an error that is swallowed": (
        "try: f()\nexcept Bad: return False\nreturn 1",
        {"except: return False": "pass"},
    ),
    "an argument by which a library refuses": (
        "load(encoded, strict=True)",
        {"strict=True of load": "load(encoded, **{})"},
    ),
    "a flag by which the kernel refuses": (
        "os.open(p, os.O_RDONLY | os.O_NOFOLLOW)",
        {"os.O_NOFOLLOW": "os.O_RDONLY | 0"},
    ),
}

NO_CHECKS = {
    "a branch": "if a: b()",
    "an error under another name": "try: f()\nexcept Bad as e: raise Ours from e",
    "lengths that are known to be the same": "zip(a, b, strict=True)",
    "an error that goes on": "try: f()\nexcept Bad: raise",
}


def function(body: str, returns: str = "") -> str:
    return f"def f(){returns}:\n" + "\n".join(f"    {line}" for line in body.splitlines())


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_check_of_each_kind_is_found_and_deleted(kind: str) -> None:
    body, expected = EXAMPLES[kind]
    source = function(body)
    assert {check.text for check in checks_of(source, "m.py")} == set(expected)
    for text, rest in expected.items():
        left = ast.unparse(without(source, "m.py", f"m.py f: {text}"))
        assert rest in left
        assert left != ast.unparse(ast.parse(source))


@pytest.mark.parametrize("kind", NO_CHECKS)
def test_what_decides_nothing_is_none(kind: str) -> None:
    assert checks_of(function(NO_CHECKS[kind]), "m.py") == []


def test_a_function_that_says_yes_or_no_says_always_the_same() -> None:
    source = function("return a == b", " -> bool")
    rest = {"True": "return a == b or True", "False": "return a == b and False"}
    assert {check.text for check in checks_of(source, "m.py")} == {
        f"return a == b: always {always}" for always in rest
    }
    for always, left in rest.items():
        name = f"m.py f: return a == b: always {always}"
        assert left in ast.unparse(without(source, "m.py", name))


def test_a_call_of_what_never_returns_raises() -> None:
    source = "def fail() -> NoReturn: raise E\n" + function("if a: fail()")
    assert [check.name for check in checks_of(source, "m.py")] == [
        "m.py fail: raise E",
        "m.py f: a",
    ]


def test_names_do_not_depend_on_lines_and_tell_equals_apart() -> None:
    source = function("if a: raise E\nif a: raise F")
    names = ["m.py f: a", "m.py f: a (2)"]
    assert [check.name for check in checks_of(source, "m.py")] == names
    assert [check.name for check in checks_of("\n\nimport os\n" + source, "m.py")] == names


def test_what_a_module_does_when_it_is_loaded_is_no_check() -> None:
    assert checks_of("if a: raise E", "m.py") == []
