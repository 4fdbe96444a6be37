"""The data-dependent start finds what needs data wherever it is nested."""

import warnings

import pytest
import torch
from torch import nn

import logpx
from logpx import flows
from logpx.distributions import Distribution, Flow, Mixture, Product, StandardNormal
from logpx.errors import DataError
from logpx.transforms import ActNorm, Affine, Chain, Inverse, Reverse, Standardize

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(200, 2, generator=GENERATOR) * torch.tensor([100.0, 0.01]) + torch.tensor([1e4, -3.0])


class Wrapper(Distribution):
    """A model as a user may write it: a net, and a distribution that holds the density."""

    def __init__(self, inside):
        super().__init__(inside.event_shape)
        self.net = nn.Linear(1, inside.context_features or 1)
        self.inside = inside

    def log_prob(self, x, context=None):
        own = self.net(x[..., :1]) if self.inside.context_features else None
        return self.inside.log_prob(x, own)


NESTED = {
    "flow": lambda: Wrapper(flows.RealNVP(2, layers=2, hidden=(4,))),
    "flow given a context": lambda: Wrapper(flows.MAF(2, layers=1, hidden=(4,), context=3)),
    "base of a flow": lambda: Flow(flows.RealNVP(2, layers=2, hidden=(4,)), Reverse(2)),
    "flow that starts, base that does not": lambda: Flow(
        Mixture([flows.RealNVP(2, layers=2, hidden=(4,))]), Standardize(2)
    ),
    "product": lambda: Product([Flow(StandardNormal(1), Chain([ActNorm(1), Affine(1)])) for _ in range(2)]),
}


@pytest.mark.parametrize("name", NESTED)
def test_nothing_that_needs_data_is_skipped(name):
    model = NESTED[name]()
    logpx.fit(model, X, max_steps=1, progress=False, seed=0)
    waiting = [each for each in model.modules() if getattr(each, "needs_data", False)]
    assert not waiting
    scales = [each for each in model.modules() if isinstance(each, Standardize)]
    # The outermost sees the rows themselves.
    if scales and name != "base of a flow":
        torch.testing.assert_close(
            scales[-1 if "starts" in name else 0].scale, X.std(0, correction=0), rtol=0.05, atol=0
        )
    assert "forward" not in {key for each in model.modules() for key in each.__dict__}


def test_the_start_of_a_nested_flow_is_that_of_the_flow():
    torch.manual_seed(0)
    plain = flows.RealNVP(2, layers=2, hidden=(4,))
    torch.manual_seed(0)
    wrapped = Wrapper(flows.RealNVP(2, layers=2, hidden=(4,)))
    torch.manual_seed(0)
    wrapped.inside = flows.RealNVP(2, layers=2, hidden=(4,))
    for model in (plain, wrapped):
        logpx.fit(model, X, max_steps=3, progress=False, seed=0)
    with torch.no_grad():
        torch.testing.assert_close(plain.log_prob(X), wrapped.log_prob(X))


def test_checks_of_a_nested_flow_are_made():
    with pytest.raises(DataError, match="outside the bounds"):
        logpx.fit(Wrapper(flows.NSF(2, layers=1, bounded={0: (0.0, 1.0)})), X, max_steps=1, progress=False)


def test_what_no_row_reaches_is_said():
    class Unused(Wrapper):
        def log_prob(self, x, context=None):
            return StandardNormal(2).log_prob(self.net(x[..., :1]) + x)

    with pytest.warns(UserWarning, match="Standardize needs data"):
        logpx.fit(Unused(Flow(StandardNormal(2), Standardize(2))), X / 1e4, max_steps=1, progress=False)


def test_inverses_have_their_data_elsewhere():
    model = Flow(StandardNormal(2), Chain([Standardize(2), Inverse(ActNorm(2))]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logpx.fit(model, X, max_steps=1, progress=False)


def test_a_model_fitted_to_other_rows_says_so(tmp_path):
    flow = flows.RealNVP(2, layers=2, hidden=(4,))
    logpx.fit(flow, X, max_steps=1, progress=False)
    logpx.save(flow, tmp_path / "model")
    loaded = logpx.load(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        logpx.fit(loaded, X, max_steps=1, progress=False)
    with pytest.warns(UserWarning, match="column 1 has mean"):
        logpx.fit(loaded, X + torch.tensor([0.0, 1.0]), max_steps=1, progress=False)


class Hiding(Distribution):
    """A model that torch does not see into."""

    def __init__(self, hide, find):
        super().__init__(2)
        self.parts, self.find = hide(flows.RealNVP(2, layers=1, hidden=(4,))), find

    def log_prob(self, x, context=None):
        return self.find(self.parts).log_prob(x)


@pytest.mark.parametrize(
    ("hide", "find"),
    [
        (lambda flow: [flow], lambda parts: parts[0]),
        (lambda flow: {"a": (flow,)}, lambda parts: parts["a"][0]),
        (lambda flow: lambda: flow, lambda parts: parts()),
    ],
    ids=["list", "tuple in a dictionary", "closure"],
)
def test_what_torch_does_not_see_is_started_and_said(hide, find):
    model = Hiding(hide, find)
    with pytest.warns(UserWarning, match="RealNVP is held in a plain list"):
        logpx.fit(model, X, max_steps=1, progress=False, seed=0)
    assert not any(getattr(each, "needs_data", False) for each in find(model.parts).modules())
    assert model.log_prob(X).mean() > -5.0
