from __future__ import annotations

import io
import json
from contextlib import redirect_stdout

from jsonschema import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from echoproto.report.schema import DOCUMENTS, jsonSchema, printSchema


class SchemaTests(SynchronousTestCase):
    def test_valid(self) -> None:
        """The schema of each document is valid, and has an identifier of its own."""
        schemas = [jsonSchema(command) for command in DOCUMENTS]
        for schema in schemas:
            Draft202012Validator.check_schema(schema)
        self.assertEqual(len({schema["$id"] for schema in schemas}), len(DOCUMENTS))

    def test_printed(self) -> None:
        """The schema of a command is printed."""
        output = io.StringIO()
        with redirect_stdout(output):
            printSchema(["ping"])
        self.assertEqual(json.loads(output.getvalue()), jsonSchema("ping"))

    def test_usage(self) -> None:
        """Without a known command, the commands are listed."""
        for arguments in ([], ["later"], ["ping", "load"]):
            with self.assertRaisesRegex(SystemExit, "usage: .*ping|load"):
                printSchema(arguments)
