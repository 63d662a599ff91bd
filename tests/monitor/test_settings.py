from __future__ import annotations

import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from echoproto.client.targets.connectoptions import ConnectOptions
from echoproto.client.targets.target import parseTarget
from echoproto.errors import StartupError
from echoproto.monitor.settings import BUCKETS, TargetSettings, loadSettings, summaryOf
from echoproto.text.units import SECOND


def settingsOf(
    url: str = "udp://127.0.0.1:7",
    interval: int = SECOND,
    wait: int = 2 * SECOND,
    size: int = 64,
    buckets: tuple[float, ...] = BUCKETS,
    reconnect: bool = False,
    lookup: float = 60.0,
) -> TargetSettings:
    """Settings of a target for tests."""
    connect = ConnectOptions(lookupLifetime=lookup)
    return TargetSettings(parseTarget(url), (), interval, wait, size, buckets, reconnect, connect)


class SettingsTests(SynchronousTestCase):
    def load(self, text: str) -> list[TargetSettings]:
        self.path = Path(self.mktemp())
        self.path.write_text(text)
        return loadSettings(str(self.path))

    def test_defaults(self) -> None:
        """A target needs only a URL."""
        [found] = self.load('[[target]]\nurl = "udp://127.0.0.1:7"')
        self.assertEqual(found, settingsOf())
        self.assertEqual(found.key, (("target", "udp://127.0.0.1:7"),))

    def test_keys(self) -> None:
        """Keys at the top are defaults; a target has its own, and the labels of both."""
        authorities = Path(self.mktemp())
        authorities.touch()
        first, second, third = self.load(
            f"""
            interval = "100ms"
            labels = {{ site = "lab", role = "edge" }}
            [[target]]
            url = ["udp://lab1:7", "lab2"]
            labels = {{ role = "core" }}
            [[target]]
            url = "tls://lab3:7"
            interval = 5
            wait = "1s"
            size = 100
            buckets = [0.5, 1]
            reconnect = true
            lookup = "2m"
            family = 6
            source = "::1"
            ca = "{authorities}"
            insecure = true
            """
        )
        labels = (("role", "core"), ("site", "lab"))
        self.assertEqual(first.key, (("target", "udp://lab1:7"), *labels))
        self.assertEqual((second.target.text, second.interval), ("tcp://lab2:12345", SECOND // 10))
        self.assertEqual((third.interval, third.wait, third.size), (5 * SECOND, SECOND, 100))
        self.assertEqual((third.buckets, third.reconnect), ((0.5, 1.0), True))
        self.assertEqual(
            third.connect,
            ConnectOptions(socket.AF_INET6, "::1", str(authorities), False, lookupLifetime=120.0),
        )
        self.assertEqual(summaryOf([first, third]), "2 targets, 10.2 probes per second")
        self.assertEqual(summaryOf([first]), "1 target, 10 probes per second")

    def test_faults(self) -> None:
        """A fault is one line: the file, the target, the cause and the remedy."""
        for text, message in (
            ("x = ", ": invalid TOML: "),
            ("", ': no target; add [[target]] and url = "udp://HOST:PORT"'),
            ("target = 3", ": target: each target is a table [[target]]"),
            ("[target]\nurl = 'a'", ": target: each target is a table [[target]]"),
            ("intervall = 1", ": unknown key 'intervall'; did you mean interval?"),
            ("url = 'udp://a'", ": url: belongs under [[target]]"),
            ("[[targets]]", ": unknown key 'targets'; did you mean [[target]]?"),
            ("qqq = 1", ": unknown key 'qqq' (known: buckets, ca, family, "),
            ("wait = 'x'", ": wait: invalid duration 'x'"),
            ("[[target]]", ": target 1 (without a url): url: missing or not text"),
            ("[[target]]\nurl='a'\nsize='b'", ": target 1 (a): size: invalid size 'b'"),
            ("[[target]]\nurl='x://a'", ": target 1 (x://a): 'x://a': unknown scheme 'x'"),
            ("[[target]]\nurl='a'\nsize=0", ": target 1 (a): size: an empty probe has no echo"),
            ("[[target]]\nurl=['a', 'tcp://a']", "the same target again; a label can"),
            ("x=" + "[" * 3000 + "]" * 3000, ": lists or tables are nested too deeply"),
            ("interval=" + "9" * 400, " is out of range (0.001 to 86400 s)"),
            ("[[target]]\nurl='-'", ": invalid host '-' (a name or a numeric address)"),
            ('[[target]]\nurl="a\\u0000"', ": invalid host "),
            ("[[target]]\nurl='unix:///%00'", ": a path has no NUL character"),
            ("[[target]]\nurl='10.0.0.1'\nfamily=6", "6, but 10.0.0.1 is an IPv4 address"),
            ('[[target]]\nurl="\\n\\u001b[m"', r": target 1 (\n\x1b[m): "),
            ("[[target]]\nurl='" + "a" * 9999 + "?'", "examples: lab1, lab1:7, "),
        ):
            with self.assertRaises(StartupError) as caught:
                self.load(text)
            line = str(caught.exception)
            self.assertTrue(line.startswith(f"{self.path}: "), line)
            self.assertIn(message, line)
            self.assertTrue(line.isprintable(), line)
            self.assertLess(len(line), 600)

    def test_hosts(self) -> None:
        """A host is a name, or an address of the family; a UNIX socket has neither."""
        for url in ("lab-1.example_a", "[::1]:7", "udp://[fe80::1%eth0]", "müller", "unix://@a"):
            [found] = self.load(f"family = 6\n[[target]]\nurl = '{url}'")
            self.assertEqual(found.target, parseTarget(url))

    def test_unreadable(self) -> None:
        """A file that cannot be read, or is not text, is one line."""
        with self.assertRaisesRegex(StartupError, "^nowhere: No such file or directory$"):
            loadSettings("nowhere")
        path = Path(self.mktemp())
        path.write_bytes(b"\xff")
        with self.assertRaisesRegex(StartupError, f"^{path}: .*codec can't decode"):
            loadSettings(str(path))
        with self.assertRaisesRegex(StartupError, "^/dev/zero: not a regular file$"):
            loadSettings("/dev/zero")
        with self.assertRaisesRegex(StartupError, r"^a\\nb: No such file or directory$"):
            loadSettings("a\nb")
