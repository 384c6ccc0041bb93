"""The page in a real browser: what it looks like, and what it does when it is used."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.bundle import Bundle
from tests.support.commands import Invoke
from tests.support.pages import browser, only_page
from tests.test_show import MARKUP


@pytest.fixture(params=["well", "drift", "failed"])
def page(request: pytest.FixtureRequest, empty: Bundle, invoke: Invoke) -> Path:
    """The page of a database in one of the three states."""
    if request.param == "failed":
        empty.sql("CREATE VIEW audit AS SELECT 1")
    invoke("init")
    if request.param == "drift":
        empty.sql("DROP INDEX idx_agents_state; DROP TABLE metrics; CREATE TABLE notes (x)")
    named = [str(max(empty.reports.glob("*.json")))] if request.param == "failed" else []
    assert invoke("show", *named).returncode == 0
    return only_page(empty.reports)


def test_nothing_is_wider_than_the_screen(page: Path) -> None:
    with browser() as shown:
        shown.goto(page.as_uri())
        for details in shown.query_selector_all("details:not([open])"):
            details.evaluate("one => { one.open = true }")
        for width in (390, 820, 1440):
            shown.set_viewport_size({"width": width, "height": 900})
            for scheme in ("light", "dark"):
                shown.emulate_media(color_scheme=scheme)
                assert shown.evaluate("document.scrollingElement.scrollWidth") <= width
                verdict = shown.locator(".verdict .line").bounding_box()
                assert verdict
                assert verdict["y"] < 400


def test_table_in_the_diagram_opens_its_details(bundle: Bundle, invoke: Invoke) -> None:
    invoke("show")
    with browser() as shown:
        shown.goto(only_page(bundle.reports).as_uri())
        link = shown.locator("svg a.table", has_text="checkpoints").first
        details = shown.locator(str(link.get_attribute("href")))
        assert details.evaluate("one => one.open") is False
        link.click()
        assert details.evaluate("one => one.open") is True
        assert "The checkpoints that are old enough to drop" in details.inner_text()
        assert shown.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_diagram_is_moved_and_zoomed_by_mouse_and_keyboard(bundle: Bundle, invoke: Invoke) -> None:
    invoke("show")
    with browser() as shown:
        shown.goto(only_page(bundle.reports).as_uri())

        def view() -> list[float]:
            box = str(shown.locator(".diagram > svg").get_attribute("viewBox"))
            return [float(number) for number in box.split()]

        whole = view()
        shown.get_by_label("Zoom in").click()
        assert view()[2] < whole[2]
        shown.get_by_text("All", exact=True).click()
        assert view() == whole
        shown.locator(".diagram").focus()
        shown.keyboard.press("+")
        shown.keyboard.press("ArrowRight")
        assert view()[0] > whole[0]
        shown.keyboard.press("0")
        assert view() == whole
        drawing = shown.locator(".diagram > svg")
        drawing.scroll_into_view_if_needed()
        box = drawing.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + 100
        shown.mouse.move(x, y)
        shown.mouse.down()
        shown.mouse.move(x - 100, y - 50, steps=4)
        shown.mouse.up()
        assert view()[0] > whole[0]
        assert view()[1] > whole[1]


def test_page_is_whole_without_scripts_and_in_print(bundle: Bundle, invoke: Invoke) -> None:
    invoke("show")
    with browser() as shown:
        shown.route("**/*", lambda route: route.continue_())
        shown.goto(only_page(bundle.reports).as_uri())
        shown.emulate_media(media="print")
        assert shown.locator("nav").is_visible() is False
        assert shown.locator("svg a.table").count() == 9
        assert len(shown.pdf()) > 10_000


def test_markup_in_names_does_not_run(empty: Bundle, invoke: Invoke) -> None:
    with closing(sqlite3.connect(empty.path)) as connection:
        connection.execute(f'CREATE TABLE "{MARKUP}" ("{MARKUP}")')
    assert invoke("init").returncode == 0
    invoke("show")
    with browser() as shown:
        shown.goto(only_page(empty.reports).as_uri())
        assert shown.evaluate("window.pwned") is None
        assert shown.locator("img").count() == 0


def test_policy_refuses_what_is_not_ours(bundle: Bundle, invoke: Invoke) -> None:
    """What escaping would miss, the policy stops."""
    invoke("show")
    page = only_page(bundle.reports)
    changed = page.read_text("utf-8").replace("</main>", f"{MARKUP}</main>")
    page.write_text(changed, "utf-8")
    refused = pytest.raises(AssertionError, match="Content Security Policy")
    with refused, browser() as shown:
        shown.goto(page.as_uri())
        assert shown.evaluate("window.pwned") is None
