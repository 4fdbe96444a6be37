"""Every constraint: one-to-one, with the log abs(det) that autodiff finds."""

import math

import pytest
import torch

from logpx.errors import UsageError
from logpx.posteriors import (
    CorrelationCholesky,
    CovarianceMatrix,
    Interval,
    Ordered,
    Parameters,
    Positive,
    Real,
    Simplex,
    Stacked,
)

ALL = [
    Real(),
    Real((2, 3)),
    Positive(),
    Positive(4),
    Interval(-2.0, 5.0, 3),
    Ordered(1),
    Ordered(4),
    Simplex(2),
    Simplex(5),
    CorrelationCholesky(2),
    CorrelationCholesky(4),
    CovarianceMatrix(1),
    CovarianceMatrix(3),
    Stacked(Simplex(3), 2),
    Stacked(Stacked(Positive(2), 2), 3),
]


def free_entries(constraint, x: torch.Tensor) -> torch.Tensor:
    """Return the entries that determine a value, shape ``(size,)``."""
    if isinstance(constraint, Stacked):
        return torch.cat([free_entries(constraint.constraint, part) for part in x])
    if isinstance(constraint, Simplex):
        return x[:-1]
    if isinstance(constraint, CorrelationCholesky):
        return x[tuple(torch.tril_indices(*x.shape, -1))]
    if isinstance(constraint, CovarianceMatrix):
        return x[tuple(torch.tril_indices(*x.shape))]
    return x.flatten()


@pytest.mark.parametrize("constraint", ALL, ids=repr)
def test_it_is_one_to_one_with_the_right_determinant(constraint):
    u = torch.randn(6, constraint.size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, ladj = constraint.constrain(u)
    assert x.shape == (6, *constraint.shape)
    assert ladj.shape == (6,)
    torch.testing.assert_close(constraint.unconstrain(x), u, rtol=1e-9, atol=1e-9)
    for row, expected in zip(u, ladj, strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda v: free_entries(constraint, constraint.constrain(v[None])[0][0]), row
        )
        torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("constraint", ALL, ids=repr)
def test_values_keep_to_it(constraint):
    u = 3.0 * torch.randn(200, constraint.size, generator=torch.Generator().manual_seed(1)).double()
    x, ladj = constraint.constrain(u)
    assert bool(x.isfinite().all())
    assert bool(ladj.isfinite().all())
    while isinstance(constraint, Stacked):
        x, constraint = x.flatten(0, 1), constraint.constraint
    kept = {
        "Positive": lambda: (x > 0.0).all(),
        "Interval": lambda: ((x >= -2.0) & (x <= 5.0)).all(),
        "Ordered": lambda: (x.diff(dim=1) > 0.0).all(),
        "Simplex": lambda: (x >= 0.0).all() & ((x.sum(-1) - 1.0).abs() < 1e-9).all(),
        "CorrelationCholesky": lambda: ((x @ x.mT).diagonal(dim1=1, dim2=2) - 1.0).abs().max() < 1e-9,
        "CovarianceMatrix": lambda: (x == x.mT).all(),
        "Real": lambda: torch.tensor(True),
    }
    assert bool(kept[type(constraint).__name__]())


def test_named_parameters_make_one_vector():
    parameters = Parameters({"mean": Real(2), "scale": Positive(), "weights": Simplex(3)})
    assert parameters.size == 5
    u = torch.randn(4, 5).double()
    values, ladj = parameters.constrain(u)
    assert {name: tuple(value.shape) for name, value in values.items()} == {
        "mean": (4, 2),
        "scale": (4,),
        "weights": (4, 3),
    }
    torch.testing.assert_close(parameters.unconstrain(values), u)
    torch.testing.assert_close(ladj, u[:, 2] + Simplex(3).constrain(u[:, 3:])[1])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Parameters({}), "parameters"),
        (lambda: Parameters({"scale": 3}), "scale"),
        (lambda: Interval(2.0, 1.0), "interval"),
        (lambda: Interval(0.0, math.nan), "upper"),
        (lambda: Simplex(1), "length"),
        (lambda: Real(0), "shape"),
        (lambda: Parameters({"scale": Positive()}).unconstrain({}), "scale is missing"),
        (lambda: Parameters({"scale": Positive()}).unconstrain({"scale": torch.ones(3, 2)}), "shape"),
        (lambda: Parameters({"scale": Positive()}).unconstrain({"scale": -torch.ones(3)}), "outside"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message: str):
    with pytest.raises(UsageError, match=message):
        make()
