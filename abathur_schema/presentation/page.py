"""The page: all that is known about a database, as one HTML file that needs nothing else.

What it shows is a JSON value (`page_data`), which a template renders. The file loads nothing: its
Content-Security-Policy allows the one style and the one script inside it, by their hashes.
"""

import os
import sys
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..wording import as_called, size
from .diagram import LINE, draw, short
from .growth import HEIGHT, WIDTH, chart
from .tables import Document

if TYPE_CHECKING:
    from jinja2 import BytecodeCache


def render(data: Document) -> str:
    """The page of `page_data`, by a template engine that only this task imports."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup, escape

    def code(text: str) -> Markup:
        """The text, with what stands between backticks as code."""
        parts = as_called(text).split("`")
        if len(parts) % 2 == 0:
            return escape(text)
        marked = (
            Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
            for place, part in enumerate(parts)
        )
        return Markup("").join(marked)

    engine = Environment(
        loader=FileSystemLoader(FOLDER),
        bytecode_cache=_cache(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    engine.filters |= {"code": code, "size": size, "number": number}
    engine.filters |= {"ms": milliseconds, "short": short}
    style, script = ((FOLDER / f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return engine.get_template("page.html").render(
        data=data,
        style=Markup(style),
        script=Markup(script),
        policy=f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)};"
        " base-uri 'none'; form-action 'none'",
        diagram=draw(data["tables"]),
        line_height=LINE,
        charts=charts(data),
        chart_width=WIDTH,
        chart_height=HEIGHT,
    )


FOLDER = Path(__file__).parent


def _cache() -> "BytecodeCache | None":
    """Keep the compiled template where Python keeps this module's bytecode, if it may: compiling it
    takes as long as all the rest of the page.
    """
    from jinja2.bccache import Bucket, FileSystemBytecodeCache

    class Kept(FileSystemBytecodeCache):
        def dump_bytecode(self, bucket: Bucket) -> None:
            with suppress(OSError):  # such as a full disk: the next run compiles it again
                super().dump_bytecode(bucket)

    folder = Path(cache_from_source(__file__)).parent
    if sys.dont_write_bytecode or not os.access(folder, os.W_OK):
        return None
    return Kept(str(folder))


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def charts(data: Document) -> list[tuple[str, Document]]:
    """The charts that have at least two values, each with its title."""
    wanted: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
        ("Size of the file", "bytes", size),
        ("Rows", "rows", number),
        ("Time", "ms", milliseconds),
    )
    found = []
    for title, what, write in wanted:
        if line := chart(data["growth"], what):
            written = {one: write(line[one]) for one in ("first", "last", "high")}
            found.append((title, {**line, "written": written}))
    return found


def number(value: int | None) -> str:
    """A number for people."""
    return "?" if value is None else f"{value:,}"


def milliseconds(value: float | None) -> str:
    """A time for people."""
    if value is None:
        return "?"
    return f"{value / 1000:,.1f} s" if value >= 1000 else f"{value:,.0f} ms"


def verdict(report: Document) -> Document:
    """The verdict of a report in one line, and what to do next."""
    failure, checks = report["failure"], report["checks"]
    failed = [check for check in checks if check["status"] == "fail"]
    context = report["orchestration_context"]
    if failure:
        state, line = "failed", f"{failure['step']} failed: {failure['error'].splitlines()[0]}"
    elif failed:
        state, line = "drift", f"{len(failed)} of {len(checks)} checks failed"
    elif checks:
        state, line = "well", f"All {len(checks)} checks passed"
    else:
        state, line = "well", report["human_readable_summary"]
    return {"state": state, "line": line, "next": context["next_recommended_action"]}
