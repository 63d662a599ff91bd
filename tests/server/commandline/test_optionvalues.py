from __future__ import annotations

from math import inf

from twisted.trial.unittest import SynchronousTestCase

from echoproto.server.commandline.optionvalues import (
    MAX_USER_TIMEOUT,
    orInfinity,
    parseFaultPlan,
    parseGreeting,
    parseInterface,
    parseMaximum,
    parseUserTimeout,
    parseWhenFull,
)


class OptionValuesTests(SynchronousTestCase):
    def test_greeting(self) -> None:
        """The greeting is encoded as UTF-8; it fits a datagram and is not empty."""
        self.assertEqual(parseGreeting("Gr\u00fc\u00df dich"), "Gr\u00fc\u00df dich".encode())
        self.assertEqual(parseGreeting("\udcff"), b"\xff")
        for text in ("", "x" * 65_508):
            self.assertRaises(ValueError, parseGreeting, text)

    def test_interface(self) -> None:
        """An interface is a numeric address."""
        self.assertEqual(list(map(parseInterface, ("::1", "127.0.0.1"))), ["::1", "127.0.0.1"])
        error = self.assertRaises(ValueError, parseInterface, "eth0")
        self.assertEqual(
            str(error), "invalid address 'eth0' (numeric, such as 192.0.2.1; not a name)"
        )

    def test_numbers(self) -> None:
        """A maximum is at least 1; a limit of 0 is infinite."""
        self.assertEqual(parseMaximum("3"), 3)
        self.assertRaises(ValueError, parseMaximum, "0")
        self.assertEqual((orInfinity(float)("0"), orInfinity(float)("2")), (inf, 2))

    def test_faults(self) -> None:
        """Faults have their own form."""
        self.assertEqual(parseFaultPlan("loss=1%").loss, 0.01)

    def test_whenFull(self) -> None:
        """A full server refuses or waits."""
        self.assertEqual([parseWhenFull(text) for text in ("refuse", "wait")], [False, True])
        self.assertRaises(ValueError, parseWhenFull, "panic")

    def test_userTimeout(self) -> None:
        """The user timeout is at most the kernel's maximum, or never."""
        self.assertEqual((parseUserTimeout("0"), parseUserTimeout("1m")), (inf, 60))
        self.assertRaises(ValueError, parseUserTimeout, str(MAX_USER_TIMEOUT + 1))
