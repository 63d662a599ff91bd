from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from errno import EFBIG, EPERM
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.certificates import pemfile
from echoproto.server.certificates.pemfile import pemFile


def failing(number: int) -> Callable[..., object]:
    def fail(*arguments: object, **named: object) -> object:
        raise OSError(number, os.strerror(number))

    return fail


class PEMFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.patch(tempfile, "tempdir", self.folder)

    def assertReadable(self) -> str:
        """Assert that the file has its content, and is gone afterwards; returns its path."""
        with pemFile(b"key") as path:
            self.assertEqual(Path(path).read_bytes(), b"key")
        self.assertFalse(os.path.exists(path))
        return path

    def test_memory(self) -> None:
        """The file is in memory."""
        self.assertTrue(self.assertReadable().startswith(pemfile.DESCRIPTORS))

    def test_noMemory(self) -> None:
        """It is a temporary file where a sandbox forbids files in memory."""
        self.patch(os, "memfd_create", failing(EPERM))
        self.assertTrue(self.assertReadable().startswith(self.folder))

    def test_otherSystem(self) -> None:
        """It is a temporary file on a system without files in memory."""
        with mock.patch.object(os, "memfd_create"):
            del os.memfd_create
            self.assertTrue(self.assertReadable().startswith(self.folder))

    def test_noProc(self) -> None:
        """It is a temporary file if /proc is not mounted: one in memory has no path then."""
        self.patch(pemfile, "DESCRIPTORS", self.mktemp())
        self.assertTrue(self.assertReadable().startswith(self.folder))

    def test_nowhere(self) -> None:
        """If there can be no file, the reason and the remedy are one line."""
        self.patch(os, "memfd_create", failing(EPERM))
        self.patch(pemfile, "NamedTemporaryFile", failing(EFBIG))
        with self.assertRaises(ValueError) as raised, pemFile(b"key"):
            self.fail("there is a file")
        self.assertIn("OpenSSL: File too large; it needs /proc", str(raised.exception))
