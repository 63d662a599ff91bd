"""Imports a module when it is used, although a library imports it earlier."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    """Stands for a module until an attribute of it is used."""

    def __getattr__(self, name: str) -> Any:
        # Those of the import system are looked up although nobody uses the module.
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def deferUnused() -> None:
    """Defer what Twisted imports for other programs, with all that it needs."""
    # HTTP and electronic mail.
    deferImport("http.cookiejar")
    # Where these are missing, Twisted needs to know.
    if find_spec("OpenSSL") and find_spec("service_identity"):
        deferImport("twisted.internet.ssl")


def deferImport(name: str) -> None:
    """
    Load a module when one of its attributes is used first, instead of when it is imported.

    :param name: its full name; a module that is imported already stays as it is.
    """
    sys.modules.setdefault(name, _LazyModule(name))
