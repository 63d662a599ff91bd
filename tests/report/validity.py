"""Whether documents are as their schemas describe them."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.schema import jsonSchema


class DocumentTestCase(SynchronousTestCase):
    """A test case that validates documents."""

    def validate(self, document: dict[str, Any]) -> None:
        """The document is as its schema describes it, and survives JSON."""
        written = json.loads(json.dumps(document))
        self.assertEqual(written, document)
        Draft202012Validator(jsonSchema(document["command"])).validate(written)
