"""
The file of ``--out``: an earlier file is replaced by a complete result, and by nothing else.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import stat
import tempfile
from contextlib import suppress

from echoproto.text.untrusted import escaped


def openProblem(path: str, error: OSError) -> str:
    """Why a file cannot be written to, and the remedy if that is known."""
    folder = os.path.dirname(os.path.realpath(path))
    if isinstance(error, FileNotFoundError) and not os.path.isdir(folder):
        return f"the folder does not exist; mkdir -p {escaped(shlex.quote(folder))}"
    return str(error.strerror)


class OutputFile(io.TextIOWrapper):
    """
    A file to write a result to, in UTF-8; text that has no encoding is escaped.

    A new file is written as the result arrives, and removed if it is still empty at the end. In
    place of an existing one a temporary file is written, which replaces it in :meth:`keep`.

    :param path: where to write; a link is followed, a device or a pipe is written to.
    :raise OSError: that is not possible.
    :ivar isRescued: whether a file of its own has the result, because :meth:`keep` has failed.
    """

    isRescued = False

    def __init__(self, path: str) -> None:
        self._path = os.path.realpath(path)
        self._temporary = ""
        self._isNew = not os.path.exists(self._path)
        if os.path.isfile(self._path):
            # Whether it may be written is known now, not after the run.
            os.close(os.open(self._path, os.O_WRONLY))
            handle, self._temporary = _temporaryFor(self._path)
        else:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o666)
        raw = os.fdopen(handle, "wb")
        super().__init__(raw, encoding="utf-8", errors="backslashreplace")

    def keep(self) -> None:
        """
        The result is complete: replace the earlier file.

        :raise OSError: it cannot be replaced; the error names the file that has the result.
        """
        self.flush()
        if not self._temporary:
            return
        try:
            os.replace(self._temporary, self._path)
        except OSError:
            # A mounted file cannot be replaced, nor one in a folder that is not ours.
            self._copy()
        self._temporary = ""

    def _copy(self) -> None:
        try:
            shutil.copyfile(self._temporary, self._path)
        except OSError as error:
            # The earlier result is lost already.
            self.isRescued, place, self._temporary = True, self._temporary, ""
            raise OSError(error.errno, f"{error.strerror}; the result is in {place}") from error
        os.unlink(self._temporary)

    def close(self) -> None:
        """
        Close it. Without :meth:`keep` the earlier file stays as it was. An error of writing was
        reported already, because each line is flushed.
        """
        if self.closed:
            return
        with suppress(OSError):
            super().close()
        if self._temporary:
            # It is gone if an interrupt followed the replacement at once.
            with suppress(FileNotFoundError):
                os.unlink(self._temporary)
        elif self._isNew and os.path.exists(self._path) and not os.path.getsize(self._path):
            os.unlink(self._path)


def _temporaryFor(path: str) -> tuple[int, str]:
    """A temporary file beside another one, if possible, with its mode and, if possible, owner."""
    folder, name = os.path.split(path)
    found = os.stat(path)
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
    except OSError:
        handle, temporary = tempfile.mkstemp()
    os.fchmod(handle, stat.S_IMODE(found.st_mode))
    with suppress(OSError):
        os.fchown(handle, found.st_uid, found.st_gid)
    return handle, temporary
