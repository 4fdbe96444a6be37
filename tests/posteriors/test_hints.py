"""Where a user expects the mass: starts, bounds and scale, which direct the search and bind nothing."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import LogNormal, Normal

from logpx.errors import UsageError
from logpx.posteriors import Positive, Real, Trust, find_mode, posterior


def log_normal(x: Tensor, mean: float = 0.0, scale: float = 1.0) -> Tensor:
    return Normal(mean, scale).log_prob(x).sum(-1)


def far_away(x: Tensor) -> Tensor:
    return torch.logaddexp(log_normal(x), log_normal(x, 5000.0)) - math.log(2.0)


def named(theta: dict[str, Tensor]) -> Tensor:
    return LogNormal(math.log(1e8), 0.5).log_prob(theta["scale"]) + log_normal(theta["mean"], -4e4, 1e3)


PARAMETERS = {"scale": Positive(), "mean": Real(2)}


@pytest.mark.parametrize("hint", [{"starts": [[5000.0, 5000.0]]}, {"bounds": (-1e4, 1e4)}], ids=str)
def test_a_mode_that_nobody_would_find_is_found(hint: dict):
    found = posterior(far_away, 2, "laplace", **hint)
    assert found.log_evidence == pytest.approx(0.0, abs=0.01)
    assert found.diagnosis.trust is not Trust.DO_NOT


def test_bounds_are_no_constraint():
    found = posterior(lambda x: log_normal(x, 20.0), 2, "laplace", bounds=[(-1.0, 1.0), (0.0, 2.0)])
    assert found.log_evidence == pytest.approx(0.0, abs=1e-6)
    assert found.diagnosis.trust is Trust.TRUST


def test_named_parameters_have_hints_of_their_own():
    found = posterior(
        named,
        parameters=PARAMETERS,
        method="laplace",
        scale={"scale": 1e8},
        bounds={"mean": (-1e5, 0.0)},
        starts={"scale": 1e8, "mean": [-3e4, -3e4]},
    )
    assert found.log_evidence == pytest.approx(0.0, abs=0.01)
    # The log-normal part is log-normal: its mode in log σ is its median.
    mode = find_mode(named, parameters=PARAMETERS, jacobian=True, scale={"scale": 1e8, "mean": 1e4})
    assert float(mode.point["scale"]) == pytest.approx(1e8, rel=1e-3)


def test_orders_of_magnitude_that_differ_by_twelve():
    def density(x: Tensor) -> Tensor:
        other = torch.logaddexp(log_normal(x[:, 1:], 2e5, 1e3), log_normal(x[:, 1:], -2e5, 1e3))
        return log_normal(x[:, :1], 1e-6, 1e-7) + other - math.log(2.0)

    found = posterior(density, 2, scale=[1e-6, 1e5])
    assert found.method == "laplace"
    assert found.log_evidence == pytest.approx(0.0, abs=0.01)
    assert found.diagnosis.trust is not Trust.DO_NOT


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        ({"starts": {"scale": [1.0]}}, "starts lack the parameter mean"),
        ({"starts": {"scale": [1.0], "mean": [1.0, 2.0, 3.0]}}, r"starts\['mean'\] has shape \(3,\)"),
        ({"starts": [1.0, 2.0]}, "the parameters have names"),
        ({"scale": {"scal": 1.0}}, "'scal', which is not among those given"),
        ({"scale": {"scale": -1.0}}, "is not above 0"),
        ({"bounds": {"scale": (-1.0, 2.0)}}, "goes beyond Positive"),
        ({"bounds": {"mean": (2.0, 1.0)}}, "not below the upper"),
        ({"bounds": {"mean": 3.0}}, r"bounds\['mean'\] is 3"),
    ],
    ids=str,
)
def test_wrong_hints_of_named_parameters_are_named(hint: dict, message: str):
    with pytest.raises(UsageError, match=message) as raised:
        posterior(named, parameters=PARAMETERS, **hint)
    assert raised.value.fix


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        ({"starts": [[1.0, 2.0, 3.0]]}, r"shape \(1, 3\)"),
        ({"starts": "here"}, "starts is 'here'"),
        ({"starts": [[0.0, math.nan]]}, "draw 1 is not finite"),
        ({"starts": {"x": 1.0}}, "the parameters have no names"),
        ({"bounds": (1.0, 2.0, 3.0)}, r"bounds has shape \(3,\)"),
        ({"scale": [1.0, 2.0, 3.0]}, r"scale has shape \(3,\)"),
        ({"scale": math.inf}, "scale is not finite"),
    ],
    ids=str,
)
def test_wrong_hints_of_a_vector_are_named(hint: dict, message: str):
    with pytest.raises(UsageError, match=message):
        posterior(far_away, 2, **hint)


def test_a_start_without_density_is_named():
    with pytest.raises(UsageError, match=r"-inf at the start 2, the point \(-1\)"):
        posterior(
            lambda x: torch.where(x > 0.0, -x, -torch.inf).sum(-1), 1, starts=[[1.0], [-1.0]], method="map"
        )
