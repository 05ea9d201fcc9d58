"""A forbidden-imports contract for modules that may not exist yet (.importlinter)."""

from __future__ import annotations

from grimp import ImportGraph
from importlinter import ContractCheck
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.domain.imports import ModuleExpression


class ForbiddenIfPresent(ForbiddenContract):
    """`ForbiddenContract` over those of its modules that exist by now.

    A misspelled module would go unnoticed; tests/scripts/test_import_map.py compares every module
    that a contract names with those of the layers.
    """

    type_name = "forbidden_if_present"

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Leave out modules of ours that are not in the graph, then check as usual."""
        ours = tuple(self.session_options["root_packages"])

        def is_present(module: ModuleExpression) -> bool:
            name = module.expression
            return name in graph.modules or not name.startswith(ours)

        for field in ("source_modules", "forbidden_modules"):
            # The class declares fields; on an instance each is the set that was configured.
            configured: set[ModuleExpression] = getattr(self, field)
            setattr(self, field, {module for module in configured if is_present(module)})
        return super().check(graph, verbose)
