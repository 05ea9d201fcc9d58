"""A policy file, read: whoever has one and its certified hash knows what it means (step 1.6.8).

YAML is read here and nowhere else. A key that stands twice in a mapping is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any

import yaml

from hsm_mpc.errors import BadConfig
from hsm_mpc.policy.rules import Policy

_NOT_YAML = (yaml.YAMLError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML raises: for `!!int ''` an IndexError."""


class _StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands there twice: people read the one, programs the other."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key, count in keys.items():
            if count > 1:
                problem = f"key {key!r} stands there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


def policy(source: bytes) -> Policy:
    """The policy in a policy file (step 1.6.8).

    Raises:
        BadConfig: not UTF-8, which is what people are shown of it; not YAML; or no policy of a
            known version.
    """
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
