"""
The fields of all documents.
"""

from __future__ import annotations

import platform
from typing import Any, Literal

import twisted

from echoproto import __version__
from echoproto.report.documents.values import Values

FORMAT = "echoproto-measurement"
VERSION = 1

#: Maximum number of results in a document.
MAX_TARGETS = 10_000


class Versions(Values, frozen=True, kw_only=True):
    """The versions of the software that wrote the document."""

    echoproto: str
    twisted: str
    python: str


class Document(Values, frozen=True, kw_only=True, tag_field="command"):
    """The fields of all documents."""

    format: Literal["echoproto-measurement"]
    version: Literal[1]
    versions: Versions


def documentHead() -> dict[str, Any]:
    """The values of these fields."""
    versions = Versions(
        echoproto=__version__, twisted=twisted.__version__, python=platform.python_version()
    )
    return {"format": FORMAT, "version": VERSION, "versions": versions}
