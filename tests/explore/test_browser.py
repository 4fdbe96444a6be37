"""The page of `logpx explore` in a browser: nothing fails, nothing leaves, a held column moves the others."""

import shutil
import threading
import warnings

import numpy as np
import pandas as pd
import pytest

import logpx
from logpx.explore import Server, explorer_of

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = (
    "THE PAGE OF logpx explore WAS NOT TESTED IN A BROWSER: install playwright and chromium "
    "(pip install 'logpx[browser]', and the system's package chromium)"
)


@pytest.fixture
def page():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip(MISSING)
    if found is None:
        pytest.skip(MISSING)
    random = np.random.default_rng(0)
    a = random.normal(size=400)
    names = {"a": a, "<b>": 3.0 * a + random.normal(size=400), "c": np.where(a > 0, "up", "down")}
    server = Server(explorer_of(logpx.fit("gmm", pd.DataFrame(names), components=4, max_time=5).model))
    threading.Thread(target=server.run, daemon=True).start()
    with warnings.catch_warnings(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 900, "height": 900})
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(server.address)
        page.wait_for_selector("#cards article svg rect")
        yield page
        browser.close()


@pytest.mark.enable_socket
def test_holding_a_column_moves_the_others_and_a_row_is_explained(page) -> None:
    card = page.locator("#cards article").nth(1)
    assert card.locator("h3").text_content() == "<b>"
    before = card.locator(".between").text_content()
    page.locator("input[type=range][aria-label='a']").focus()
    page.keyboard.press("End")
    moved = "before => document.querySelectorAll('.between')[1].textContent !== before"
    page.wait_for_function(moved, arg=before)
    assert page.locator("#fixed").text_content().startswith("Fixed: a = ")
    page.wait_for_selector("#samples tbody button")
    page.locator("#samples tbody button").first.click()
    page.wait_for_selector("#answer strong")
    assert "nats" in page.locator("#answer strong").text_content()
    page.locator("#row input[name='c']").fill("sideways")
    page.locator("#ask").click()
    page.wait_for_function("document.getElementById('problem').textContent.includes('sideways')")
    errors = [text for text in page.said if "400" not in text]
    assert errors == []
    assert all(url.startswith(("http://127.0.0.1:", "data:")) for url in page.asked)
