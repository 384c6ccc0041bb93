"""JUnit's XML, which CI servers show as test results: each check and step is a test case."""

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from xml.etree import ElementTree

from ..wording import as_called
from .results import Result

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML may not contain in any form (XML 1.0, "Characters")."""


def junit(task: str, database: str, results: Sequence[Result]) -> str:
    """The results as the text of an XML file."""
    number = {
        status: sum(one.status == status for one in results)
        for status in ("fail", "error", "skipped")
    }
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        suites,
        "testsuite",
        name=f"abathur-schema {task}",
        tests=str(len(results)),
        failures=str(number["fail"]),
        errors=str(number["error"]),
        skipped=str(number["skipped"]),
        time=f"{sum(one.seconds for one in results):.3f}",
        timestamp=f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%S}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    ElementTree.SubElement(properties, "property", name="database", value=database)
    for result in results:
        _case(suite, task, result)
    for element in suites.iter():
        element.text = _legal(element.text or "")
        element.attrib.update({key: _legal(value) for key, value in element.attrib.items()})
    ElementTree.indent(suites)
    text: str = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'


def _case(suite: ElementTree.Element, task: str, result: Result) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"{task}.{result.kind}",
        name=result.name,
        time=f"{result.seconds:.3f}",
    )
    lines = "\n".join(
        f"{finding.place.path}:{finding.place.line}: {finding.text}"
        if finding.place
        else finding.text
        for finding in result.findings
    )
    if result.status in ("fail", "error"):
        wrong = ElementTree.SubElement(
            case,
            "failure" if result.status == "fail" else "error",
            message=result.findings[0].text if result.findings else result.name,
            type=result.kind,
        )
        wrong.text = "\n".join(filter(None, (lines, as_called(result.remedy))))
    elif result.status == "skipped":
        ElementTree.SubElement(case, "skipped")
    elif lines:
        ElementTree.SubElement(case, "system-out").text = lines


def _legal(text: str) -> str:
    return _ILLEGAL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
