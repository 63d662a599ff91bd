"""Public names are unique in the package."""

from __future__ import annotations

import ast
from collections import defaultdict

from twisted.trial.unittest import SynchronousTestCase

from tests.loopback.program import ROOT


class NamesTests(SynchronousTestCase):
    def test_unique(self) -> None:
        """No two public classes or functions of the package share a name."""
        places = defaultdict(list)
        for path in sorted((ROOT / "echoproto").rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                    places[node.name].append(str(path.relative_to(ROOT)))
        shared = {
            name: found
            for name, found in places.items()
            if len(found) > 1 and not name.startswith("_")
        }
        self.assertEqual(shared, {})
