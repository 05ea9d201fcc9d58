"""A policy file, read: whoever has one and its certified hash knows what it means (step 1.6.8).

YAML is read here and nowhere else. A key that stands twice in a mapping is refused, and so is what
stands there once and counts often: a merge of merges in 600 bytes takes gigabytes and minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any, Final

import yaml

from hsm_mpc.errors import BadConfig
from hsm_mpc.policy.rules import LARGEST_FILE, Policy

_NOT_YAML = (
    yaml.YAMLError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What PyYAML raises: for `!!int ''` an IndexError, for `!!timestamp x` an AttributeError."""
_MERGE: Final = "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands there twice: people read the one, programs the other. And aliases
    and merges, which make much of little.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "an alias is not wanted", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        if any(key.tag == _MERGE for key, _ in node.value):
            problem = "a merge is not wanted"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, count in keys.items():
            if count > 1:
                problem = f"key {key!r} stands there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


def policy(source: bytes) -> Policy:
    """The policy in a policy file (step 1.6.8).

    Raises:
        BadConfig: too long; not UTF-8, which is what people are shown of it; not YAML; or no policy
            of a known version.
    """
    if len(source) > LARGEST_FILE:
        raise BadConfig(f"policy: larger than {LARGEST_FILE} bytes")
    try:
        text = source.decode()
    except UnicodeDecodeError as broken:
        raise BadConfig(f"policy: not UTF-8: {broken.reason}") from broken
    return Policy.from_document(document_in(text, "policy"))


def document_in(source: bytes | str, what: str) -> object:
    """A YAML document. Raises: BadConfig: `what` is none."""
    try:
        return yaml.load(source, _StrictLoader)
    except _NOT_YAML as failure:
        raise BadConfig(f"{what}: not YAML: {_one_line(failure)}") from failure


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split())
