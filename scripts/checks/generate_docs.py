"""Writes the generated parts of the documents: `python -m scripts.checks.generate_docs`.

A part stands between `<!-- generated: NAME -->` and `<!-- end -->`, each on a line of its own. NAME
is a key of `GENERATORS`. `scripts/check` compares (docs_fresh.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click
import typer

from scripts.checks.files import project_files

_PART = re.compile(
    r"(?P<begin>^<!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<end>^<!-- end -->$)",
    re.MULTILINE | re.DOTALL,
)


def cli_help() -> str:
    """Every verb of the command line, with the first line of its help."""
    from hsm_mpc.cli.main import app

    verbs = list(_verbs(typer.main.get_command(app), "hsm-mpc"))
    width = max(len(name) for name, _ in verbs)
    lines = [f"{name:<{width}}  {text}".rstrip() for name, text in verbs]
    return "\n".join(["```", *lines, "```", ""])


def _verbs(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Name and one-line help of `command` or of all below it, in the order of their definition."""
    if command.hidden:
        return
    if isinstance(command, click.Group):
        for verb, below in command.commands.items():
            yield from _verbs(below, f"{name} {verb}")
    else:
        yield name, command.get_short_help_str(limit=200)


def model_rows() -> str:
    """What the model of section 6 was explored for (tests/model)."""
    from tests.model.page import rows

    return rows()


def model_counter_examples() -> str:
    """What breaks in that model without a rule."""
    from tests.model.page import counter_examples

    return counter_examples()


GENERATORS: Final[Mapping[str, Callable[[], str]]] = {
    "cli-help": cli_help,
    "model-rows": model_rows,
    "model-counter-examples": model_counter_examples,
}


def regenerated(text: str, generators: Mapping[str, Callable[[], str]] = GENERATORS) -> str:
    """`text` with its generated parts made anew. Raises `KeyError` for a part of unknown name."""
    return _PART.sub(lambda part: part["begin"] + generators[part["name"]]() + part["end"], text)


def main(root: Path) -> None:
    """Rewrite the documents whose generated parts are old, and name them."""
    for page in project_files(root, ".md"):
        old = page.read_text("utf-8")
        new = regenerated(old)
        if new != old:
            page.write_text(new, "utf-8")
            print(f"wrote {page.relative_to(root)}")


if __name__ == "__main__":
    main(Path(__file__).resolve().parents[2])
