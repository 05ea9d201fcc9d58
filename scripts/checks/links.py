"""Links inside the documents: the file, and the heading in it, must exist."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from scripts.checks.files import project_files

_CODE = re.compile(
    r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$|`[^`\n]*`", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(
    r"""\[[^\]]*\]\(\s*<?(?P<inline>[^)\s>]+)>?(?:\s+"[^"]*")?\s*\)   # [text](target "title")
    | ^\[[^\]]+\]:\s*(?P<reference>\S+)                            # [name]: target
    """,
    re.MULTILINE | re.VERBOSE,
)
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def links(root: Path) -> list[str]:
    """Every relative link of a Markdown file leads to a file of the project, and to its heading."""
    problems = []
    for page in project_files(root, ".md"):
        text = _blank_code(page.read_text("utf-8"))
        for link in _LINK.finditer(text):
            target = link["inline"] or link["reference"]
            if _ELSEWHERE.match(target):
                continue
            why = _broken(root, page, target)
            if why:
                line = text.count("\n", 0, link.start()) + 1
                problems.append(f"{page.relative_to(root)}:{line}: {target}: {why}")
    return problems


def _broken(root: Path, page: Path, target: str) -> str:
    """What is wrong with the link `target` on `page`; empty if nothing is."""
    name, _, heading = unquote(target).partition("#")
    file = page.parent / name if name else page
    if not file.exists():
        return "no such file"
    if not file.resolve().is_relative_to(root.resolve()):
        return "outside of the project"
    if heading and file.suffix == ".md" and heading not in _anchors(file):
        return "no such heading"
    return ""


def _anchors(page: Path) -> set[str]:
    """The names by which the page's headings can be linked, as the usual viewers make them."""
    anchors: set[str] = set()
    for heading in _HEADING.findall(_blank_fences(page.read_text("utf-8"))):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        again = 0
        anchor = words
        while anchor in anchors:
            again += 1
            anchor = f"{words}-{again}"
        anchors.add(anchor)
    return anchors


def _blank_code(text: str) -> str:
    """`text` without what stands in code, line for line."""
    return _CODE.sub(lambda code: "\n" * code.group().count("\n"), text)


def _blank_fences(text: str) -> str:
    return _CODE.sub(lambda code: "" if "\n" in code.group() else code.group(), text)
