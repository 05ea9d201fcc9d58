from __future__ import annotations

from pathlib import Path

from scripts.checks import generate_docs
from scripts.checks.docs_fresh import REMEDY, docs_fresh
from scripts.checks.generate_docs import GENERATORS, cli_help, regenerated
from tests.scripts.conftest import Write

OLD = "# A\n<!-- generated: cli-help -->\nold\n<!-- end -->\nrest\n"


def test_a_page_without_generated_parts_is_fresh(project: Path, write: Write) -> None:
    write("docs/a.md", "# A\n")
    assert docs_fresh(project) == []


def test_an_old_part_is_found_and_made_anew(project: Path, write: Write) -> None:
    page = write("docs/cli.md", OLD)
    assert docs_fresh(project) == [f"docs/cli.md: old; run {REMEDY}"]
    generate_docs.main(project)
    assert docs_fresh(project) == []
    text = page.read_text("utf-8")
    assert text.startswith("# A\n<!-- generated: cli-help -->\n```\n")
    assert text.endswith("```\n<!-- end -->\nrest\n")


def test_only_the_parts_change() -> None:
    text = "a\n<!-- generated: x -->\n<!-- end -->\nb\n<!-- generated: y -->\n1\n<!-- end -->\nc"
    made = regenerated(text, {"x": lambda: "X\n", "y": lambda: "Y\n"})
    assert made == (
        "a\n<!-- generated: x -->\nX\n<!-- end -->\nb\n<!-- generated: y -->\nY\n<!-- end -->\nc"
    )


def test_a_part_of_unknown_name_is_found(project: Path, write: Write) -> None:
    write("a.md", OLD.replace("cli-help", "gone"))
    assert docs_fresh(project) == ["a.md: no generator called 'gone'"]


def test_every_verb_is_listed_with_its_help() -> None:
    lines = cli_help().splitlines()
    assert lines[0] == lines[-1] == "```"
    assert any(line.startswith("hsm-mpc demo ") for line in lines)
    assert all(len(line.split("  ")) > 1 for line in lines[1:-1])
    assert "cli-help" in GENERATORS
