"""HTML pages: what is in them, and how a real browser shows them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

ALONE = ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source")


class Parsed(HTMLParser):
    """The elements and text of a page; `wrong` are tags that do not match."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.wrong: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ALONE:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@contextmanager
def browser() -> Iterator["Page"]:
    """A page in a headless Chromium. The test fails if anything is printed on its console, or asked
    of the network.
    """
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("needs Chromium")
    sync = pytest.importorskip("playwright.sync_api")
    arguments = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    arguments += ["--disable-background-networking", "--disable-component-update"]
    wrong: list[str] = []
    with sync.sync_playwright() as play:
        process = play.chromium.launch(executable_path=chromium, args=arguments)
        try:
            page = process.new_page(viewport={"width": 1280, "height": 900})
            page.on("console", lambda message: wrong.append(message.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on(
                "request",
                lambda one: None if one.url.startswith("file:") else wrong.append(one.url),
            )
            yield page
        finally:
            process.close()
    assert not wrong, wrong


def only_page(folder: Path) -> Path:
    """The one page in a reports folder."""
    (page,) = folder.glob("*.html")
    return page
