"""Fits that end after steps rather than seconds."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def steps() -> Callable[[int], dict[str, Any]]:
    """Return what makes arguments of a fit that end each training after so many steps."""

    def every(most: int) -> dict[str, Any]:
        asked = itertools.count(1)
        # An hour would pay for compiling.
        return {"max_time": 3600, "compile": False, "should_stop": lambda: next(asked) % most == 0}

    return every
