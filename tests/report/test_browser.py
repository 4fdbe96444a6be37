"""A report in a real browser: nothing is loaded, nothing fails, figures have a size, sorting works."""

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
