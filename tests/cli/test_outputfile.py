from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.outputfile import OutputFile, openProblem


class OutputFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "result.json"

    def earlier(self, mode: int = 0o640) -> None:
        self.path.write_text("earlier")
        self.path.chmod(mode)

    def write(self, text: str, isComplete: bool = True) -> None:
        with OutputFile(str(self.path)) as file:
            file.write(text)
            if isComplete:
                file.keep()

    def test_new(self) -> None:
        """A new file has what was written, complete or not."""
        self.write("new", isComplete=False)
        self.assertEqual(self.path.read_text(), "new")

    def test_empty(self) -> None:
        """A new file is removed if nothing was written, unless someone else has removed it."""
        self.write("", isComplete=False)
        self.assertEqual(os.listdir(self.folder), [])
        with OutputFile(str(self.path)) as file:
            self.path.unlink()
        file.close()

    def test_replaced(self) -> None:
        """A complete result replaces an earlier one, and keeps its mode."""
        self.earlier()
        self.write("new")
        self.assertEqual((self.path.read_text(), self.path.stat().st_mode & 0o777), ("new", 0o640))
        self.assertEqual(os.listdir(self.folder), ["result.json"])

    def test_incomplete(self) -> None:
        """Until a result is complete the earlier one stays, and nothing else."""
        self.earlier()
        with OutputFile(str(self.path)) as file:
            print("new", file=file, flush=True)
            self.assertEqual(self.path.read_text(), "earlier")
        self.assertEqual(self.path.read_text(), "earlier")
        self.assertEqual(os.listdir(self.folder), ["result.json"])

    def test_interrupted(self) -> None:
        """An interrupt just after the replacement leaves the new result, and is no other error."""

        def replaceAndStop(temporary: str, path: str) -> None:
            os.rename(temporary, path)
            raise KeyboardInterrupt

        self.earlier()
        with mock.patch.object(os, "replace", replaceAndStop):
            self.assertRaises(KeyboardInterrupt, self.write, "new")
        self.assertEqual(os.listdir(self.folder), [self.path.name])
        self.assertEqual(self.path.read_text(), "new")

    def test_link(self) -> None:
        """Through a link its target is replaced."""
        self.earlier()
        link = self.folder / "link"
        link.symlink_to("result.json")
        with OutputFile(str(link)) as file:
            file.write("new")
            file.keep()
        self.assertEqual((link.is_symlink(), self.path.read_text()), (True, "new"))

    def test_copied(self) -> None:
        """A file in a folder that is not ours, or that is mounted, is written in its place."""
        self.earlier()
        make = tempfile.mkstemp

        def denied(**named: str) -> tuple[int, str]:
            if named:
                raise PermissionError
            return make()

        with (
            mock.patch.object(tempfile, "mkstemp", denied),
            mock.patch.object(os, "replace", side_effect=OSError),
        ):
            self.write("new")
        self.assertEqual((self.path.read_text(), os.listdir(self.folder)), ("new", ["result.json"]))

    def test_notCopied(self) -> None:
        """A result that cannot be copied, as the disk is full, stays in a file of its own."""
        self.earlier()
        with (
            mock.patch.object(os, "replace", side_effect=OSError),
            mock.patch.object(shutil, "copyfile", side_effect=OSError(28, "full")),
            OutputFile(str(self.path)) as file,
        ):
            file.write("new")
            error = self.assertRaises(OSError, file.keep)
        text, place = str(error.strerror).rsplit(" ", 1)
        self.assertEqual((text, file.isRescued), ("full; the result is in", True))
        self.assertEqual(Path(place).read_text(), "new")

    def test_notOurs(self) -> None:
        """The owner is kept if that is allowed."""
        self.earlier()
        with mock.patch.object(os, "fchown", side_effect=PermissionError):
            self.write("new")
        self.assertEqual(self.path.read_text(), "new")

    def test_unwritable(self) -> None:
        """A file that may not be written fails before the run."""
        self.earlier()
        with mock.patch.object(os, "open", side_effect=PermissionError):
            self.assertRaises(PermissionError, OutputFile, str(self.path))
        self.assertEqual(self.path.read_text(), "earlier")

    def test_device(self) -> None:
        """A device is written to; a full one is closed without an error."""
        with OutputFile("/dev/full") as file:
            file.write("lost")
        with OutputFile("/dev/null") as file:
            file.write("gone")
            file.keep()

    def test_encoding(self) -> None:
        """Text without an encoding, as a name in an invalid argument, is escaped."""
        self.write("b\u00fccher \udcff")
        self.assertEqual(self.path.read_text(encoding="utf-8"), "b\u00fccher \\udcff")


class OpenProblemTests(SynchronousTestCase):
    def test_remedy(self) -> None:
        """A missing folder has its remedy; another problem is that of the system."""
        missing = FileNotFoundError(2, "No such file or directory")
        message = "the folder does not exist; mkdir -p '/no where'"
        self.assertEqual(openProblem("/no where/x", missing), message)
        self.assertEqual(openProblem("/x", missing), "No such file or directory")
        self.assertEqual(
            openProblem("/x", IsADirectoryError(21, "Is a directory")), "Is a directory"
        )
