"""
A progress bar on the terminal, drawn on the standard error when :mod:`.runner` asks for it.
"""

from __future__ import annotations

from contextlib import suppress

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


class ProgressBar:
    """
    The bar, without a thread or a timer of its own.

    :param name: shown before it.
    """

    def __init__(self, name: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True, highlight=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(name, total=1.0, figures="")

    def show(self, share: float, figures: str) -> None:
        """
        Draw it.

        :param share: how much is done, from 0 to 1.
        :param figures: shown beside the bar.
        """
        self._progress.update(self._task, completed=share, figures=figures)
        # A terminal that is gone must not end the measurement.
        with suppress(OSError):
            self._progress.start()
            self._progress.refresh()

    def hide(self) -> None:
        """Erase it until it is drawn again."""
        with suppress(OSError):
            self._progress.stop()
