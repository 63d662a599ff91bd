from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.certificates.tlsfiles import TLSFiles


class TLSFilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.good = self.store("good.pem")

    def store(self, name: str) -> str:
        """A file whose content is its name."""
        path = self.folder / name
        path.write_bytes(name.encode())
        return str(path)

    def assertRefused(self, files: TLSFiles, *parts: str) -> None:
        """``files`` are refused in one line that has all of ``parts``."""
        message = str(self.assertRaises(ValueError, files.read))
        self.assertEqual(len(message.splitlines()), 1)
        for part in parts:
            self.assertIn(part, message)

    def test_read(self) -> None:
        """All files are read, once; the result is equal to the files without contents."""
        files = TLSFiles(self.good, self.good, self.store("ca.pem"), self.store("chain.pem"))
        read = files.read()
        contents = {str(self.folder / name): name.encode() for name in ("ca.pem", "chain.pem")}
        self.assertEqual(read.contents, {self.good: b"good.pem", **contents})
        self.assertEqual((read, read.pairs(), files.contents), (files, [files], {}))

    def test_missing(self) -> None:
        """The message names a file that is missing or is a folder, whichever of the four it is."""
        bad = str(self.folder / "missing.pem")
        for files in (
            TLSFiles(bad, self.good),
            TLSFiles(self.good, bad),
            TLSFiles(self.good, self.good, clientCA=bad),
            TLSFiles(self.good, self.good, chain=bad),
        ):
            self.assertRefused(files, "missing.pem", "No such file")
        folder = str(self.folder)
        self.assertRefused(TLSFiles(self.good, folder), folder, "Is a directory")

    def test_folder(self) -> None:
        """A folder has a certificate in each ``.pem`` file, with its own key or a separate one."""
        folder = str(self.folder)
        other, key = self.store("other.pem"), self.store("key")
        files = TLSFiles(folder, folder).read()
        expected = [TLSFiles(path, path) for path in (self.good, other)]
        self.assertEqual(files.pairs(), expected)
        separate = TLSFiles(folder, key).read()
        self.assertEqual(separate.pairs(), [replace(pair, key=key) for pair in expected])

    def test_emptyFolder(self) -> None:
        """A folder without .pem files is refused."""
        empty = self.folder / "empty"
        empty.mkdir()
        self.assertRefused(TLSFiles(str(empty), str(empty)), "no .pem file in the folder")
