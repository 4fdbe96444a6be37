"""The Venn diagram: which maps are invertible, which have a triangular Jacobian, which are both."""

import runpy
from pathlib import Path

import pytest
import torch

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "examples/invertible_maps.py"))

# A triangular map whose diagonal is positive is invertible: the both are where the two sets meet.
BOTH, INVERTIBLE, TRIANGULAR, NEITHER = (
    (True, True, True),
    (True, False, False),
    (False, True, False),
    (False, False, False),
)
EXPECTED = {
    "Tanh": BOTH,
    "ActNorm": BOTH,
    "coupling\n(RealNVP)": BOTH,
    "autoregressive\n(MAF)": BOTH,
    "Mint layer": BOTH,
    "two Mint layers,\nopposite orders": INVERTIBLE,
    "linear, PLU": INVERTIBLE,
    "1×1 convolution\n(Glow)": INVERTIBLE,
    "reversed order": INVERTIBLE,
    "MADE alone": TRIANGULAR,
    "MLP": NEITHER,
}


def test_the_image_shows_these_maps():
    assert set(SCRIPT["layers"]()) == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_map_is_in_the_sets_that_theory_puts_it_in(name):
    assert tuple(SCRIPT["examine"](SCRIPT["layers"]()[name]).where) == EXPECTED[name]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ([[1, 0, 0], [1, 1, 0], [1, 1, 1]], True),
        ([[1, 1, 1], [0, 1, 0], [0, 1, 1]], True),
        ([[1, 1, 0], [1, 1, 0], [0, 0, 1]], False),
        ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], False),
        ([[1, 0], [0, 1]], True),
    ],
)
def test_triangular_in_some_order(pattern, expected):
    ordered = SCRIPT["in_best_order"](torch.tensor(pattern, dtype=torch.bool))
    assert bool(ordered.triu(1).any()) is not expected
