"""The option tables in ``docs/`` match the options."""

from __future__ import annotations

import re
import runpy

from twisted.trial.unittest import SynchronousTestCase

from echoproto.cli.exitcodes import (
    ASSERTION_FAILED,
    INTERRUPTED,
    LOCAL_ERROR,
    NO_REPLY,
    OK,
    WRONG_BYTES,
)
from echoproto.cli.main import COMMANDS, importCommand
from echoproto.cli.serve import ServeOptions
from echoproto.conformance.suite import CHECKS
from echoproto.monitor.values import PARSERS
from echoproto.protocols.admission.refusals import Refusal
from echoproto.protocols.observer import DatagramTotals
from echoproto.server.commandline.options import Options
from echoproto.server.monitoring.counters import ListenerCounters, MonitoredListener
from echoproto.server.monitoring.metrics import WorkerCounts, exposition
from echoproto.status.histogram import Histogram
from tests.hostile.figures import ATTACKS
from tests.loopback.program import ROOT
from tests.monitor.test_metrics import monitorPage

#: Options with a section of their own instead of a row.
IN_TEXT = {"greeting", "tls-cert", "tls-key", "tls-client-ca", "status"}

#: Options of ``twistd`` itself, which precede those of echoproto.
TWISTD = {"logfile", "logger", "pidfile", "syslog"}


def longOptions(command: str) -> set[str]:
    """The long options of a command."""
    parameters = importCommand(command).params
    return {option for found in parameters for option in found.opts if option.startswith("--")}


#: The long options of the measuring commands; ``serve``, ``health`` and ``monitor`` have other
#: pages.
OPTIONS = {option for name in set(COMMANDS) - {"health", "monitor"} for option in longOptions(name)}


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def rows() -> dict[str, list[str]]:
    """The cells of the option tables, by option."""
    found = {}
    for line in page("docs/operation.md").splitlines():
        if line.startswith("| `--"):
            option, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            for name in re.findall(r"--([a-z-]+)", option):
                found[name] = cells
    return found


class LogTests(SynchronousTestCase):
    def test_everything(self) -> None:
        """The page of the log names every event and every reason of a refusal."""
        text = page("docs/reference/log.md")
        source = "".join(path.read_text() for path in ROOT.glob("echoproto/server/**/*.py"))
        events = set(re.findall(r'(?:event=|_write\(\s*)"([a-z ]+)"', source))
        self.assertIn("log errors", events)
        names = events | {refusal.value for refusal in Refusal}
        self.assertEqual([name for name in names if f"`{name}`" not in text], [])


class OperationTests(SynchronousTestCase):
    def test_allOptions(self) -> None:
        """Every option has a row with its default, its unit or effect, and a reason."""
        table = rows()
        defaults = {option.name: option.default for option in ServeOptions.parameters}
        self.assertEqual(defaults.keys() - IN_TEXT - table.keys(), set())
        for name, default in defaults.items():
            if name not in IN_TEXT and default is not None:
                self.assertEqual(table[name][0].split(" ")[0], default, name)
        self.assertTrue(all(len(cells) == 3 and all(cells) for cells in table.values()))

    def test_optionsInText(self) -> None:
        """The options without a row are in the text."""
        text = page("docs/operation.md")
        self.assertEqual([name for name in IN_TEXT if f"`--{name}" not in text], [])

    def test_unknownOptions(self) -> None:
        """The pages name no unknown option."""
        # Includes those of twistd echoproto.
        usage = ServeOptions().getUsage(80)
        usage += " ".join(OPTIONS) + " --ready"
        for name in ("docs/operation.md", "docs/measuring.md", "SECURITY.md", "README.md"):
            for option in set(re.findall(r"`--([a-z-]+)", page(name))) - TWISTD:
                self.assertIn(f"--{option}", usage, name)

    def test_measuring(self) -> None:
        """Every option of a measuring command, and every exit status, is on the page."""
        text = page("docs/measuring.md")
        # Explained by its example in the help.
        missing = {option for option in OPTIONS if option not in text} - {"--message", "--help"}
        self.assertEqual(missing, set())
        for status in (OK, NO_REPLY, LOCAL_ERROR, WRONG_BYTES, ASSERTION_FAILED, INTERRUPTED):
            self.assertIn(f"\n| {status} | ", text)

    def test_monitor(self) -> None:
        """Every option, key and metric of the monitor is on its page."""
        text = page("docs/monitor.md")
        metrics = re.findall(r"^# TYPE (\w+)", monitorPage(), re.MULTILINE)
        for name in (*longOptions("monitor") - {"--help"}, "url", *PARSERS, *metrics):
            self.assertIn(f"`{name}", text)

    def test_metrics(self) -> None:
        """Every metric of a server with all kinds of listeners, and workers, is on its page."""
        listeners = [
            MonitoredListener("greeting", "tcp", ListenerCounters()),
            MonitoredListener("echo", "udp", ListenerCounters(), datagrams=DatagramTotals),
        ]
        listeners[0].counts.faults["delay"] = 0
        shown = exposition(listeners, False, Histogram([1.0]), workers=WorkerCounts(0, 0)).decode()
        metrics = re.findall(r"# HELP (\S+) (.*)\n# TYPE \S+ (\S+)", shown)
        rows = [f"| `{metric}` | {kind} | {text} |" for metric, text, kind in metrics]
        table = [line for line in page("docs/reference/metrics.md").splitlines() if "| `" in line]
        self.assertEqual(table, rows)

    def test_commands(self) -> None:
        """Every command has a page on the site, which has all of its options."""
        pages = {path.stem for path in (ROOT / "docs" / "commands").iterdir()}
        self.assertEqual(pages, {*COMMANDS, "echoproto", "twistd", "index"})
        expand = runpy.run_path(str(ROOT / "docs" / "generated.py"))["expand"]
        for name in COMMANDS:
            text = expand(page(f"docs/commands/{name}.md"))
            for parameter in importCommand(name).params:
                for option in parameter.opts if parameter.param_type_name == "option" else ():
                    self.assertRegex(text, rf":::{{option}} .*{option}\b", name)
        for name, options in (("serve", ServeOptions), ("twistd", Options)):
            text = expand(page(f"docs/commands/{name}.md"))
            for serverOption in options.parameters:
                self.assertIn(f"--{serverOption.name}", text)

    def test_index(self) -> None:
        """Every page is in the contents of the site."""
        index = page("docs/index.md")
        names = {path.relative_to(ROOT / "docs") for path in ROOT.glob("docs/**/*.md")}
        pages = {str(name.with_suffix("")) for name in names if name.parts[0] != "commands"}
        self.assertEqual({name for name in pages - {"index"} if name not in index}, set())

    def test_conformance(self) -> None:
        """The table of servers contains every check."""
        found = page("docs/conformance.md")
        rows = [f"| {check.carrier} {check.name} |" for check in CHECKS]
        self.assertEqual([row for row in rows if row not in found], [])

    def test_reliability(self) -> None:
        """The table of results contains every attack."""
        found = page("docs/reliability.md")
        self.assertEqual([attack for attack in ATTACKS if f"| {attack} |" not in found], [])
