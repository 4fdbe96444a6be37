"""The page of `logpx explore` in a browser: nothing fails, nothing leaves, a held column moves the others."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch

import logpx
from logpx import flows
from logpx.explore import Server, explorer_of
from logpx.images import ImageModel


@pytest.fixture
def page(opened_page):
    random = np.random.default_rng(0)
    a = random.normal(size=400)
    names = {"a": a, "<b>": 3.0 * a + random.normal(size=400), "c": np.where(a > 0, "up", "down")}
    server = Server(explorer_of(logpx.fit("gmm", pd.DataFrame(names), components=4, max_time=5).model))
    threading.Thread(target=server.run, daemon=True).start()
    page = opened_page(server.address, 900, 900)
    page.wait_for_selector("#cards article svg rect")
    return page


@pytest.mark.enable_socket
def test_holding_a_column_moves_the_others_and_a_row_is_explained(page) -> None:
    from playwright.sync_api import expect

    card = page.locator("#cards article").nth(1)
    assert card.locator("h3").text_content() == "<b>"
    before = card.locator(".between").text_content()
    page.locator("input[type=range][aria-label='a']").focus()
    page.keyboard.press("End")
    # Functions that a page evaluates are against its own policy; these expectations are not.
    expect(card.locator(".between")).not_to_have_text(before)
    assert page.locator("#fixed").text_content().startswith("Fixed: a = ")
    page.wait_for_selector("#samples tbody button")
    page.locator("#samples tbody button").first.click()
    page.wait_for_selector("#answer strong")
    assert "nats" in page.locator("#answer strong").text_content()
    page.locator("#row input[name='c']").fill("sideways")
    page.locator("#ask").click()
    expect(page.locator("#problem")).to_contain_text("sideways")
    errors = [text for text in page.said if "400" not in text]
    assert errors == []
    assert all(url.startswith(("http://127.0.0.1:", "data:")) for url in page.asked)


@pytest.mark.enable_socket
def test_keys_reach_everything_and_read_bars_and_nothing_is_wrong_to_axe(page, walked, violations) -> None:
    from playwright.sync_api import expect

    page.wait_for_selector("#samples tbody button")
    expect(page.locator("#cards .labels")).to_have_count(1)
    walked(page)
    chart, reading = page.locator("#cards svg[role=img]").first, page.locator("#cards .reading").first
    chart.focus()
    page.keyboard.press("ArrowRight")
    expect(reading).to_contain_text("%")
    before = reading.text_content()
    page.keyboard.press("ArrowRight")
    expect(reading).not_to_have_text(before)
    page.keyboard.press("Escape")
    expect(reading).to_have_text("")
    assert violations(page) == []
    assert page.said == []


@pytest.mark.enable_socket
def test_moving_z_moves_the_row_that_it_stands_for_and_no_slider_covers_another(opened_page) -> None:
    from playwright.sync_api import expect

    random = np.random.default_rng(0)
    x = random.normal(size=(300, 3)) @ random.normal(size=(3, 5)) + 0.3 * random.normal(size=(300, 5))
    model = logpx.fit("ppca", dict(zip("abcde", x.T, strict=True)), latent=3, max_steps=20).model
    server = Server(explorer_of(model))
    threading.Thread(target=server.run, daemon=True).start()
    page = opened_page(server.address, 900, 900)
    page.wait_for_selector("#decoded td")
    before = page.locator("#decoded").text_content()
    page.locator("#sliders input").first.focus()
    page.keyboard.press("End")
    expect(page.locator("#decoded")).not_to_have_text(before)
    for width in (900, 360):
        page.set_viewport_size({"width": width, "height": 800})
        labels = [one.bounding_box() for one in page.locator("#sliders label").all()]
        for label, place in zip(labels, range(len(labels)), strict=True):
            slider = page.locator("#sliders input").nth(place).bounding_box()
            value = page.locator("#sliders output").nth(place).bounding_box()
            assert slider["x"] + slider["width"] <= value["x"] + 1
            assert value["x"] + value["width"] <= label["x"] + label["width"] + 1
    assert page.said == []


@pytest.mark.enable_socket
def test_of_many_columns_the_first_are_drawn_and_the_others_are_found_by_name(opened_page) -> None:
    from playwright.sync_api import expect

    random = np.random.default_rng(0)
    table = {f"m{place:02d}": random.normal(size=80) for place in range(70)}
    server = Server(explorer_of(logpx.fit("gaussian", table).model))
    threading.Thread(target=server.run, daemon=True).start()
    page = opened_page(server.address, 900, 900)
    expect(page.locator("#cards svg")).to_have_count(60)
    assert page.locator("#found").text_content() == "60 of 70 columns are shown: find others by their names."
    page.locator("#filter").fill("m69")
    expect(page.locator("#cards article:visible svg")).to_have_count(1)
    assert page.locator("#found").text_content() == ""
    assert page.said == []


@pytest.mark.enable_socket
def test_the_page_of_images_is_walked_by_keys_and_nothing_is_wrong_to_axe(
    opened_page, walked, violations
) -> None:
    from playwright.sync_api import expect

    torch.manual_seed(0)
    model = ImageModel(flows.RealNVP((1, 8, 8), layers=2, hidden=(4,), context=2), classes=["p", "<b>"])
    server = Server(explorer_of(model.eval()))
    threading.Thread(target=server.run, daemon=True).start()
    page = opened_page(server.address, 900, 900)
    expect(page.locator("#gallery canvas")).to_have_count(24)
    walked(page)
    assert violations(page) == []
    assert page.said == []
