"""
The command of a child process: the Python, the code and the import path of its parent, whatever the
environment and the current folder hold.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

#: Options of Python by the names of their flags. The first includes the next two.
_OPTIONS = {
    "isolated": "-I",
    "ignore_environment": "-E",
    "no_user_site": "-s",
    "no_site": "-S",
}

#: The folder from which this echoproto was imported.
_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Without symbolic links, which an upgrade may change while the program runs: children must be of
# the same version. Not that of the program itself, by whose folder Python finds its environment.
_PYTHON = os.path.join(
    os.path.realpath(os.path.dirname(sys.executable)), os.path.basename(sys.executable)
)
_REAL_FOLDERS = {folder: os.path.realpath(folder) for folder in sys.path if folder}


def childPath(path: Sequence[str], current: str, home: str = _HOME) -> list[str]:
    """
    The import path of a child: that of its parent without the current folder.

    ``python -m`` and ``python -c`` search the current folder before the standard library, so a
    ``json.py`` there would run in the child, perhaps as root.

    :param path: the parent's ``sys.path``.
    :param current: the current folder.
    :param home: a folder that stays even if it is the current one: an uninstalled checkout.
    """
    folders = [os.path.join(current, folder) if folder else current for folder in path]
    unsafe = {os.path.realpath(current)} - {os.path.realpath(home)}
    return [
        _REAL_FOLDERS.get(folder, folder)
        for folder in folders
        if os.path.realpath(folder) not in unsafe
    ]


def childCommand(module: str, function: str) -> list[str]:
    """
    The command of a child that calls ``function`` of ``module``.

    :param module: the full name of the module.
    :param function: a function without parameters, which returns the exit status.
    """
    path = childPath(sys.path, _currentFolder())
    program = (
        f"import sys; sys.path[:] = {path!r}; "
        f"from {module} import {function}; sys.exit({function}())"
    )
    return [_PYTHON, *_interpreterOptions(sys.flags), "-c", program]


def _interpreterOptions(flags: Any) -> list[str]:
    """
    The options of a child's Python: those of its parent that keep out code of the environment and
    of the user, which Python would run before the child's first line.

    :param flags: see ``sys.flags``.
    """
    options = [option for name, option in _OPTIONS.items() if getattr(flags, name)]
    # Before its first line, Python 3.13 and later import linecache for the program of -c.
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    return [*safe, *options]


def _currentFolder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        # It was removed, and so were the relative folders of the path.
        return os.sep
