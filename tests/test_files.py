from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from echoproto.files import readRegularFile


class ReadRegularFileTests(SynchronousTestCase):
    def refusal(self, path: str, limit: int = 10) -> str:
        """Why a file is not read."""
        error = self.assertRaises(OSError, readRegularFile, path, limit)
        return error.strerror or ""

    def test_content(self) -> None:
        """The content is returned if it is not too long."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"0123456789")
        self.assertEqual(readRegularFile(path, 10), b"0123456789")
        self.assertEqual(self.refusal(path, 9), "longer than 9 bytes")
        self.assertEqual(self.refusal(path + "x"), "No such file or directory")

    def test_notRegular(self) -> None:
        """Named pipes, devices and folders are refused at once."""
        pipe = self.mktemp()
        os.mkfifo(pipe)
        for path in (pipe, "/dev/zero"):
            self.assertEqual(self.refusal(path), "not a regular file")
        self.assertEqual(self.refusal("/"), "Is a directory")
