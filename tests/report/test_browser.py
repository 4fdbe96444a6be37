"""A report in a real browser: nothing is loaded, nothing fails, figures have a size, sorting works."""

import re
from pathlib import Path

import pytest

from logpx.report import write_report


@pytest.fixture(scope="module")
def page(opened_page, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    # Only where there is a browser.
    folder: Path = request.getfixturevalue("folder")
    path = tmp_path_factory.mktemp("browser") / "report.html"
    write_report(folder / "model", path, str(folder / "new.csv"))
    return opened_page(path.as_uri(), 1000, 800)


def test_nothing_fails_and_nothing_is_asked_for(page):
    page.wait_for_timeout(200)
    assert page.said == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert len([url for url in page.asked if url.startswith("file:")]) == 1
    assert page.title().endswith("report")


def test_figures_have_a_size(page):
    boxes = page.eval_on_selector_all(
        "figure svg", "all => all.map(one => one.getBoundingClientRect()).map(b => [b.width, b.height])"
    )
    assert len(boxes) >= 8
    assert all(width > 200 and height > 80 for width, height in boxes)


def test_tables_are_sorted_by_click_and_by_key(page):
    column = "#anomalies tbody tr td:nth-child(2)"
    numbers = "all => all.map(one => Number(one.textContent.replaceAll(',', '')))"
    head = page.locator("#anomalies thead button").nth(1)
    head.click()
    rising = page.eval_on_selector_all(column, numbers)
    assert rising == sorted(rising)
    assert page.locator("#anomalies thead th").nth(1).get_attribute("aria-sort") == "ascending"
    head.focus()
    page.keyboard.press("Enter")
    falling = page.eval_on_selector_all(column, numbers)
    assert falling == sorted(rising, reverse=True)
    assert len(set(rising)) > 1


def test_space_sorts_too(page):
    head = page.locator("#anomalies thead button").nth(2)
    head.focus()
    page.keyboard.press("Space")
    cell = page.locator("#anomalies thead th").nth(2)
    assert cell.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert cell.get_attribute("aria-sort") == "descending"
    assert page.locator("#anomalies [aria-sort]").count() == 1


def test_everything_is_reached_by_the_tab_key(page, walked):
    walked(page)


def test_arrow_keys_read_values(page):
    drawing = page.locator("#quality figure .drawing").first
    drawing.focus()
    page.keyboard.press("ArrowRight")
    shown = page.locator("#readout")
    assert shown.is_visible()
    assert shown.get_attribute("aria-live") == "polite"
    before = shown.text_content()
    assert "log p" in before
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert shown.text_content() != before
    assert drawing.locator(".mark").count() == 1
    page.keyboard.press("Escape")
    assert not shown.is_visible()
    assert drawing.locator(".mark").count() == 0


def test_arrow_keys_go_from_panel_to_panel(page):
    drawing = page.locator("#columns .drawing, #samples .drawing").first
    drawing.focus()
    said = set()
    for _ in range(120):
        page.keyboard.press("ArrowRight")
        said.add(page.locator("#readout").text_content().partition(":")[0])
    assert len(said) > 1
    page.keyboard.press("Escape")


def test_figures_say_what_their_axes_show(page):
    names = page.eval_on_selector_all(
        ".drawing svg[data-panels]:not([data-panels='[]'])", "all => all.map(one => one.ariaLabel)"
    )
    assert len(names) >= 8
    assert all(re.search(r" from \S+ to \S+[;.]", name) or ": " in name for name in names)


def test_nothing_is_wrong_to_axe(page, violations):
    assert violations(page) == []


def test_pointing_reads_values(page):
    drawing = page.locator("#quality figure svg").first
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    shown = page.locator("#readout")
    assert shown.is_visible()
    assert "log p" in shown.text_content()
    page.mouse.move(2, 2)
    assert not shown.is_visible()


def test_figures_are_enlarged_and_put_back_by_escape(page):
    page.locator(".enlarge").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog").evaluate("one => one.open")
    assert page.locator("dialog svg").bounding_box()["width"] > 600
    page.keyboard.press("Escape")
    assert not page.locator("dialog").evaluate("one => one.open")


def test_page_fits_a_phone(page):
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1000, "height": 800})


def test_everything_to_press_has_a_name(page):
    unnamed = page.eval_on_selector_all(
        "button, a, [role=region], [role=img], [role=group]",
        "all => all.filter(one => !(one.getAttribute('aria-label') || one.textContent).trim()).length",
    )
    assert unnamed == 0
    assert page.locator("h1").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
