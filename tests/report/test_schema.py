from __future__ import annotations

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.schema import DOCUMENTS, jsonSchema


class SchemaTests(SynchronousTestCase):
    def test_valid(self) -> None:
        """The schema of each document is valid, and has an identifier of its own."""
        schemas = [jsonSchema(command) for command in DOCUMENTS]
        for schema in schemas:
            Draft202012Validator.check_schema(schema)
        self.assertEqual(len({schema["$id"] for schema in schemas}), len(DOCUMENTS))
