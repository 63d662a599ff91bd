from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from echoproto.text.untrusted import escaped, readRegularFile


class EscapedTests(SynchronousTestCase):
    def test_text(self) -> None:
        """Printable text is unchanged."""
        self.assertEqual(escaped("Grüße, 世界".encode()), "Grüße, 世界")

    def test_control(self) -> None:
        """Line ends, terminal escapes and direction marks are escaped."""
        self.assertEqual(escaped(b"a\r\nb\x1b[2J\x00"), "a\\r\\nb\\x1b[2J\\x00")
        self.assertEqual(escaped("\u202eevil\u2028".encode()), "\\u202eevil\\u2028")

    def test_invisible(self) -> None:
        """Invisible characters in printable categories are escaped; a space is not."""
        for (
            character
        ) in "\u00ad\u115f\u1160\u2800\u3000\u3164\uffa0\ufe0f\u034f\U000e0100\U0001d159":
            self.assertEqual(escaped(character.encode()), ascii(character)[1:-1])
        self.assertEqual(escaped(b"a b"), "a b")

    def test_combiningMarks(self) -> None:
        """Combining marks without a width are escaped, so that they cannot cover other lines."""
        self.assertEqual(escaped("e\u0301\u20dd".encode()), "e\\u0301\\u20dd")
        self.assertEqual(escaped("\u0915\u093e".encode()), "\u0915\u093e")

    def test_undecodable(self) -> None:
        """Invalid UTF-8 is escaped, and so are backslashes, which could imitate escapes."""
        self.assertEqual(escaped(b"\xff\xfeA\\xff"), "\\xff\\xfeA\\\\xff")

    @given(st.binary())
    def test_oneReversibleLine(self, data: bytes) -> None:
        """Any data becomes one printable line, and different data different lines."""
        text = escaped(data)
        self.assertTrue(text.isprintable())
        self.assertLessEqual(len(text.splitlines()), 1)
        if data.isascii():
            self.assertEqual(text.encode("ascii").decode("unicode_escape").encode("ascii"), data)

    def test_str(self) -> None:
        """Text is escaped in the same way, including lone surrogates."""
        self.assertEqual(escaped("a\nb\ud800\u202e"), "a\\nb\\ud800\\u202e")


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
