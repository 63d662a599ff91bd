"""
Choose a reactor by name, and install it.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.application.reactors import NoSuchReactor
from twisted.application.reactors import installReactor as installNamed

from echoproto.errors import StartupError


def installReactor(name: str | None) -> Any:
    """
    Install the reactor of that name; where none is given the direct one on Linux, and Twisted's
    choice elsewhere.

    :raise StartupError: there is none such, or it cannot be used here.
    """
    name = name or ("direct" if sys.platform == "linux" else "default")
    try:
        return installNamed(name)
    except NoSuchReactor:
        raise StartupError(
            f"--reactor {name!r}: there is none; see twistd --help-reactors"
        ) from None
    except Exception as error:
        raise StartupError(f"--reactor {name!r} cannot be used: {error}") from error
