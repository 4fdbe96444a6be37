"""What every test starts from: a fixed seed, no display, and the same property-based examples each run."""

import importlib.resources
import multiprocessing
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from typing import Any

os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    """Make a test independent of the tests that ran before it in the same process."""
    # torch.manual_seed formats the stack for each kind of accelerator that is not there: a millisecond.
    torch.default_generator.manual_seed(0)
    # A test that compiles has turned them off.
    torch.distributions.Distribution.set_default_validate_args(True)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Close what a test has drawn."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


# What a fit imports, most of it late.
_IMPORTED = [
    "logpx.api",
    "logpx.cli",
    "logpx.cli.table_subject",
    "logpx.processes.link",
    "logpx.storage.together",
    "logpx.tables",
    "pandas",
    "pyarrow.compute",
    "pyarrow.csv",
    "pyarrow.parquet",
    "pytest",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.cluster",
    "torch._dynamo",
    "torch.distributed",
]


@pytest.fixture(scope="session")
def forking() -> ForkServerContext:
    """Start processes that have imported already what a fit needs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED)
    first = context.Process(target=int)
    first.start()
    first.join()
    return context


@pytest.fixture(scope="session")
def violations() -> Callable[..., list[str]]:
    """Return what axe-core finds wrong in an open page, light and dark; without axe-core, skip loudly."""
    try:
        source = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    except ImportError:
        pytest.skip("NOTHING WAS TESTED BY AXE-CORE: pip install axe-playwright-python")

    def found(page: Any) -> list[str]:
        page.evaluate(source)
        wrong = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for one in page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]:
                places = ", ".join(str(node["target"]) for node in one["nodes"][:3])
                wrong.append(f"{scheme}: {one['impact']}: {one['help']}: {places}")
        page.emulate_media(color_scheme="light")
        return wrong

    return found


_TO_REACH = """[...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled)
    .map((one) => one.outerHTML.slice(0, 200))"""
_FOCUSED = """(() => {
    const one = document.activeElement, looks = getComputedStyle(one);
    if (one === document.body) return null;
    const seen = looks.outlineStyle !== "none" && parseFloat(looks.outlineWidth) > 0;
    return [one.outerHTML.slice(0, 200), seen];
})()"""


@pytest.fixture(scope="session")
def walked() -> Callable[[Any], None]:
    """Go through an open page by the Tab key: all there is to press is reached, and shows the focus."""

    def walk(page: Any) -> None:
        # From the top, wherever the focus was.
        page.evaluate("document.body.tabIndex = -1; document.body.focus()")
        wanted, reached = page.evaluate(_TO_REACH), []
        for _ in range(2 * len(wanted) + 10):
            page.keyboard.press("Tab")
            focused = page.evaluate(_FOCUSED)
            if focused is None:
                break
            reached.append(focused[0])
            assert focused[1], f"no sign of the focus: {focused[0]}"
        assert [one for one in wanted if one not in reached] == []

    return walk


@pytest.fixture(scope="module")
def opened_page() -> Iterator[Callable[..., Any]]:
    """Open addresses in a real browser, and keep what pages say and ask for; without one, skip loudly."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    missing = (
        "NOTHING WAS TESTED IN A BROWSER: install playwright and chromium "
        "(pip install 'logpx[browser]', and the system's package chromium)"
    )
    found = next(filter(None, map(shutil.which, names)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip(missing)
    if found is None:
        pytest.skip(missing)
    with warnings.catch_warnings(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])

        def opened(address: str, width: int, height: int) -> Any:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.said, page.asked = [], []
            page.on("console", lambda message: page.said.append(message.text))
            page.on("pageerror", lambda error: page.said.append(str(error)))
            page.on("dialog", lambda dialog: page.said.append(dialog.message))
            page.on("request", lambda request: page.asked.append(request.url))
            page.goto(address)
            return page

        yield opened
        browser.close()
