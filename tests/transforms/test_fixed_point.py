"""The iteration for triangular systems: what it solves, in how many sweeps, and what it refuses."""

import numpy as np
import pytest
import scipy.linalg
import torch

from logpx.errors import NotConvergedError
from logpx.transforms.fixed_point import ROUNDINGS, solve


def triangular(features, seed=0):
    generator = np.random.default_rng(seed)
    return np.tril(generator.normal(size=(features, features)), -1) + np.diag(
        generator.uniform(0.5, 2.0, features)
    )


def linear_step(matrix, target, calls=None):
    matrix = torch.from_numpy(matrix)

    def step(x):
        if calls is not None:
            calls.append(x)
        residual = x @ matrix.mT - target
        magnitude = x.abs() @ matrix.abs().mT + target.abs()
        return residual, magnitude, x - residual / matrix.diagonal()

    return step


@pytest.mark.parametrize("features", [1, 2, 7, 30])
def test_a_triangular_system_is_solved_as_scipy_solves_it_in_as_many_sweeps_as_it_has_rows(features):
    matrix = triangular(features)
    target = torch.randn(5, features, dtype=torch.float64)
    x, certificate = solve(linear_step(matrix, target), target, event_dims=1, limit=features + 10)
    expected = scipy.linalg.solve_triangular(matrix, target.numpy().T, lower=True).T
    np.testing.assert_allclose(x, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    # One evaluation sees the start; a sweep or two more take rounding errors away.
    assert certificate.iterations <= features + 4
    assert certificate.roundings <= ROUNDINGS


def test_the_certificate_is_the_residual_of_what_is_returned():
    matrix, target = triangular(6), torch.randn(9, 6, dtype=torch.float64)
    step = linear_step(matrix, target)
    x, certificate = solve(step, target, event_dims=1, limit=20)
    residual, magnitude, _ = step(x)
    assert certificate.residual == residual.abs().max().item()
    assert certificate.roundings == (residual.abs() / magnitude).max().item() / torch.finfo(x.dtype).eps


def test_single_precision_has_its_own_tolerance():
    target = torch.randn(50, 4)
    matrix = triangular(4)
    step = linear_step(matrix.astype(np.float32), target)
    x, certificate = solve(step, target, event_dims=1, limit=20)
    assert x.dtype == torch.float32
    expected = scipy.linalg.solve_triangular(matrix, target.double().numpy().T, lower=True).T
    np.testing.assert_allclose(x, expected, rtol=1e-3, atol=1e-4)
    assert 0.0 < certificate.residual < 1e-5


def test_a_row_does_not_depend_on_how_long_the_others_take():
    matrix = triangular(12)
    easy, hard = torch.zeros(1, 12, dtype=torch.float64), torch.randn(1, 12, dtype=torch.float64)
    easy[0, -1] = 1.0
    alone, short = solve(linear_step(matrix, easy), easy, 1, limit=30)
    both = torch.cat([easy, hard])
    together, long = solve(linear_step(matrix, both), both, 1, limit=30)
    assert short.iterations < long.iterations
    torch.testing.assert_close(together[:1], alone, rtol=1e-15, atol=1e-15)


def test_no_convergence_is_an_error_that_names_the_row_and_the_residual():
    def step(x):
        return x - 1.0, torch.ones_like(x), torch.where(x[:, :1] > 5.0, x + 1.0, torch.ones_like(x))

    start = torch.zeros(4, 2)
    start[2] = 9.0
    with pytest.raises(NotConvergedError, match=r"row 3: .*after 7 iterations a residual of \d") as caught:
        solve(step, start, event_dims=1, limit=7)
    assert caught.value.row == 3
    assert caught.value.exit_code == 5
    assert "float64" in str(caught.value.fix)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_stop_at_once(value):
    calls = []
    target = torch.zeros(3, 2, dtype=torch.float64)
    target[1, 0] = value
    with pytest.raises(NotConvergedError, match=r"row 2: .* after 0 iterations"):
        solve(linear_step(triangular(2), target, calls), target, event_dims=1, limit=9)
    assert not calls


def test_an_overflow_on_the_way_is_forgiven():
    # The second element overflows until the first is exact.
    def step(x):
        first = torch.full_like(x[..., 0], 2.0)
        proposal = torch.stack([first, torch.exp(x[..., 0])], -1)
        residual = x - torch.stack([first, torch.exp(x[..., 0])], -1)
        return residual, 1.0 + x.abs(), proposal

    x, _ = solve(step, torch.full((1, 2), 1e3, dtype=torch.float64), event_dims=1, limit=5)
    torch.testing.assert_close(x[0], torch.tensor([2.0, np.exp(2.0)], dtype=torch.float64))


def test_no_rows_need_no_call():
    x, certificate = solve(lambda x: pytest.fail("called"), torch.zeros(0, 3), event_dims=1, limit=1)
    assert x.shape == (0, 3)
    assert certificate.iterations == 0
