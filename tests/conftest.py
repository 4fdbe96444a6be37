"""What every test starts from: a fixed seed, no display, and the same property-based examples each run."""

import os
import sys
from collections.abc import Iterator

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
