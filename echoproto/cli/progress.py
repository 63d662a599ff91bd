"""
A bar on the terminal that tells how far a measurement has come.

Drawn on the standard error by :mod:`.runner` when that says so: it has no thread and no timer of its own. Nothing of it stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


@dataclass(frozen=True)
class Stage:
    """
    How far it has come.

    :ivar share: from 0 to 1.
    :ivar said: the figures, in some words.
    """

    share: float
    said: str


class Bar:
    """
    The bar.

    :param name: stands before it.
    """

    def __init__(self, name: str) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[said]}"),
        )
        self._progress = Progress(
            *columns,
            console=Console(stderr=True, highlight=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(name, total=1.0, said="")

    def show(self, stage: Stage) -> None:
        """Draw it."""
        self._progress.update(self._task, completed=stage.share, said=stage.said)
        self._progress.start()
        self._progress.refresh()

    def hide(self) -> None:
        """Leave the terminal as it was, until it is shown again."""
        self._progress.stop()
