"""What every test starts from: a fixed seed, no display, and the same property-based examples each run."""

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
