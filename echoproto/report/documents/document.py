"""
The fields of all documents.
"""

from __future__ import annotations

import platform
from typing import Annotated, Any, Literal

import twisted
from msgspec import UNSET, Meta, UnsetType

from echoproto import __version__
from echoproto.report.documents.origin import Origin
from echoproto.report.documents.times import Time
from echoproto.report.documents.values import Values, plainValues, valuesOf

FORMAT = "echoproto-measurement"
VERSION = 1

#: Maximum number of results in a document.
MAX_TARGETS = 10_000


class Versions(Values, frozen=True, kw_only=True):
    """The versions of the software that wrote the document."""

    echoproto: str
    twisted: str
    python: str


class MeasuredValues(Values, frozen=True, kw_only=True):
    """The fields of all results of measurements."""

    started: Annotated[
        Time | UnsetType, Meta(description="Date and time of the beginning, as in origin.")
    ] = UNSET
    origin: Annotated[
        Origin | UnsetType, Meta(description="Where, when and how it was measured.")
    ] = UNSET

    @property
    def source(self) -> dict[str, Any]:
        """The attributes of a stored result that are made of these fields."""
        return {"started": self.started or "", "origins": (self.origin,) if self.origin else ()}


class Document(MeasuredValues, frozen=True, kw_only=True, tag_field="command"):
    """The fields of all documents. A report has an origin for each result instead."""

    format: Literal["echoproto-measurement"]
    version: Literal[1]
    versions: Versions


def makeDocument(
    kind: type[Document], *sources: object, origin: Origin | None = None, **values: object
) -> dict[str, Any]:
    """
    A document as plain values for JSON.

    :param sources: have attributes that are called as its fields.
    :param origin: where, when and how a result was measured, if it is known.
    :param values: fields with another value, or without an attribute.
    """
    versions = Versions(
        echoproto=__version__, twisted=twisted.__version__, python=platform.python_version()
    )
    if origin is not None:
        values |= {"started": origin.began, "origin": origin}
    return plainValues(
        valuesOf(kind, *sources, format=FORMAT, version=VERSION, versions=versions, **values)
    )
