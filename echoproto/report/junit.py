"""
Results of conformance checks in the XML of JUnit, which CI systems show.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from echoproto.conformance.results import CheckResult, CheckVerdict, ConformanceResult
from echoproto.report.documents.origin import Origin
from echoproto.text.untrusted import escaped


def junitText(result: ConformanceResult, origin: Origin) -> str:
    """
    A test suite with a test case for each check; its class is the carrier.

    :param origin: where, when and how it was measured; its labels become properties.
    """
    durations = [found.duration for found in result.results]
    suite = Element(
        "testsuite",
        name=escaped(f"echoproto conformance {result.target}"),
        timestamp=origin.began,
        hostname=escaped(origin.host),
        tests=str(len(durations)),
        failures=str(len(result.failed)),
        errors="0",
        skipped=str(result.count(CheckVerdict.SKIPPED)),
        time=_seconds(sum(durations)),
    )
    properties = SubElement(suite, "properties")
    versions = {"echoproto": origin.echoproto, "python": origin.python}
    for name, value in {**versions, **origin.labels}.items():
        SubElement(properties, "property", name=escaped(name), value=escaped(value))
    for found in result.results:
        _addCase(suite, found)
    indent(suite)
    return tostring(suite, encoding="unicode", xml_declaration=False)


def _addCase(suite: Element, found: CheckResult) -> None:
    check = found.check
    time = _seconds(found.duration)
    case = SubElement(suite, "testcase", classname=check.carrier, name=check.name, time=time)
    # XML cannot hold control characters, so that the text of a server is escaped.
    reason = escaped(found.reason)
    if found.verdict is CheckVerdict.FAILED:
        code = "" if found.code is None else found.code.value
        failure = SubElement(case, "failure", message=reason, type=code)
        failure.text = f"{check.description} ({check.source})"
    elif found.verdict is CheckVerdict.SKIPPED:
        SubElement(case, "skipped", message=reason)


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.3f}"
