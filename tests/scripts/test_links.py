from __future__ import annotations

from pathlib import Path

import pytest

from scripts.checks.links import links
from tests.scripts.conftest import Write


@pytest.mark.parametrize(
    "text",
    [
        "[there](docs/b.md)",
        "[heading](docs/b.md#the-first--second-time)",
        "[again](docs/b.md#same-1)",
        "[here](#top)",
        "[folder](docs/)",
        '[titled](docs/b.md "a title")',
        "[named]: docs/b.md",
        "[elsewhere](https://example.com/x) [mail](mailto:a@example.com)",
        "`[code](gone.md)`",
        "```\n[code](gone.md)\n```",
    ],
)
def test_a_link_that_leads_somewhere_passes(project: Path, write: Write, text: str) -> None:
    write("a.md", f"# Top\n{text}\n")
    write("docs/b.md", "# The first — second time\n## Same\n## Same\n```\n# no heading\n```\n")
    assert links(project) == []


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("gone.md", "no such file"),
        ("docs/b.md#gone", "no such heading"),
        ("docs/b.md#no-heading", "no such heading"),
        ("#gone", "no such heading"),
        ("../outside.md", "outside of the project"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(
    project: Path, write: Write, target: str, why: str
) -> None:
    (project.parent / "outside.md").touch()
    write("a.md", f"# Top\n\n[x]({target})\n")
    write("docs/b.md", "# B\n```\n# no heading\n```\n")
    assert links(project) == [f"a.md:3: {target}: {why}"]
